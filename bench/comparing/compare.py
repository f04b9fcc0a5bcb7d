"""Two runs, or two environments, compared cell by cell: pure functions from their records and samples to a judgement.

Two runs were not interleaved, so their processes are two independent samples: the ratio of a cell is that of the means
of the logarithms of its processes' medians, with Welch's standard error and degrees of freedom (Welch 1947, "The
generalization of 'Student's' problem when several different population variances are involved", Biometrika 34). Cells
are a family, corrected by Holm's method in `assay.bench.judging.verdicts`.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from pydantic import Field

from assay.bench.judging.verdicts import difference_p_value, holm, judge
from assay.bench.statistics.stats import CONFIDENCE, Ratio, Samples, ratio_estimate
from assay.errors import InputError
from assay.fingerprint import fingerprint_in, machines_apart
from assay.records.base import Interval, Record
from assay.records.results import Cell, Results

Timed = Mapping[str, Mapping[str, Samples]]
DIFFERENCES = ("threads", "device", "precision", "data", "weights", "machine")
THRESHOLD = 0.05


class Change(Record):
    """The change of one cell.

    Attributes:
        name: the cell's name in the new run.
        verdict: verdict of new against base, see `assay.bench.judging.verdicts.judge`; "broken" where base has a time
            and new has none that counts, "not judged" where base has none.
        ratio: new median over base median at the host boundary.
        regression: whether it is broken, or beyond doubt slower by more than the threshold.
        reason: reason for "broken" or "not judged".
    """

    name: str
    verdict: Literal["faster", "slower", "same", "undecided", "broken", "not judged"]
    ratio: Interval | None = None
    base_ms: float | None = None
    new_ms: float | None = None
    regression: bool = False
    reason: str = ""


class Outcome(Record):
    """A whole comparison.

    Attributes:
        base, new: descriptions of the two sides.
        interleaved: whether the two were measured together, in turns.
        threshold: a slowdown of more than this share is a regression, a difference within it "same".
        allowed: the differences that were the question, each as "name: base, new".
        machine_unsure: why it is not certain that both ran on one machine, or "".
        versions: the two versions of each package that differs.
        only_in_base, only_in_new: names of cells that the other does not have.
        remarks: further sentences for a reader.
    """

    base: str
    new: str
    interleaved: bool
    threshold: float
    allowed: list[str] = Field(default_factory=list)
    machine_unsure: str = ""
    versions: dict[str, tuple[str, str]] = Field(default_factory=dict)
    changes: list[Change]
    only_in_base: list[str] = Field(default_factory=list)
    only_in_new: list[str] = Field(default_factory=list)
    remarks: list[str] = Field(default_factory=list)

    @property
    def regressions(self) -> list[Change]:
        return [change for change in self.changes if change.regression]

    @property
    def passed(self) -> bool:
        """Whether something was judged and nothing regressed: comparing nothing is not a pass."""
        return not self.regressions and any(change.ratio for change in self.changes)


@dataclass(frozen=True)
class Side:
    """One of two runs: its record, its samples by cell and boundary in milliseconds, and the path it was read from."""

    source: str
    results: Results
    timed: Timed


@dataclass(frozen=True)
class CellPair:
    """A cell on both sides.

    Attributes:
        ratio: ratio of new to base where both have times.
        doubt: why that ratio does not count, or "".
    """

    base: Cell
    new: Cell
    ratio: Ratio | None
    doubt: str = ""

    @property
    def counts(self) -> bool:
        """Whether it is judged."""
        return self.ratio is not None and not (self.doubt or why_no_time(self.base) or why_no_time(self.new))


def compare_runs(base: Side, new: Side, *, allowed: Collection[str] = (), threshold: float = THRESHOLD) -> Outcome:
    """Compare two runs.

    Args:
        allowed: names of `DIFFERENCES` that are the subject of the comparison; cells are matched across them.
        threshold: as in `Outcome`.

    Raises:
        InputError: they have a difference that makes times incomparable and is not allowed, or have no cell in common.
    """
    unknown = sorted(set(allowed) - set(DIFFERENCES))
    if unknown:
        raise InputError(
            "--allow names an unknown difference",
            expected=", ".join(DIFFERENCES),
            found=", ".join(unknown),
        )
    matched = _matched(base, new, allowed)
    found = differences(base.results, new.results, matched)
    forbidden = {name: values for name, values in found.items() if name not in allowed}
    if forbidden:
        raise InputError(
            "The two runs cannot be compared",
            expected=f"the same {', '.join(forbidden)}",
            found="; ".join(f"{name} {ours} and {theirs}" for name, (ours, theirs) in forbidden.items()),
            remedy=f"If that difference is intended: --allow {','.join(forbidden)}",
        )
    if not matched:
        raise InputError(
            "The two runs have no cell in common",
            expected="cells of the same model, size, batch, threads and runtime",
            found=f"{_some(base.results)} in {base.source}, and {_some(new.results)} in {new.source}",
        )
    pairs = [CellPair(one, other, _unpaired(base, one, new, other)) for one, other in matched]
    ours, theirs = ({cell.name for cell in side} for side in zip(*matched, strict=True))
    return Outcome(
        base=base.source,
        new=new.source,
        interleaved=False,
        threshold=threshold,
        allowed=[f"{name}: {one}, {other}" for name, (one, other) in found.items()],
        machine_unsure=_machine_unsure(base.results, new.results),
        versions=changed_versions(packages_of(base.results), packages_of(new.results)),
        changes=changes_of(pairs, threshold),
        only_in_base=[cell.name for cell in base.results.cells if cell.framework and cell.name not in ours],
        only_in_new=[cell.name for cell in new.results.cells if cell.framework and cell.name not in theirs],
    )


def changes_of(pairs: Sequence[CellPair], threshold: float) -> list[Change]:
    """Judge every pair; those with a ratio are one family.

    A regression is a slowdown shown to exceed the threshold: the one-sided test that it does not is rejected at 5 %
    over the whole family.
    """
    judged = [pair for pair in pairs if pair.counts]
    ratios = [pair.ratio for pair in judged if pair.ratio]
    verdicts = judge(ratios, margin=threshold)
    beyond = holm([slower_p_value(ratio, threshold) for ratio in ratios])
    found = {}
    for pair, ratio, verdict, p_value in zip(judged, ratios, verdicts, beyond, strict=True):
        found[pair.new.name] = Change(
            name=pair.new.name,
            verdict=verdict,
            ratio=ratio.interval,
            base_ms=_median_ms(pair.base),
            new_ms=_median_ms(pair.new),
            regression=p_value <= 1 - CONFIDENCE,
        )
    return [found.get(pair.new.name) or _unjudged(pair) for pair in pairs]


def _unjudged(pair: CellPair) -> Change:
    """Return the change for a pair in which a side has no time that counts."""
    before, after = why_no_time(pair.base), why_no_time(pair.new)
    times = {"name": pair.new.name, "base_ms": _median_ms(pair.base), "new_ms": _median_ms(pair.new)}
    if before:
        return Change.model_validate({**times, "verdict": "not judged", "reason": f"in base: {before}"})
    if after:
        # A cell that a study did not get to is not a fault of the measured software.
        skipped = pair.new.status == "skipped" or bool(pair.new.invalid)
        verdict = "not judged" if skipped else "broken"
        return Change.model_validate(
            {**times, "verdict": verdict, "regression": not skipped, "reason": f"in new: {after}"}
        )
    return Change.model_validate(
        {**times, "verdict": "not judged", "reason": pair.doubt or "one of the two sides has no samples"}
    )


def why_no_time(cell: Cell) -> str:
    """Return why a cell's time does not count, or "" where it does."""
    if cell.status != "ok" or cell.host is None:
        return f"{cell.status}: {cell.reason}"
    if cell.agreement is not None and not cell.agreement.passed:
        return f"its output is wrong: {cell.agreement.reason}"
    return f"its times are invalid: {'; '.join(cell.invalid)}" if cell.invalid else ""


