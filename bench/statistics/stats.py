"""Statistics over samples: pure functions from numbers to estimates with intervals.

The structure of the data is nested: calls in blocks (bursts), blocks in processes. Processes are the sample, since the
differences between two processes (memory layout, address randomisation) do not average out inside one (Georges et al.
2007, "Statistically rigorous Java performance evaluation"; Kalibera & Jones 2013, "Rigorous benchmarking in reasonable
time"). Verdicts over ratios are in `assay.bench.judging.verdicts`, checks of steadiness in
`assay.bench.statistics.steadiness`.

Processes may be added where an interval is still wide. Stopping when the spread happens to look small would leave
intervals that are too narrow, most of all where it stops first. So the spread is always that of the processes that were
planned before anything was known, without any later ones (Stein 1945, "A two-sample test for a linear hypothesis whose
power is independent of the variance", Annals of Mathematical Statistics 16): how many there are in the end then depends
on that spread alone, which for normal effects is independent of their mean, so that the mean of all of them over that
spread is Student's with the degrees of freedom of the planned ones. The interval holds whenever one stops.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from assay.bench.statistics.selection import favoured_level, two_sided, upper_quantile, upper_tail
from assay.numerics.distributions import student_quantile
from assay.records.base import Interval

RESAMPLES = 500
MEDIAN = 0.5
LEAST_PROCESSES = 3
CONFIDENCE = 0.95
# Spread of times between fresh processes, as a standard deviation of the logarithm: the root mean square of the
# published study. It stands in for the spread of a median of a single process, which is INVALID; no ratio and no
# verdict rests on it.
ASSUMED_PROCESS_SPREAD = 0.055
SAYS_NOTHING = 700.0  # exp(700) is about the largest double


@dataclass(frozen=True)
class Samples:
    """Timed calls of one cell at one boundary, in the order in which they were made.

    Attributes:
        process, block: int, (calls,): process and block of each call.
        values: float, (calls,): the measurement, above zero.
        planned: number of processes that were decided on before any was timed, those with the lowest numbers; 0 for
            all. Others were added because of their results.
    """

    process: NDArray[np.int64]
    block: NDArray[np.int64]
    values: NDArray[np.float64]
    planned: int = 0


@dataclass(frozen=True)
class Ratio:
    """The ratio of two cells' times, on the scale of natural logarithms.

    Attributes:
        log_mean: logarithm of the estimate.
        log_standard_error: standard error of that logarithm.
        degrees: degrees of freedom of Student's distribution that the standard error has; 0 when nothing is known
            about the spread, and infinite when it is known exactly.
        processes, blocks: number of each that it was taken from.
        numerators, denominators: number of cells from which the one above and the one below the line were chosen, each
        as the fastest by these samples; see `assay.bench.statistics.selection`.
    """

    log_mean: float
    log_standard_error: float
    degrees: float
    processes: int
    blocks: int
    numerators: int = 1
    denominators: int = 1

    @property
    def interval(self) -> Interval:
        """The ratio with its 95 % interval; from a single block it says nothing."""
        below, above = self._distance(self.denominators), self._distance(self.numerators)
        return Interval(
            value=math.exp(self.log_mean), low=math.exp(self.log_mean - below), high=math.exp(self.log_mean + above)
        )

    @property
    def inverse(self) -> Ratio:
        """The inverse ratio: how many times as long the other takes."""
        return replace(self, log_mean=-self.log_mean, numerators=self.denominators, denominators=self.numerators)

    def chosen(self, numerators: int, denominators: int) -> Ratio:
        """Return the same ratio, for cells that are the fastest of so many."""
        return replace(self, numerators=numerators, denominators=denominators)

    def above(self, log_bound: float) -> float:
        """Return the chance of so small an estimate if the truth were this bound or above."""
        return self._chance(log_bound - self.log_mean, self.numerators)

    def below(self, log_bound: float) -> float:
        """Return the chance of so large an estimate if the truth were this bound or below."""
        return self._chance(self.log_mean - log_bound, self.denominators)

    def as_far(self) -> float:
        """Return the chance of an estimate so far from one, on either side, if the two were equally fast."""
        rivals = self.numerators if self.log_mean < 0 else self.denominators
        tail = self.above(0.0) if self.log_mean < 0 else self.below(0.0)
        return two_sided(tail, self.degrees, rivals) if self.degrees > 0 else 1.0

    def half_width(self, confidence: float = CONFIDENCE) -> float:
        """Return half the width of the logarithm's two-sided interval: about the relative uncertainty of the ratio."""
        if self.degrees <= 0:
            return SAYS_NOTHING
        return student_quantile(self.degrees, (1 + confidence) / 2) * self.log_standard_error

    def _distance(self, rivals: int) -> float:
        """Return the distance of one bound of the interval from the estimate."""
        if self.degrees <= 0:
            return SAYS_NOTHING
        level = favoured_level(1 - CONFIDENCE, self.degrees, rivals)
        return upper_quantile(1 - level, self.degrees, rivals) * self.log_standard_error

    def _chance(self, distance: float, rivals: int) -> float:
        """Return the chance of an error of `distance`, which may be negative, in the direction that the choice
        favours.
        """
        if self.degrees <= 0:  # nothing is known of the spread
            return 1.0
        if self.log_standard_error == 0:
            return 0.0 if distance > 0 else 1.0
        return upper_tail(distance / self.log_standard_error, self.degrees, rivals)


