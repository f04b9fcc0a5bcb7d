"""The cost of choosing and testing with the same samples: Student's distribution for the fastest of several.

The fastest of K candidates by their samples has, besides its speed, luck: the more rivals, the more of it. Its mean
over processes, less the truth and over its own standard error, is then no longer Student's. But the choice is made by
means, which for normal effects are independent of spreads, so that its effect is at most the largest of K normal
deviates: the statistic stays below the *Studentized maximum*, max(Z_1 ... Z_K) / s with s of Student's denominator
(Hsu 1996, "Multiple comparisons: theory and methods"; Miller 1981, "Simultaneous statistical inference"). Each side has
its own K: a choice above the line of a ratio can only make the ratio too small, and one below the line too large;
candidates of the other side, chosen by noise of their own, make neither worse. The bound is met where all K are equally
fast and equally noisy.

An error that the choice makes likelier on one side it makes rarer on the other: all of K are unlucky together only with
the K-th power of a single one's chance. So of the 5 % by which an interval may miss, the side that the choice favours
takes all but that power, and not half (`favoured_level`). With two candidates no correction is needed at all: the one
that is chosen errs on either side as often as a single one does, whatever their distance (the chances that the choice
takes from one side are those that it adds to the other). That no distances and no shares of the noise between the two
sides make it miss more often is simulated (tests/statistics).

At three processes and five rivals this asks for 1.4 times the distance that Student's distribution does, where half of
the 5 % for each side asks for 1.9 times, Bonferroni's correction for 2.3 times, and choosing by one process to test
with the other two for 3.6 times. Choosing by all processes but one and testing with that one, in turns, holds no level:
with 30 rivals and ten processes it errs in 25 % instead of 5 % (docs/explanation/statistics.md). Pure functions.
"""

from __future__ import annotations

import math
from functools import cache

import numpy as np

from assay.numerics.distributions import log_normal, normal_quantile, student, student_quantile

LARGEST_DEGREES = 5000.0
"""From here on Student's distribution is the normal one, to the third digit of any level in use."""
STEPS = 4000
MOST_STEPS = 200
"""Greatest number of steps until a level settles, each of which is at most half as long as the previous one."""


def upper_tail(statistic: float, degrees: float, rivals: int = 1) -> float:
    """Return the chance that the Studentized maximum of so many rivals exceeds the statistic; Student's for one.

    Uses the trapezoidal rule over the logarithm of s, which for such an integrand is exact to rounding.
    """
    if rivals == 1:
        return student(degrees, -statistic)
    if degrees >= LARGEST_DEGREES:
        return -math.expm1(rivals * float(log_normal(statistic)))
    logs, weights = _chi(degrees)
    return float(weights @ -np.expm1(rivals * log_normal(statistic * np.exp(logs))))


@cache
def upper_quantile(level: float, degrees: float, rivals: int = 1) -> float:
    """Return the statistic that the Studentized maximum stays below with this probability, which is at least a half."""
    if rivals == 1:
        return student_quantile(degrees, level)
    low, high = 0.0, student_quantile(degrees, 1 - (1 - level) / rivals)  # Bonferroni's, which is no less
    if degrees >= LARGEST_DEGREES:
        return normal_quantile(level ** (1 / rivals))
    while high - low > 1e-9 * high:
        middle = (low + high) / 2
        low, high = (middle, high) if upper_tail(middle, degrees, rivals) > 1 - level else (low, middle)
    return high


def favoured_level(level: float, degrees: float, rivals: int = 1) -> float:
    """Return the part of a two-sided interval's error chance that is left for the side that the choice favours.

    The other bound is at Student's distance or closer, and is missed where all of the rivals are beyond.
    """
    if rivals == 1:
        return level / 2
    plain = student_quantile(degrees, 1 - level / 2)
    return level - _all_beyond(plain, degrees, rivals)


def two_sided(tail: float, degrees: float, rivals: int = 1) -> float:
    """Return the smallest level whose interval excludes the value with this `upper_tail`: a p-value of no
    difference.
    """
    if rivals == 1 or 1 - tail / 2 == 1:  # so small that no quantile is as far out: what it adds is less than itself
        return min(1.0, 2 * tail)
    level = tail
    for _ in range(MOST_STEPS):
        plain = student_quantile(degrees, 1 - level / 2)
        before, level = level, min(1.0, tail + _all_beyond(plain, degrees, rivals))
        if level - before <= 1e-12 * level:
            break
    return level


def _all_beyond(statistic: float, degrees: float, rivals: int) -> float:
    """Return the chance that the smallest of the rivals exceeds the statistic, over one and the same s."""
    if degrees >= LARGEST_DEGREES:
        return math.exp(rivals * float(log_normal(-statistic)))
    logs, weights = _chi(degrees)
    return float(weights @ np.exp(rivals * log_normal(-statistic * np.exp(logs))))


@cache
def _chi(degrees: float) -> tuple[np.ndarray[tuple[int], np.dtype[np.float64]], ...]:
    """Return logarithms of s, a chi distributed value over the root of its degrees, and weights that sum to one."""
    logs = np.linspace(-24.0, 3.0, STEPS)
    density = degrees * logs - degrees * np.exp(2 * logs) / 2
    scale = math.log(2) + degrees / 2 * math.log(degrees / 2) - math.lgamma(degrees / 2)
    return logs, np.exp(density + scale) * (logs[1] - logs[0])
