"""Probabilities and quantiles of the distributions behind intervals and tests, with the standard library alone.

SciPy has all of them and takes 143 MB, a quarter of what an installation for one ONNX file may take. This module agrees
with it to eight digits, down to chances of 1e-12 (tests/assay/numerics/test_distributions.py). The
sources: continued fractions for the incomplete beta and gamma functions (NIST Digital Library of Mathematical
Functions, 8.17.22 and 8.9.2) by Lentz's method (Thompson & Barnett 1986, "Coulomb and Bessel functions of complex
arguments and order"), Newton's method for the quantiles.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator
from functools import cache
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
TINY, ENOUGH = 1e-300, 2e-16
MOST_TERMS, MOST_STEPS = 200_000, 100
LARGE = 100.0
MANY_DEGREES = 1e4
"""The degrees of freedom from which Student's distribution is computed as the normal one, corrected by three terms."""
FAR_BELOW = -37.0
"""The value below which the normal distribution is too small for a float to hold well, so that a series gives its
logarithm.
"""


def normal(x: float) -> float:
    """Return the chance that a normal value is at most x."""
    return math.erfc(-x / math.sqrt(2)) / 2


def normal_quantile(probability: float) -> float:
    """Return the x that a normal value does not exceed with this probability; infinite at 0 and 1."""
    if probability in {0, 1}:
        return math.inf if probability else -math.inf
    return NormalDist().inv_cdf(probability)


def log_normal(x: float | Floats) -> Floats:
    """Return the logarithm of `normal`, for each x."""
    values = np.asarray(x, np.float64)
    below = np.fromiter(map(math.erfc, (np.abs(values) / math.sqrt(2)).flat), np.float64, values.size) / 2
    below = below.reshape(values.shape)
    inverse = 1 / np.minimum(values, FAR_BELOW) ** 2
    series = inverse * (-1 + inverse * (3 + inverse * (-15 + inverse * 105)))
    far = -1 / (2 * inverse) + np.log(inverse) / 2 - math.log(2 * math.pi) / 2 + np.log1p(series)
    with np.errstate(divide="ignore"):
        near = np.where(values < 0, np.log(below), np.log1p(-below))
    return np.asarray(np.where(values < FAR_BELOW, far, near))


def student(degrees: float, x: float) -> float:
    """Return the chance that Student's t with so many degrees of freedom, which need not be whole, is at most x."""
    upper = _student_above(degrees, abs(x))
    return upper if x < 0 else 1 - upper


@cache
def student_quantile(degrees: float, probability: float) -> float:
    """Return the x that Student's t does not exceed with this probability; infinite at 0 and 1, NaN without degrees."""
    if not degrees > 0 or not 0 <= probability <= 1:
        return math.nan
    if probability == 0.5:
        return 0.0
    tail = min(probability, 1 - probability)
    found = _student_beyond(degrees, tail) if tail else math.inf
    return found if probability > 0.5 else -found


def binomial(successes: int, trials: int, chance: float) -> float:
    """Return the chance of at most so many successes."""
    if successes < 0:
        return 0.0
    return 1.0 if successes >= trials else _beta(trials - successes, successes + 1, 1 - chance, chance)


def binomial_quantile(probability: float, trials: int, chance: float) -> int:
    """Return the smallest number of successes that is not exceeded with at least this probability."""
    low, high = -1, trials
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if binomial(middle, trials, chance) >= probability else (middle, high)
    return high


def chi_square_above(degrees: float, x: float) -> float:
    """Return the chance that a chi-squared value with so many degrees of freedom exceeds x."""
    half, scaled = degrees / 2, x / 2
    if scaled <= 0:
        return 1.0
    front = math.exp(half * math.log(scaled) - scaled - math.lgamma(half))
    if scaled >= half + 1:
        terms = ((n * (half - n), scaled + 2 * n + 1 - half) for n in itertools.count(1))
        return front / (scaled + 1 - half + _fraction(terms))
    term = total = 1 / half
    place = half
    while term > total * ENOUGH:
        place += 1
        term *= scaled / place
        total += term
    return 1 - front * total


def softmax(logits: Floats) -> Floats:
    """Return the probabilities (rows, classes) of logits."""
    return np.asarray(np.exp(log_softmax(logits)))


def log_softmax(logits: Floats) -> Floats:
    """Return the logarithms of the probabilities of logits."""
    shifted = logits - logits.max(axis=1, keepdims=True)
    return np.asarray(shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True)))