def paired_ratio(numerator: Samples, denominator: Samples) -> Interval | None:
    """Return the ratio of two cells with its 95 % interval; see `ratio_estimate`."""
    estimate = ratio_estimate(numerator, denominator)
    return estimate.interval if estimate else None


def ratio_estimate(numerator: Samples, denominator: Samples) -> Ratio | None:
    """Return the ratio of two cells measured in the same interleaved blocks, or None when no block has both.

    Each block gives the logarithm of the ratio of its two medians; each process, the median of its blocks. The
    standard error is that of a mean over processes. For a balanced design it equals that of a model with a random
    effect of the process, and its interval is exact for normal effects whatever the shares of the variance between and
    within processes (Searle, Casella & McCulloch 1992, "Variance components", chapter 3). Processes that were added
    count for the mean, and those planned for its error (`standard_error`). Two processes have one degree of freedom,
    and an interval as wide as that; a single one shows nothing about the spread, however its blocks vary. A cell
    against itself is exactly one.
    """
    logs = _block_logs(numerator, denominator)
    if not logs:
        return None
    processes = _by_process(logs)
    if numerator is denominator:
        return Ratio(0.0, 0.0, math.inf, len(processes), len(logs))
    if len(processes) == 1:
        return Ratio(processes[0], 0.0, 0, 1, len(logs))
    error, degrees = standard_error(processes, max(numerator.planned, denominator.planned))
    return Ratio(float(np.mean(processes)), error, degrees, len(processes), len(logs))


def process_logs(numerator: Samples, denominator: Samples) -> list[float]:
    """Return the logarithm of the ratio of two cells in each process that has both: the median over its blocks."""
    return _by_process(_block_logs(numerator, denominator))


def block_ratios(numerator: Samples, denominator: Samples) -> Samples:
    """Return the ratio of two cells in each block that both have, in the order of time."""
    logs = _block_logs(numerator, denominator)
    process, block = np.asarray(sorted(logs), dtype=np.int64).reshape(-1, 2).T
    return Samples(process, block, np.exp([logs[place] for place in sorted(logs)]))


def _by_process(logs: Mapping[tuple[int, int], float]) -> list[float]:
    found: dict[int, list[float]] = {}
    for (process, _), value in logs.items():
        found.setdefault(process, []).append(value)
    return [float(np.median(found[process])) for process in sorted(found)]


def standard_error(values: Sequence[float], planned: int = 0) -> tuple[float, int]:
    """Return the standard error of the mean of one value per process, in their order, and its degrees of freedom.

    The spread is that of the first `planned`, of all where it is 0, and never of fewer than three: see the module.
    """
    first = values[: counted(len(values), planned)]
    return float(np.std(first, ddof=1)) / math.sqrt(len(values)), len(first) - 1


def counted(processes: int, planned: int) -> int:
    """Return from how many processes, the first ones, the spread is taken."""
    return min(processes, max(planned, LEAST_PROCESSES)) if planned else processes


