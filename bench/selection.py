"""What it costs to choose and to test with the same samples: Student's distribution for the fastest of several.

The fastest of K candidates by their samples has, besides its speed, luck: the more rivals, the more of it. Its mean
over processes, less the truth and over its own standard error, is then no longer Student's. But the choice is made by
means, which for normal effects are independent of spreads, so that what it adds is at most the largest of K normal
deviates: the statistic stays below the *Studentized maximum*, max(Z_1 ... Z_K) / s with s of Student's denominator
(Hsu 1996, "Multiple comparisons: theory and methods"; Miller 1981, "Simultaneous statistical inference"). Each side has
its own K: what is chosen above the line of a ratio can only make the ratio too small, and what is chosen below the line
too large; candidates of the other side, chosen by noise of their own, make neither worse. The bound is met where all K
are equally fast and equally noisy.

At three processes and five rivals this asks for 1.9 times the distance that Student's distribution does, where
Bonferroni's correction asks for 2.3 times, and choosing by one process to test with the other two for 3.6 times.
Choosing by all processes but one and testing with that one, in turns, holds no level: with 30 rivals and ten processes
it errs in 25 % instead of 5 % (docs/statistics.md). Pure functions.
"""

from __future__ import annotations

import math
from functools import cache

import numpy as np
from scipy.special import gammaln, log_ndtr, ndtri, stdtr, stdtrit

LARGEST_DEGREES = 5000.0
"""From here on Student's distribution is the normal one, to the third digit of any level in use."""
STEPS = 4000


def upper_tail(statistic: float, degrees: float, rivals: int = 1) -> float:
    """Chance that the Studentized maximum of so many rivals exceeds the statistic; Student's for a single one.

    By the trapezoidal rule over the logarithm of s, which for such an integrand is exact to rounding.
    """
    if rivals == 1:
        return float(stdtr(degrees, -statistic))
    if degrees >= LARGEST_DEGREES:
        return float(-math.expm1(rivals * log_ndtr(statistic)))
    logs, weights = _chi(degrees)
    return float(weights @ -np.expm1(rivals * log_ndtr(statistic * np.exp(logs))))


@cache
def upper_quantile(level: float, degrees: float, rivals: int = 1) -> float:
    """The statistic that the Studentized maximum stays below with this probability, which is at least a half."""
    if rivals == 1:
        return float(stdtrit(degrees, level))
    low, high = 0.0, float(stdtrit(degrees, 1 - (1 - level) / rivals))  # Bonferroni's, which is no less
    if degrees >= LARGEST_DEGREES:
        return float(ndtri(level ** (1 / rivals)))
    while high - low > 1e-9 * high:
        middle = (low + high) / 2
        low, high = (middle, high) if upper_tail(middle, degrees, rivals) > 1 - level else (low, middle)
    return high


@cache
def _chi(degrees: float) -> tuple[np.ndarray[tuple[int], np.dtype[np.float64]], ...]:
    """Logarithms of s, a chi distributed value over the root of its degrees, and the weights: they sum to one."""
    logs = np.linspace(-24.0, 3.0, STEPS)
    density = degrees * logs - degrees * np.exp(2 * logs) / 2
    scale = math.log(2) + degrees / 2 * math.log(degrees / 2) - float(gammaln(degrees / 2))
    return logs, np.exp(density + scale) * (logs[1] - logs[0])
