"""The intervals that are still wider than requested: pure functions over the samples so far."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

import numpy as np

from assay.bench.judging.summary import CellSamples
from assay.bench.judging.verdicts import MARGIN
from assay.bench.statistics.stats import paired_ratio
from assay.bench.timing.trials import Group
from assay.bench.timing.workers import Candidate
from assay.numerics.precisions import FULL
from assay.records.base import Interval
from assay.registry import FRAMEWORKS

OUT_OF_THE_RUNNING = 1.2
"""A multiple of the fastest of its side in the same process that exceeds the ratios' spread between processes: 2 % in
the median of the published study, 5.5 % as the root of the mean square.
"""


def ratios(group: Group, timed: CellSamples) -> dict[tuple[int, str], Interval | None]:
    """Return each ratio to its batch's reference, by batch and label; None where no block has both.

    Candidates without samples, with no framework (the instrument's zero) and the reference itself have none.
    """
    found = {}
    for batch in group.batches:
        reference = reference_of(group, batch, timed)
        if reference is None:
            continue
        base = timed[group.cell_name(batch, reference.label)]["host"]
        for candidate in _timed_candidates(group, batch, timed):
            if candidate.label != reference.label:
                own = timed[group.cell_name(batch, candidate.label)]["host"]
                found[(batch, candidate.label)] = paired_ratio(own, base)
    return found


def width(ratio: Interval | None) -> float:
    """Return the length of a ratio's 95 % interval as a share of the ratio; infinite where there is none."""
    return (ratio.high - ratio.low) / ratio.value if ratio else math.inf


def reference_of(group: Group, batch: int, timed: CellSamples) -> Candidate | None:
    """Return the reference of the ratios: the fastest native candidate so far, in fp32 where there is one.

    Where none is native, it is the fastest of all.
    """
    candidates = _timed_candidates(group, batch, timed)
    native = [candidate for candidate in candidates if candidate.framework in FRAMEWORKS]
    full = [candidate for candidate in native if candidate.asked_precision in {"", *FULL}]

    def median(candidate: Candidate) -> float:
        values = sorted(timed[group.cell_name(batch, candidate.label)]["host"].values)
        return float(values[len(values) // 2])

    return min(full or native or candidates, key=median, default=None)


def references(group: Group, timed: CellSamples) -> list[Candidate]:
    """Return the references of the ratios at the batches of a group, each once."""
    found = [reference_of(group, batch, timed) for batch in group.batches]
    return [one for one in group.candidates if one in found]


def unsettled(group: Group, timed: CellSamples, widest: float, *, decide: bool = False) -> tuple[Group | None, float]:
    """Return the part of a group that is worth another process, and the width of its widest interval.

    Args:
        decide: whether only the question between native and ONNX counts, and ends where it has an answer
            (`undecided`).

    Returns:
        The group with only the candidates and batches that are wider than `widest`, and the references they are
        compared with; None and 0 when all are narrow enough.
    """
    known = ratios(group, timed)
    asked = undecided(group, timed, known) if decide else known.keys()
    wide = {key: width(known[key]) for key in asked if width(known[key]) > widest}
    if not wide:
        return None, 0.0
    batches = tuple(batch for batch in group.batches if any(batch == wanted for wanted, _ in wide))
    labels = {label for _, label in wide} | {one.label for one in references(replace(group, batches=batches), timed)}
    candidates = tuple(candidate for candidate in group.candidates if candidate.label in labels)
    return replace(group, candidates=candidates, batches=batches), max(wide.values())


def undecided(
    group: Group, timed: CellSamples, known: Mapping[tuple[int, str], Interval | None]
) -> list[tuple[int, str]]:
    """Return what is not clearly faster or slower than the fastest native candidate, at the batches where the fastest
    of the ONNX candidates is not.

    Args:
        known: the ratios to the fastest native candidate, by batch and label.
    """
    found: list[tuple[int, str]] = []
    for batch in group.batches:
        files = [one for one in _timed_candidates(group, batch, timed) if one.framework not in FRAMEWORKS]
        medians = _medians(group, batch, files, timed)
        keys = [(batch, one.label) for one in files if (batch, one.label) in known]
        if keys and not _is_clear(known.get((batch, min(medians, key=medians.__getitem__)))):
            found += [key for key in keys if not _is_clear(known[key])]
    return found


def _is_clear(ratio: Interval | None) -> bool:
    """Return whether an interval is farther from "the same" than half its length.

    Stopping at so strict a bound, and judging by the usual one at the end, leaves the chance of a false verdict nearly
    as it is (Haybittle 1971; Peto et al. 1976, British Journal of Cancer 34, p. 585). It also leaves room for a
    verdict's interval, which is wider, since it covers the choice of the fastest.
    """
    if ratio is None:
        return False
    room = (ratio.high - ratio.low) / 2
    return ratio.high + room < 1 - MARGIN or ratio.low - room > 1 + MARGIN


def contenders(group: Group, timed: CellSamples) -> Group:
    """Return the group with only the candidates that may be the fastest of their side and precision, at some batch.

    Those far behind in their first process do not become the fastest; those near it are left to the statistics, which
    count all that were timed as rivals. A side without samples stays whole.
    """
    chosen = {label for batch in group.batches for label in _near_the_fastest(group, batch, timed)}
    kept = tuple(candidate for candidate in group.candidates if candidate.label in chosen)
    return replace(group, candidates=kept) if kept else group


def narrowed(group: Group, timed: CellSamples) -> Iterator[Group]:
    """The group, and parts of it: always without the one that is farthest behind, down to the fastest of each side.

    Where little time is left, some answer is better than none.
    """
    kept = list(group.candidates)
    yield group
    behind = {one.label: _behind(group, one, timed) for one in kept}
    for one in sorted(kept, key=lambda one: behind[one.label], reverse=True):
        if one.framework and behind[one.label] > 1:
            kept.remove(one)
            yield replace(group, candidates=tuple(kept))


def _behind(group: Group, one: Candidate, timed: CellSamples) -> float:
    """How many times as long it takes as the fastest of its side, at the batch where that is least; 1 of a fastest."""
    (side,) = [side for side in _sides(group) if one in side] or [[one]]
    found = []
    for batch in group.batches:
        medians = _medians(group, batch, side, timed)
        if one.label in medians:
            found.append(medians[one.label] / min(medians.values()))
    return min(found, default=math.inf)


def others(group: Group, near: Group, timed: CellSamples) -> list[Candidate]:
    """Return the candidates that were timed of a group and are not among the contenders."""
    found = [
        one
        for one in group.candidates
        if any("host" in timed.get(group.cell_name(batch, one.label), {}) for batch in group.batches)
    ]
    return [one for one in found if one not in near.candidates]


def _near_the_fastest(group: Group, batch: int, timed: CellSamples) -> set[str]:
    """Return labels near the fastest of their side of the same precision: reduced precision is no rival of fp32."""
    found: set[str] = set()
    for side in _sides(group):
        medians = _medians(group, batch, side, timed)
        limit = OUT_OF_THE_RUNNING * min(medians.values(), default=0.0)
        found |= {label for label, median in medians.items() if median <= limit} or {one.label for one in side}
    return found


def _medians(group: Group, batch: int, side: Sequence[Candidate], timed: CellSamples) -> dict[str, float]:
    """By label, the median of what was timed of a side."""
    return {
        one.label: float(np.median(timed[group.cell_name(batch, one.label)]["host"].values))
        for one in _timed_candidates(group, batch, timed)
        if one in side
    }


def _sides(group: Group) -> list[list[Candidate]]:
    """Return the native and the ONNX candidates, separated by the precision requested of them."""
    found: dict[tuple[bool, str], list[Candidate]] = {}
    for one in group.candidates:
        if one.framework:
            found.setdefault((one.framework in FRAMEWORKS, one.asked_precision), []).append(one)
    return list(found.values())


def _timed_candidates(group: Group, batch: int, timed: CellSamples) -> list[Candidate]:
    return [
        candidate
        for candidate in group.candidates
        if candidate.framework and "host" in timed.get(group.cell_name(batch, candidate.label), {})
    ]
