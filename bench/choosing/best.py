"""Which of several candidates cannot be told from the fastest: comparisons with the best, on paired evidence.

Cells of one group are timed in the same interleaved blocks of the same processes, so that what they have in common, a
slow process or a slow minute, cancels out of their ratio (`assay.bench.statistics.stats.ratio_estimate`). Two intervals
that overlap say less than the ratio does: they hold what is common too. Cells that were never timed together (other
sizes, batches or threads) are compared by their processes' medians (Welch 1947), and without samples by the intervals
on record. What a machine gives with several instances is compared by the rounds that these were measured in.

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
"""A simpler candidate is never taken that is estimated slower by more: then noise could hide any difference."""
NORMAL_HALF_WIDTH = 1.96
HOST = "host"

CellSamples = Mapping[str, Mapping[str, Samples]]


@dataclass
class Speeds:
    """What is known of how fast candidates are against each other.

    Attributes:
        cells: by name.
        objective: what is compared: the time of a call, or that of an image.
        timed: the calls behind the cells, by name and boundary; empty where they were not kept.
    """

    cells: Mapping[str, Cell]
    objective: Objective
    timed: CellSamples
    known: dict[tuple[str, str], Ratio] = field(default_factory=dict)
    logs: dict[str, list[float]] = field(default_factory=dict)

    def ratio(self, one: EligibleCell, other: EligibleCell) -> Ratio:
        """How many times as much the one costs as the other, on the scale of logarithms; below zero it is better."""
        key = (one.cell, other.cell)
        if key not in self.known:
            found = self._ratio(one, other)
            self.known[key], self.known[key[::-1]] = found, found.inverse
        return self.known[key]

    def tie(self, one: EligibleCell, other: EligibleCell) -> bool:
        """Whether they differ by no more than the evidence can tell (95 %), or than what does not matter."""
        return is_tie(self.ratio(one, other))

    def behind_at_most(self, one: EligibleCell, others: Sequence[EligibleCell]) -> float:
        """By what share it may cost more than the best of the others, with 95 % confidence; 0 where it is the best."""
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
        """The logarithm of what the objective is in each process: of the median of its blocks' medians."""
        if cell.name not in self.logs:
            by_process: dict[int, list[float]] = {}
            for (process, _), value in block_medians(self.timed[cell.name][HOST]).items():
                by_process.setdefault(process, []).append(math.log(value))
            share = self._log_share(cell)
            self.logs[cell.name] = [float(np.median(values)) - share for values in by_process.values()]
        return self.logs[cell.name]

    def _log_share(self, cell: Cell) -> float:
        """Logarithm of the images that share the time of a call, where it is the time of an image that counts."""
        return 0.0 if self.objective == "latency" else math.log(cell.batch)


def is_tie(ratio: Ratio) -> bool:
    """Whether two things differ by no more than the evidence can tell (95 %), or than what does not matter."""
    return abs(ratio.log_mean) <= max(math.log1p(MARGIN), ratio.half_width())


def best_of(candidates: Sequence[EligibleCell], speeds: Speeds) -> EligibleCell:
    """The one that none is estimated better than, by the evidence that pairs have in common."""
    best = candidates[0]
    for one in candidates[1:]:
        if speeds.ratio(one, best).log_mean < 0:
            best = one
    return best


def tied_with_best(candidates: Sequence[EligibleCell], speeds: Speeds) -> list[EligibleCell]:
    """The candidates that none is told to be better than, and that are not estimated far behind the best."""
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
    """Whether two cells were timed in the same blocks."""

    def place(cell: Cell) -> tuple[str, int, int, int]:
        return cell.architecture, cell.size, cell.batch, cell.threads

    return place(left) == place(right)


def _upper(ratio: Ratio, level: float) -> float:
    """Upper bound of a logarithm of a ratio; from a single block it is infinite."""
    if ratio.degrees <= 0:
        return math.inf
    if ratio.log_standard_error == 0:
        return ratio.log_mean
    return ratio.log_mean + student_quantile(ratio.degrees, level) * ratio.log_standard_error


def _of_processes(above: Sequence[float], below: Sequence[float], planned: int) -> Ratio:
    """Two cells that were not timed together, by the logarithms of their processes: Welch's comparison."""
    sides = (above, below)
    mean, processes = float(np.mean(above) - np.mean(below)), min(map(len, sides))
    if processes < 2:
        return Ratio(mean, 0.0, 0, processes, 0)
    errors = [standard_error(one, planned) for one in sides]
    total = sum(error**2 for error, _ in errors)
    parts = sum(error**4 / degrees for error, degrees in errors)
    return Ratio(mean, math.sqrt(total), total**2 / parts if parts else math.inf, processes, 0)


def _of_intervals(one: EligibleCell, other: EligibleCell, objective: Objective) -> Ratio:
    """From the estimates on record alone, as if they were independent."""
    sign = -1 if objective == "throughput" else 1
    mean = sign * math.log(one.value.value / other.value.value)
    halves = [math.log(each.value.high / each.value.low) / 2 for each in (one, other)]
    return Ratio(mean, math.hypot(*halves) / NORMAL_HALF_WIDTH, math.inf, 0, 0)
