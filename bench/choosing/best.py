"""The candidates that cannot be told from the fastest: comparisons with the best, on paired evidence. Cells of one
group are timed in the same interleaved blocks of the same processes, so that a common disturbance, such as a slow
process or a slow minute, cancels out of their ratio (`assay.bench.statistics.stats.ratio_estimate`). Two overlapping
intervals say less than the ratio does, since they include the common part. Cells that were never timed together (other
sizes, batches or threads) are compared by their processes' medians (Welch 1947), and without samples by the intervals
on record. The throughput of several instances is compared by the rounds in which they were measured.

How far an answer can be behind the best of all others is bounded for all of these together (Hsu 1984, "Constrained
simultaneous confidence intervals for multiple comparisons with the best", Annals of Statistics 12), one-sided and by
Bonferroni's inequality, since the spreads of runtimes differ too much to be pooled. Pure functions.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from assay.bench.judging.verdicts import MARGIN
from assay.bench.statistics.stats import CONFIDENCE, Ratio, Samples, block_medians, ratio_estimate, standard_error
from assay.bench.statistics.together import ratio_of_sets
from assay.numerics.distributions import student_quantile
from assay.records.choice import EligibleCell, Objective
from assay.records.results import Cell

MOST_GIVEN_AWAY = 0.05
"""The largest estimated slowdown at which a simpler candidate may still be taken: without a limit, noise could hide any
difference.
"""
NORMAL_HALF_WIDTH = 1.96
HOST = "host"

CellSamples = Mapping[str, Mapping[str, Samples]]


@dataclass
class Speeds:
    """The evidence on how fast candidates are relative to each other.

    Attributes:
        cells: cells by name.
        objective: the quantity compared: the time of a call, or that of an image.
        timed: the calls behind the cells, by name and boundary; empty where they were not kept.
    """

    cells: Mapping[str, Cell]
    objective: Objective
    timed: CellSamples
    known: dict[tuple[str, str], Ratio] = field(default_factory=dict)
    logs: dict[str, list[float]] = field(default_factory=dict)

    def ratio(self, one: EligibleCell, other: EligibleCell) -> Ratio:
        """Return how many times as much the one costs as the other, on a logarithmic scale; below zero it is better."""
        key = (one.cell, other.cell)
        if key not in self.known:
            found = self._ratio(one, other)
            self.known[key], self.known[key[::-1]] = found, found.inverse
        return self.known[key]

    def tie(self, one: EligibleCell, other: EligibleCell) -> bool:
        """Return whether they differ by no more than the evidence can show (95 %), or than matters."""
        return is_tie(self.ratio(one, other))

    def behind_at_most(self, one: EligibleCell, others: Sequence[EligibleCell]) -> float:
        """Return by what share it may cost more than the best of the others, with 95 % confidence; 0 if it is the
        best.
        """
        rivals = [other for other in others if other.cell != one.cell]
        if not rivals:
            return 0.0
        level = 1 - (1 - CONFIDENCE) / len(rivals)
        return math.expm1(max(0.0, *(_upper(self.ratio(one, rival), level) for rival in rivals)))

    def _ratio(self, one: EligibleCell, other: EligibleCell) -> Ratio:
        if self.objective != "latency" and one.sets and other.sets:
            return ratio_of_sets(other.sets, one.sets)
        left, right = self.cells[one.cell], self.cells[other.cell]
        if one.sets or other.sets:
            return _of_intervals(one, other, self.objective)
        above, below = (self.timed.get(cell.name, {}).get(HOST) for cell in (left, right))
        if above is None or below is None:
            return _of_intervals(one, other, self.objective)
        paired = ratio_estimate(above, below) if _together(left, right) else None
        return paired or _of_processes(
            self._process_logs(left), self._process_logs(right), max(above.planned, below.planned)
        )

    def _process_logs(self, cell: Cell) -> list[float]:
        """Return the logarithm of the objective in each process: that of the median of its blocks' medians."""
        if cell.name not in self.logs:
            by_process: dict[int, list[float]] = {}
            for (process, _), value in block_medians(self.timed[cell.name][HOST]).items():
                by_process.setdefault(process, []).append(math.log(value))
            share = self._log_share(cell)
            self.logs[cell.name] = [float(np.median(values)) - share for values in by_process.values()]
        return self.logs[cell.name]

    def _log_share(self, cell: Cell) -> float:
        """Return the logarithm of the number of images that share a call's time, if the time of an image counts; else
        0.
        """
        return 0.0 if self.objective == "latency" else math.log(cell.batch)


def is_tie(ratio: Ratio) -> bool:
    """Return whether two things differ by no more than the evidence can show (95 %), or than matters."""
    return abs(ratio.log_mean) <= max(math.log1p(MARGIN), ratio.half_width())


def best_of(candidates: Sequence[EligibleCell], speeds: Speeds) -> EligibleCell:
    """Return the candidate that none is estimated to beat, by paired evidence."""
    best = candidates[0]
    for one in candidates[1:]:
        if speeds.ratio(one, best).log_mean < 0:
            best = one
    return best


def tied_with_best(candidates: Sequence[EligibleCell], speeds: Speeds) -> list[EligibleCell]:
    """Return the candidates that none is shown to beat, and that are not estimated far behind the best."""
    best, most = best_of(candidates, speeds), math.log1p(MOST_GIVEN_AWAY)
    return [
        one
        for one in candidates
        if one is best
        or (speeds.ratio(one, best).log_mean <= most and not any(_better(rival, one, speeds) for rival in candidates))
    ]


def _better(rival: EligibleCell, one: EligibleCell, speeds: Speeds) -> bool:
    return rival is not one and speeds.ratio(rival, one).log_mean < 0 and not speeds.tie(rival, one)


def _together(left: Cell, right: Cell) -> bool:
    """Return whether two cells were timed in the same blocks."""

    def place(cell: Cell) -> tuple[str, int, int, int]:
        return cell.architecture, cell.size, cell.batch, cell.threads

    return place(left) == place(right)


def _upper(ratio: Ratio, level: float) -> float:
    """Return the upper bound of a ratio's logarithm; for a single block it is infinite."""
    if ratio.degrees <= 0:
        return math.inf
    if ratio.log_standard_error == 0:
        return ratio.log_mean
    return ratio.log_mean + student_quantile(ratio.degrees, level) * ratio.log_standard_error


def _of_processes(above: Sequence[float], below: Sequence[float], planned: int) -> Ratio:
    """Compare two cells that were not timed together, by the logarithms of their processes: Welch's comparison."""
    sides = (above, below)
    mean, processes = float(np.mean(above) - np.mean(below)), min(map(len, sides))
    if processes < 2:
        return Ratio(mean, 0.0, 0, processes, 0)
    errors = [standard_error(one, planned) for one in sides]
    total = sum(error**2 for error, _ in errors)
    parts = sum(error**4 / degrees for error, degrees in errors)
    return Ratio(mean, math.sqrt(total), total**2 / parts if parts else math.inf, processes, 0)


def _of_intervals(one: EligibleCell, other: EligibleCell, objective: Objective) -> Ratio:
    """Compare by the estimates on record alone, as if they were independent."""
    sign = -1 if objective == "throughput" else 1
    mean = sign * math.log(one.value.value / other.value.value)
    halves = [math.log(each.value.high / each.value.low) / 2 for each in (one, other)]
    return Ratio(mean, math.hypot(*halves) / NORMAL_HALF_WIDTH, math.inf, 0, 0)