def ranks_of(values: Floats) -> Floats:
    """Return the rank of each value, from one; equal values share their mean rank."""
    _, place, counts = np.unique(values, return_inverse=True, return_counts=True)
    return np.asarray((np.cumsum(counts) - (counts - 1) / 2)[place.reshape(-1)])


def crossing(of: Callable[[float], float], low: float, high: float) -> float:
    """Return where a function crosses zero between two places at which its signs differ: by halving, to rounding."""
    is_below = of(low) < 0
    while low < (middle := (low + high) / 2) < high:
        low, high = (middle, high) if (of(middle) < 0) == is_below else (low, middle)
    return high


def _student_above(degrees: float, x: float) -> float:
    """Return the chance that Student's t exceeds an x of zero or more."""
    if degrees >= MANY_DEGREES:
        return normal(-x) + _density(x) * _from_normal(degrees, x)
    share = x * x / degrees
    return 0.0 if math.isinf(share) else _beta(degrees / 2, 0.5, 1 / (1 + share), share / (1 + share)) / 2


def _student_beyond(degrees: float, tail: float) -> float:
    """Return the x that Student's t exceeds with a chance below a half.

    The logarithm of that chance is a concave function of the logarithm of x, so that from the second step on Newton's
    method comes nearer from one side.
    """
    x = -normal_quantile(tail)
    x += (x**3 + x) / (4 * degrees)  # the first term of Cornish and Fisher
    for _ in range(MOST_STEPS):
        above = _student_above(degrees, x)
        if not above:  # further out than a float can tell
            x /= 2
            continue
        step = math.log(above / tail) * above / (x * _student_density(degrees, x))
        x *= math.exp(step)
        if abs(step) < 1e-13:
            break
    return x


def _from_normal(degrees: float, x: float) -> float:
    """Return how much more of Student's t than of a normal value is above x, over the normal density: Fisher's series
    (1925, "Expansion of Student's integral in powers of n^-1").
    """
    square = x * x
    first = (square + 1) / 4
    second = (((3 * square - 7) * square - 5) * square - 3) / 96
    third = (((((square - 11) * square + 14) * square + 6) * square - 3) * square - 15) / 384
    return x * (first + (second + third / degrees) / degrees) / degrees


def _density(x: float) -> float:
    return math.exp(-x * x / 2) / math.sqrt(2 * math.pi)


def _student_density(degrees: float, x: float) -> float:
    if degrees >= MANY_DEGREES:
        return _density(x)
    return math.exp(-(degrees + 1) / 2 * math.log1p(x * x / degrees) - _log_beta(degrees / 2, 0.5)) / math.sqrt(degrees)


def _log_beta(first: float, second: float) -> float:
    """Return the logarithm of the complete beta function; by Stirling's series where the difference would lose its
    digits.
    """
    small, large = sorted((first, second))
    if large < LARGE:
        return math.lgamma(first) + math.lgamma(second) - math.lgamma(first + second)
    both = large + small
    ratio = (both - 0.5) * math.log1p(small / large) + small * (math.log(large) - 1) + _stirling(both)
    return math.lgamma(small) - ratio + _stirling(large)


def _stirling(x: float) -> float:
    """Return the correction to Stirling's formula."""
    return (1 / 12 - (1 / 360 - 1 / (1260 * x * x)) / (x * x)) / x


def _beta(first: float, second: float, x: float, rest: float) -> float:
    """Return the regularised incomplete beta function at `x`, where `x` and `rest` sum to one."""
    if x <= 0 or rest <= 0:
        return float(rest <= 0)
    if x > (first + 1) / (first + second + 2):
        return 1 - _beta(second, first, rest, x)
    logs = (math.log(x) if x < 0.5 else math.log1p(-rest)), (math.log(rest) if rest < 0.5 else math.log1p(-x))
    front = math.exp(first * logs[0] + second * logs[1] - _log_beta(first, second)) / first

    def terms() -> Iterator[tuple[float, float]]:
        place = first
        for n in itertools.count():
            if n:
                yield n * (second - n) * x / ((place - 1) * place), 1.0
            yield -(first + n) * (first + second + n) * x / (place * (place + 1)), 1.0
            place += 2

    return front / (1 + _fraction(terms()))


def _fraction(terms: Iterator[tuple[float, float]]) -> float:
    """Return the continued fraction a1 / (b1 + a2 / (b2 + ...)) of the terms (a, b), by Lentz's method."""
    value = over = TINY
    under = 0.0
    for above, below in itertools.islice(terms, MOST_TERMS):
        under = 1 / (below + above * under or TINY)
        over = below + above / over or TINY
        factor = over * under
        value *= factor
        if abs(factor - 1) < ENOUGH:
            break
    return value