def _median_ms(cell: Cell) -> float | None:
    return cell.host.median_ms.value if cell.host else None


def unpaired_ratio(numerator: Samples, denominator: Samples) -> Ratio:
    """Return the ratio of two cells with independent processes; see the module's text for the method.

    If a side has a single process, nothing is known about the spread; fewer than three give no verdict.
    """
    return quotient(_side(numerator), _side(denominator))


def quotient(above: Ratio, below: Ratio) -> Ratio:
    """Return the ratio of two independent ratios; see the module's text for the method."""
    error = math.hypot(above.log_standard_error, below.log_standard_error)
    known = above.degrees > 0 and below.degrees > 0
    spread = sum(one.log_standard_error**4 / one.degrees for one in (above, below)) if known else 0.0
    return Ratio(
        log_mean=above.log_mean - below.log_mean,
        log_standard_error=error,
        degrees=(error**4 / spread if spread else math.inf) if known else 0.0,
        processes=min(above.processes, below.processes),
        blocks=min(above.blocks, below.blocks),
    )


def _side(samples: Samples) -> Ratio:
    """Compare one cell with a millisecond that never varies."""
    unit = Samples(samples.process, samples.block, np.ones_like(samples.values), samples.planned)
    found = ratio_estimate(samples, unit)
    assert found is not None  # both have the same blocks
    return found


