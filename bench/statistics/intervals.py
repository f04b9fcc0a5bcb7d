"""Intervals over fresh processes, and of combinations of two estimates: pure functions.

Processes are the sample (see `assay.bench.statistics.stats`): differences between them are not visible inside one, so
that one process has an estimate and no interval. Where two estimates are independent, the interval of their
product or difference is put together from the distances of their own bounds, each side by itself (the method of
variance estimates recovery; Zou & Donner 2008, "Construction of confidence limits about effect measures: a general
approach", Statistics in Medicine 27). Where the number of processes of each is known, the sum of their variances has
the degrees of freedom that Welch (1947, "The generalization of 'Student's' problem when several different population
variances are involved", Biometrika 34) gives it: two spreads of three processes each say more than one.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from assay.bench.statistics.stats import CONFIDENCE, SAYS_NOTHING, standard_error
from assay.numerics.distributions import student_quantile
from assay.records.base import Interval

UNKNOWN = (0, 0)


def ratio_over_processes(values: Sequence[float]) -> Interval:
    """Return the geometric mean of a positive quantity, one value per process, with Student's interval of its
    logarithm.
    """
    logs = np.log(values)
    half = half_width(logs)
    mean = float(logs.mean())
    return Interval(value=math.exp(mean), low=math.exp(mean - half), high=math.exp(mean + half))


def difference_over_processes(values: Sequence[float], planned: int = 0) -> Interval:
    """Return the mean of a difference, one value per process, with Student's interval; `planned` as in
    `stats.Samples`.
    """
    mean, half = float(np.mean(values)), half_width(np.asarray(values), planned)
    return Interval(value=mean, low=mean - half, high=mean + half)


def share_over_processes(values: Sequence[float]) -> Interval:
    """Return the mean of a share, one value per process, with Student's interval within 0 and 1."""
    found = difference_over_processes(values)
    return Interval(value=found.value, low=max(found.low, 0.0), high=min(found.high, 1.0))


def half_width(values: NDArray[np.float64], planned: int = 0) -> float:
    """Return half of Student's 95 % interval of the mean of one value per process; one process says nothing."""
    if len(values) < 2:
        return SAYS_NOTHING / 2
    error, degrees = standard_error(values.tolist(), planned)
    return student_quantile(degrees, (1 + CONFIDENCE) / 2) * error


def part_of(whole: Interval, share: Interval, processes: tuple[int, int] = UNKNOWN) -> Interval:
    """Return a share of a positive quantity, as uncertain as both are.

    Args:
        processes: numbers of processes of the whole and of the share.
    """
    value = whole.value * share.value
    below = _of_both(whole.value * (share.value - share.low), share.value * (whole.value - whole.low), processes[::-1])
    above = _of_both(
        whole.value * (share.high - share.value), share.value * (whole.high - whole.value), processes[::-1]
    )
    return Interval(value=value, low=max(value - below, 0.0), high=value + above)


def rest_of(share: Interval) -> Interval:
    """Return the rest of the whole, besides a share."""
    return Interval(value=1 - share.value, low=1 - share.high, high=1 - share.low)


def difference(
    minuend: Interval, subtrahend: Interval, least: float = -math.inf, processes: tuple[int, int] = UNKNOWN
) -> Interval:
    """Return one quantity less another, and no less than `least`, as uncertain as both are; `processes` of each."""
    value = minuend.value - subtrahend.value
    below = _of_both(minuend.value - minuend.low, subtrahend.high - subtrahend.value, processes)
    above = _of_both(minuend.high - minuend.value, subtrahend.value - subtrahend.low, processes)
    low, value, high = (max(one, least) for one in (value - below, value, value + above))
    return Interval(value=value, low=low, high=high)


def _of_both(first: float, second: float, processes: tuple[int, int]) -> float:
    """Return the distance of a bound, from those of two independent quantities, Student's over so many processes."""
    if min(processes) < 2:
        return math.hypot(first, second)
    errors = [
        each / student_quantile(count - 1, (1 + CONFIDENCE) / 2)
        for each, count in zip((first, second), processes, strict=True)
    ]
    together = math.hypot(*errors)
    if together == 0:
        return 0.0
    shares = [(error / together) ** 2 for error in errors]
    degrees = 1 / sum(share**2 / (count - 1) for share, count in zip(shares, processes, strict=True))
    return student_quantile(degrees, (1 + CONFIDENCE) / 2) * together
