"""The 99th percentile of calls, bounded by order statistics: as much as so few calls can say of a tail.

The k-th smallest of n independent calls is above the quantile q with the chance that fewer than k of n lie below it,
which is binomial whatever the calls' distribution (Wilks 1941, "Determination of sample sizes for setting tolerance
limits"; David & Nagaraja 2003, "Order statistics", section 7.1). The smallest k for which that is 95 % bounds the
quantile from above. For the 99th percentile even the largest call does so only from 299 calls on: 0.99^299 is 0.0495.
With fewer there is a lower bound, "at least", and none above.

Calls are not independent. Where those of the tail come in blocks, they count as fewer calls (the design effect of Kish
1965, "Survey sampling"). And processes differ, which more calls do not reduce: the distance of Student's bound for the
mean over processes is added in quadrature to the distance of a bound, on the scale of logarithms. Pure functions.
"""

from __future__ import annotations

import math

import numpy as np

from assay.bench.statistics.stats import (
    ASSUMED_PROCESS_SPREAD,
    CONFIDENCE,
    LEAST_PROCESSES,
    Samples,
    block_medians,
    standard_error,
)
from assay.numerics.distributions import binomial_quantile, chi_square_above, student_quantile
from assay.records.base import Tail


def tail(samples: Samples, quantile: float = 0.99) -> Tail:
    """Return a quantile of all calls with its two bounds, each with 95 % confidence."""
    values = np.sort(samples.values)
    calls = len(values)
    place = min(max(math.ceil(quantile * calls), 1), calls)
    value = float(values[place - 1])
    effective = math.floor(calls / _design_effect(samples, value))
    below, above = (math.ceil(rank * calls / effective) for rank in ranks(effective, quantile))
    spread = _between_processes(samples)
    low = float(values[min(below, place) - 1]) if below else 0.0
    return Tail(
        value=value,
        low=value * math.exp(-math.hypot(math.log(value / low), spread)) if low else 0.0,
        high=value * math.exp(math.hypot(math.log(values[above - 1] / value), spread)) if above else None,
    )


def ranks(calls: int, quantile: float, confidence: float = CONFIDENCE) -> tuple[int, int]:
    """Return which sorted calls, counted from one, bound a quantile from below and from above; 0 where none does."""
    below = binomial_quantile(1 - confidence, calls, quantile)
    above = binomial_quantile(confidence, calls, quantile) + 1
    return below, above if above <= calls else 0


def least_calls(quantile: float, confidence: float = CONFIDENCE) -> int:
    """Return how many calls bound a quantile from above: 299 for the 99th percentile."""
    return math.ceil(math.log(1 - confidence) / math.log(quantile))


def _design_effect(samples: Samples, value: float) -> float:
    """Return the ratio of the tail's scatter over the blocks of a process to that of independent calls.

    The ratio is one where it may be chance, as with one block per process.
    """
    scatter, largest, freedom = 0.0, 1, 0
    for process in np.unique(samples.process):
        mine = samples.process == process
        _, place, sizes = np.unique(samples.block[mine], return_inverse=True, return_counts=True)
        counts = np.bincount(place.reshape(-1), samples.values[mine] >= value, len(sizes))
        share = float(counts.sum() / sizes.sum())
        if 0 < share < 1:
            scatter += float(((counts - sizes * share) ** 2 / (sizes * share * (1 - share))).sum())
            largest, freedom = max(largest, int(sizes.max())), freedom + len(sizes) - 1
    if not freedom or chi_square_above(freedom, scatter) >= 1 - CONFIDENCE:
        return 1.0
    return min(scatter / freedom, float(largest))


def _between_processes(samples: Samples) -> float:
    """Return half of the one-sided interval of the mean over processes, as a logarithm."""
    by_process: dict[int, list[float]] = {}
    for (process, _), value in block_medians(samples).items():
        by_process.setdefault(process, []).append(math.log(value))
    logs = [float(np.median(values)) for values in by_process.values()]
    if len(logs) == 1:
        return student_quantile(LEAST_PROCESSES - 1, CONFIDENCE) * ASSUMED_PROCESS_SPREAD
    error, degrees = standard_error(logs, samples.planned)
    return student_quantile(degrees, CONFIDENCE) * error