def quantile_intervals(samples: Samples, quantiles: Sequence[float]) -> list[Interval]:
    """Return quantiles over all calls, each with a 95 % interval from a bootstrap over processes.

    For the median, processes are drawn whole, with replacement (Davison & Hinkley 1997, "Bootstrap methods and their
    application", section 3.8: drawing blocks within them too would count the variation inside a process twice), and the
    error has the factor that a mean of so few draws lacks (Hesterberg 2015, "What teachers should know about the
    bootstrap", section 3.2). Further out, few blocks reach the quantile, and its estimate comes out low more often than
    high: there blocks are drawn within processes too, which makes up for it (docs/explanation/statistics.md). Draws
    are kept as weights on the sorted calls, so that quantiles need no sorting. Percentiles of draws from so few would
    be too narrow, so the interval is Student's with the bootstrap's standard error, on a logarithmic scale.

    A single process is not drawn from, but its blocks; the spread between processes is then assumed
    (`ASSUMED_PROCESS_SPREAD`). Where processes were added, the error is drawn from those that were planned, and shrinks
    with the square root of their number in the end.
    """
    order = np.argsort(samples.values, kind="stable")
    values = samples.values[order]
    process_of, cluster_of = _clusters(samples)
    cluster_of = cluster_of[order]
    estimates = values[_places(np.arange(1.0, len(values) + 1), np.asarray(quantiles))]
    found = []
    for quantile, estimate in zip(quantiles, estimates.tolist(), strict=True):
        whole = quantile == MEDIAN
        drawn = _drawn(process_of, samples.planned, np.random.default_rng(0), whole=whole)
        logs = [np.log(values[_places(np.cumsum(weight[cluster_of]), np.asarray(quantile))]) for weight in drawn]
        width = _half_width(float(np.std(logs, ddof=1)), process_of, samples.planned, whole=whole)
        factor = math.exp(min(width, SAYS_NOTHING / 2))
        found.append(Interval(value=estimate, low=estimate / factor, high=estimate * factor))
    return found


def _places(reached: NDArray[np.float64], shares: NDArray[np.float64]) -> NDArray[np.intp]:
    """Return the index of the first of the sorted calls at which the cumulated weight reaches each share."""
    places: NDArray[np.intp] = np.searchsorted(reached, shares * reached[-1] * (1 - 1e-12))
    return np.minimum(places, len(reached) - 1)


def _half_width(error: float, process_of: NDArray[np.int64], planned: int, *, whole: bool) -> float:
    """Return half the width of Student's interval from a standard error, by the number of the largest units drawn."""
    processes, blocks = len(np.unique(process_of)), len(process_of)
    if processes == 1:
        return student_quantile(max(blocks - 1, 1), (1 + CONFIDENCE) / 2) * math.hypot(error, ASSUMED_PROCESS_SPREAD)
    first = counted(processes, planned)
    lacking = math.sqrt(first / (first - 1)) if whole else 1.0
    return student_quantile(first - 1, (1 + CONFIDENCE) / 2) * error * lacking * math.sqrt(first / processes)


def _clusters(samples: Samples) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the process of each distinct (process, block) pair, and each call's index into the pairs."""
    block = samples.block - samples.block.min(initial=0)
    number = samples.process.astype(np.int64) * (block.max(initial=0) + 1) + block
    _, first, place = np.unique(number, return_index=True, return_inverse=True)
    return samples.process[first], place.reshape(-1)


def _drawn(
    process_of: NDArray[np.int64], planned: int, random: np.random.Generator, *, whole: bool
) -> NDArray[np.float64]:
    """Draw how often each block occurs in each of the resamples of the planned processes: (RESAMPLES, blocks).

    Args:
        whole: whether a process that is drawn has all its blocks; otherwise as many of them are drawn. A single process
            is always drawn from in this way.
    """
    processes, sizes = np.unique(process_of, return_counts=True)
    first = counted(len(processes), planned)
    times = random.multinomial(first, np.full(first, 1 / first), RESAMPLES)
    weights = np.zeros((RESAMPLES, len(process_of)))
    for place, (process, size) in enumerate(zip(processes[:first], sizes[:first], strict=True)):
        drawn = random.multinomial(times[:, place] * size, np.full(size, 1 / size))
        weights[:, process_of == process] = times[:, [place]] if whole and len(processes) > 1 else drawn
    return weights


def _block_logs(numerator: Samples, denominator: Samples) -> dict[tuple[int, int], float]:
    """Return the logarithm of the ratio of medians for every block that both have."""
    above, below = block_medians(numerator), block_medians(denominator)
    return {block: math.log(above[block] / below[block]) for block in above.keys() & below.keys()}


def block_medians(samples: Samples) -> dict[tuple[int, int], float]:
    """Return the median of each block's calls, by (process, block), in ascending order of both."""
    process_of, place = _clusters(samples)
    order = np.argsort(place, kind="stable")
    parts = np.split(samples.values[order], np.flatnonzero(np.diff(place[order])) + 1)
    blocks = samples.block[order][np.searchsorted(place[order], np.arange(len(process_of)))]
    return {
        (int(process), int(block)): float(np.median(part))
        for process, block, part in zip(process_of, blocks, parts, strict=True)
    }