def slower_p_value(ratio: Ratio, threshold: float) -> float:
    """Return the chance of an estimate so far above 1 + threshold if the truth were exactly that."""
    beyond = replace(ratio, log_mean=ratio.log_mean - math.log1p(threshold))
    both_sides = difference_p_value(beyond)
    return both_sides / 2 if beyond.log_mean > 0 else 1 - both_sides / 2


def _unpaired(base: Side, one: Cell, new: Side, other: Cell) -> Ratio | None:
    before = base.timed.get(one.name, {}).get("host")
    after = new.timed.get(other.name, {}).get("host")
    return unpaired_ratio(after, before) if before and after else None


def _matched(base: Side, new: Side, allowed: Collection[str]) -> list[tuple[Cell, Cell]]:
    """Return cells that are the same except for the allowed differences, in the order of the new run.

    If threads may differ and each side has only one count, cells are matched across it.
    """
    sides = (base.results.cells, new.results.cells)
    across = "threads" in allowed and all(len({cell.threads for cell in cells}) == 1 for cells in sides)

    def key(cell: Cell) -> tuple[str | int, ...]:
        same = (cell.architecture, cell.size, cell.batch, cell.label)
        return same if across else (*same, cell.threads)

    before = {key(cell): cell for cell in base.results.cells if cell.framework}
    return [(before[key(cell)], cell) for cell in new.results.cells if cell.framework and key(cell) in before]


def differences(base: Results, new: Results, matched: Sequence[tuple[Cell, Cell]]) -> dict[str, tuple[str, str]]:
    """Return the differences that make times incomparable, by name in `DIFFERENCES`, with the values of both sides.

    Threads and devices are those of the whole runs, precision and weights those of the cells in common.
    """
    sides = (base, new)
    told = {
        "threads": tuple(_listed({cell.threads for cell in side.cells}) for side in sides),
        "device": tuple(_listed({cell.device_kind for cell in side.cells}) for side in sides),
        "data": tuple(f"{side.data.name} {side.data.content_hash[:12]}" for side in sides),
        "machine": _machines(base, new),
    }
    for name, pairs in (
        ("precision", [(one.precision, other.precision) for one, other in matched if one.host and other.host]),
        ("weights", [(one.weights[:12], other.weights[:12]) for one, other in matched]),
    ):
        unequal = sorted({pair for pair in pairs if pair[0] != pair[1]})
        told[name] = tuple(_listed({pair[place] for pair in unequal}) for place in (0, 1))
    found = {name: (told[name][0], told[name][1]) for name in DIFFERENCES if told[name][0] != told[name][1]}
    if "threads" in found and any(one.threads == other.threads for one, other in matched):
        del found["threads"]  # some counts are on both sides, and only those are compared
    return found


def _machines(base: Results, new: Results) -> tuple[str, str]:
    """Return the processors and GPUs: if either differs, times say more about the machine than about the software.

    Processors are compared by their fingerprints, since clouds give many of them the same name.
    """
    processors = machines_apart(*(fingerprint_in(side.environment) for side in (base, new)))
    gpus = [side.environment.get("gpus") for side in (base, new)]
    before, after = (
        ", ".join([processor, *map(str, cards if isinstance(cards, list) else [])])
        for processor, cards in zip(processors, gpus, strict=True)
    )
    return before, after


def _machine_unsure(base: Results, new: Results) -> str:
    """Return the remark for a side that is so old that its machine is known by name alone."""
    sides = {"base": fingerprint_in(base.environment), "new": fingerprint_in(new.environment)}
    masked = [name for name, found in sides.items() if found.masked]
    if not masked:
        return ""
    named = f"{' and '.join(masked)} tell{'' if len(masked) > 1 else 's'}"
    return f"{named} only the name of the machine, {sides[masked[0]].name}, which many machines may share"


def packages_of(results: Results) -> dict[str, str]:
    """Return the versions of the packages that a run recorded, by name; empty for records without any."""
    packages = results.environment.get("packages")
    return {name: str(version) for name, version in packages.items()} if isinstance(packages, dict) else {}


def changed_versions(base: Mapping[str, str], new: Mapping[str, str]) -> dict[str, tuple[str, str]]:
    """Return packages whose versions differ; one that a side does not have is "none" there."""
    return {
        name: (base.get(name, "none"), new.get(name, "none"))
        for name in sorted({*base, *new})
        if base.get(name) != new.get(name)
    }


def _listed(values: Collection[str | int]) -> str:
    return ", ".join(str(value) for value in sorted(values, key=str))


def _some(results: Results) -> str:
    names = [cell.name for cell in results.cells if cell.framework]
    return f"{', '.join(names[:2])}{' ...' if len(names) > 2 else ''}" if names else "no cells"
