"""From samples to the cells and comparisons of a study's results: pure functions."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import polars
from pydantic import JsonValue

from assay.bench.judging.verdicts import judge, least_told
from assay.bench.statistics.stats import TOO_FEW, Ratio, Samples, quantile_intervals, ratio_estimate
from assay.bench.statistics.tails import tail
from assay.bench.timing.trials import CellFacts, Group, Observation, computed_in
from assay.bench.timing.workers import Candidate
from assay.numerics.precisions import FULL
from assay.records.base import Interval, Verdict
from assay.records.results import Agreement, Cell, ColdStart, SpeedComparison, Timing
from assay.registry import FRAMEWORKS

NANOSECONDS_IN_MS = 1e6
GroupKey = tuple[str, int, int, int]
CellSamples = Mapping[str, Mapping[str, Samples]]


def cells_of(
    groups: Sequence[Group],
    facts: Sequence[CellFacts],
    samples: polars.DataFrame,
    agreements: dict[str, Agreement],
    weights: dict[str, str],
    planned: int = 0,
) -> list[Cell]:
    """One record for each candidate and batch of each group.

    Args:
        agreements: by cell name, the comparison of its outputs.
        weights: by group name, the key of the weights all its candidates run.
        planned: see `Samples`.
    """
    told: dict[str, list[CellFacts]] = defaultdict(list)
    for fact in facts:
        told[fact.cell].append(fact)
    timed = by_cell(samples, planned)
    found = []
    for group in groups:
        for batch in group.batches:
            for candidate in group.candidates:
                blank = blank_cell(group, batch, candidate, weights[group.name])
                found.append(_cell(blank, told[blank.name], timed.get(blank.name), agreements.get(blank.name)))
            for candidate, reason in group.refused:
                blank = blank_cell(group, batch, candidate, weights[group.name])
                found.append(blank.model_copy(update={"status": "failed", "reason": reason}))
    return found


def blank_cell(group: Group, batch: int, candidate: Candidate, weights: str) -> Cell:
    """A cell of which nothing is known yet."""
    spec = candidate.model.spec
    return Cell(
        name=group.cell_name(batch, candidate.label),
        architecture=spec.architecture,
        size=spec.size,
        batch=batch,
        threads=group.settings.threads,
        device_kind=candidate.asked_device(group.settings.device),
        asked_device=candidate.asked_device(group.settings.device),
        asked_precision=candidate.asked_precision,
        runtime=candidate.runtime,
        framework=candidate.framework,
        exporter=candidate.exporter,
        label=candidate.label,
        status="skipped",
        reason="nothing was measured",
        weights=weights,
    )


def planned_of(settings: Mapping[str, JsonValue]) -> int:
    """How many processes the settings of a record plan before any is added (see `Samples`); 0 where none is added."""
    bench = settings.get("bench")
    asked = bench if isinstance(bench, dict) else settings
    processes = asked.get("processes")
    adds = asked.get("interval_width", asked.get("precision"))  # as older records call it
    return processes if isinstance(processes, int) and adds else 0


def by_cell(samples: polars.DataFrame, planned: int = 0) -> dict[str, dict[str, Samples]]:
    """Samples by cell name and boundary, in milliseconds; `planned` as in `Samples`."""
    found: dict[str, dict[str, Samples]] = defaultdict(dict)
    for (cell, boundary), part in samples.group_by("cell", "boundary"):
        found[str(cell)][str(boundary)] = Samples(
            part["process"].to_numpy().astype(np.int64),
            part["block"].to_numpy().astype(np.int64),
            part["wall_ns"].to_numpy() / NANOSECONDS_IN_MS,
            planned,
        )
    return found


def _cell(blank: Cell, facts: list[CellFacts], timed: dict[str, Samples] | None, agreement: Agreement | None) -> Cell:
    failed = [fact for fact in facts if fact.reason and not fact.skipped]
    good = [fact for fact in facts if not fact.reason]
    if failed:
        return blank.model_copy(update={"status": "failed", "reason": failed[0].reason})
    if not good or not timed:
        return blank.model_copy(update={"reason": facts[0].reason or blank.reason if facts else blank.reason})
    host = timing(timed["host"])
    first = min(good, key=lambda fact: fact.process)
    update = {
        "status": "ok",
        "reason": "",
        "host": host,
        "device": timing(timed["device"]),
        "throughput": _throughput(host.median_ms, blank.batch),
        "cold": ColdStart(
            import_seconds=float(np.median([fact.import_seconds for fact in good])),
            load_seconds=float(np.median([fact.load_seconds for fact in good])),
            first_call_seconds=first.first_call_seconds,
        ),
        "peak_memory_mib": max(fact.peak_mib for fact in good),
        "precision": computed_in(good),
        "provenance": first.facts,
        "agreement": agreement,
    }
    return blank.model_copy(update=update | _as_seen(blank, first.seen))


def _as_seen(blank: Cell, seen: Observation | None) -> dict[str, str]:
    """What a call showed of where a cell computed and in what.

    Nobody asks for the precision of a user's model. A file that says fp32 asks for it of whatever runs it.
    """
    if seen is None:
        return {}
    asked = blank.asked_precision or (seen.model if seen.model in FULL else "")
    computed = seen.computed if seen.computed != seen.precision else ""
    return {"device_kind": seen.device or blank.device_kind, "asked_precision": asked, "computed_in": computed}


def timing(samples: Samples) -> Timing:
    """Median, 90th and 99th percentile, the first two with their intervals and the last with its bounds."""
    median, p90 = quantile_intervals(samples, (0.5, 0.9))
    return Timing(
        median_ms=median,
        p90_ms=p90,
        p99_ms=tail(samples),
        samples=len(samples.values),
        processes=len(np.unique(samples.process)),
    )


def _throughput(median_ms: Interval, batch: int) -> Interval:
    """Images a second when calls follow each other; low and high change places."""
    return Interval(
        value=batch * 1e3 / median_ms.value, low=batch * 1e3 / median_ms.high, high=batch * 1e3 / median_ms.low
    )


def comparisons_of(cells: Sequence[Cell], samples: polars.DataFrame, planned: int = 0) -> list[SpeedComparison]:
    """For every group of cells that were timed together, the best ONNX cell against the best native one.

    Both compute in fp32, where there is such an ONNX cell; those of reduced precision are among the rivals. Where no
    native cell computes in fp32, as of a user's model in bf16, it is held against an ONNX cell of its own precision,
    and against none where there is no such cell: a native cell of reduced precision is no base for what ONNX does in
    fp32.
    They are chosen by the samples that are tested, which is corrected for (`assay.bench.statistics.selection`).
    A cell that is not valid, or whose outputs do not agree with the reference, is not ranked. What is read together is
    a family: the verdicts on ONNX of all groups, and in each group those on the other cells. A single family of all
    would hide every difference behind comparisons that nobody asked for: three processes leave Student's distribution
    two degrees of freedom, whose tails are long.
    """
    timed = by_cell(samples, planned)
    groups: dict[GroupKey, list[Cell]] = defaultdict(list)
    for cell in cells:
        if ranked(cell) or dropped(cell):
            groups[group_key(cell)].append(cell)
    contests = [contest for members in groups.values() if (contest := _contest(members, timed))]
    answers = judge([contest.ratios[contest.onnx.label] for contest in contests])
    return [_comparison(contest, answer, len(contests)) for contest, answer in zip(contests, answers, strict=True)]


@dataclass(frozen=True)
class _Contest:
    """The ranked cells of one group, as ratios to the fastest native one."""

    native: Cell
    onnx: Cell
    ratios: dict[str, Ratio]
    gains: dict[str, Ratio]

    @property
    def others(self) -> list[str]:
        """What neither is the question nor what it is held against."""
        return [label for label in self.ratios if label not in {self.native.label, self.onnx.label}]


def _contest(them: Sequence[Cell], timed: CellSamples) -> _Contest | None:
    """
    Args:
        them: what is ranked, and what its first process showed to be too slow: a rival, though nothing more.
    """
    members = [cell for cell in them if ranked(cell)]
    native, onnx = (_fastest(side) for side in _like_with_like(members))
    if native is None or onnx is None:
        return None
    natives, exported = _like_with_like(them)
    base = timed[native.name]["host"]
    found = {cell.label: ratio_estimate(timed[cell.name]["host"], base) for cell in members}
    ratios = {
        label: ratio.chosen(len(exported) if label == onnx.label else 1, len(natives))
        for label, ratio in found.items()
        if ratio is not None
    }
    return _Contest(native, onnx, ratios, _gains(members, timed)) if onnx.label in ratios else None


def _like_with_like(members: Sequence[Cell]) -> tuple[list[Cell], list[Cell]]:
    """The native and the ONNX cells that compute in full precision, else in the fastest native one's that both have.

    Where only the native side computes in full precision, all that is ONNX stands against it.
    """
    natives = [cell for cell in members if cell.framework in FRAMEWORKS]
    exported = [cell for cell in members if cell.framework == "onnx"]
    full = [cell for cell in natives if not cell.reduced_precision]
    if full:
        return full, [cell for cell in exported if not cell.reduced_precision] or exported
    shared = {cell.precision for cell in exported}
    best = _fastest([cell for cell in natives if cell.precision in shared])
    precision = best.precision if best else None
    return (
        [cell for cell in natives if cell.precision == precision],
        [cell for cell in exported if cell.precision == precision],
    )


def _gains(members: Sequence[Cell], timed: CellSamples) -> dict[str, Ratio]:
    """By label of reduced precision, the time of the same runtime in fp32 over its own.

    The one that gains most is told of, so that each counts as chosen from all of them.
    """
    found = {}
    smaller = sum(cell.reduced_precision for cell in members)
    for cell in members:
        base = next((one for one in members if cell.reduced_precision and one.is_fp32_of(cell)), None)
        gain = ratio_estimate(timed[base.name]["host"], timed[cell.name]["host"]) if base else None
        if gain is not None:
            found[cell.label] = gain.chosen(1, smaller)
    return found


def _comparison(contest: _Contest, answer: Verdict, family: int) -> SpeedComparison:
    cell, others = contest.native, contest.others
    question = contest.ratios[contest.onnx.label]
    judged = judge([contest.ratios[label] for label in others])
    return SpeedComparison(
        architecture=cell.architecture,
        size=cell.size,
        batch=cell.batch,
        threads=cell.threads,
        native=cell.label,
        onnx=contest.onnx.label,
        speedup=question.inverse.interval,
        verdict=answer,
        ratios={label: ratio.interval for label, ratio in contest.ratios.items()},
        verdicts={contest.onnx.label: answer, **dict(zip(others, judged, strict=True))},
        told=least_told(question, family),
        processes=question.processes,
        precision=cell.precision if cell.reduced_precision else "fp32",
        gains={label: gain.interval for label, gain in contest.gains.items()},
    )


def group_key(cell: Cell) -> GroupKey:
    """What a cell is compared within: architecture, size, batch and threads."""
    return (cell.architecture, cell.size, cell.batch, cell.threads)


def ranked(cell: Cell) -> bool:
    """Whether a cell may be ranked: measured, valid, of a framework, and not shown to be wrong."""
    agrees = cell.agreement is None or cell.agreement.passed
    return cell.status == "ok" and cell.host is not None and bool(cell.framework) and agrees and not cell.invalid


def dropped(cell: Cell) -> bool:
    """Whether nothing but too few processes keep a cell from being ranked: it was in the running for a while."""
    few = bool(cell.invalid) and all(reason.startswith(TOO_FEW) for reason in cell.invalid)
    return few and ranked(cell.model_copy(update={"invalid": []}))


def _fastest(cells: Sequence[Cell]) -> Cell | None:
    return min(cells, key=lambda cell: cell.host.median_ms.value if cell.host else math.inf, default=None)
