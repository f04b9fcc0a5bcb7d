"""Change points in a short series, such as a benchmark's over the versions of a library: pure functions.

The method is E-Divisive (Matteson & James 2014, "A nonparametric approach for multiple change point analysis of
multivariate data", JASA 109), which finds performance changes at MongoDB (Daly et al. 2020, "The use of change point
detection to identify software performance regressions in a continuous integration system", ICPE): the series is cut
where the energy distance of the two parts, weighted by their lengths, is largest, and the cut is kept if few orders of
the same values have one as large. The parts are then searched in the same way.

A permutation test needs no assumption about the values' distribution, but it needs values. All orders of a series of
up to eight are tried, so that its p-value is exact, and fewer than eight values cannot be significant in any order,
however large the change. Two runs are never a trend.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from assay.bench.statistics.resampling import ROUNDING, SEED

LEAST_PART = 2
"""Values on each side of a cut: a single one that is off is an outlier."""
MOST_EXACT = 8
"""The longest series of which all orders are tried: 40,320 of them."""
ORDERS = 9999
"""The number of random orders of a longer series."""
MOST_AT_ONCE = 1 << 22
"""Distances that are held in memory at a time."""
LEVEL = 0.05

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Cut:
    """A place at which a series changes.

    Attributes:
        place: index of the first value after the change.
        p_value: share of the orders of the values searched with a cut as clear; the order as it is counts as one.
        before, after: means of the values on both sides, up to the neighbouring cuts.
    """

    place: int
    p_value: float
    before: float
    after: float


def least_values(level: float = LEVEL) -> int:
    """Return how many values are needed for the clearest change to be significant: eight at 5 %.

    In the clearest series, n values fall into a low and a high part. All orders with the same two parts are as clear,
    whichever part comes first: a share of 2 / C(n, k).
    """
    lengths = itertools.count(2 * LEAST_PART)
    return next(n for n in lengths if 2 / math.comb(n, n // 2) <= level)


def change_points(values: Sequence[float], level: float = LEVEL) -> list[Cut]:
    """Return the changes in a series, in order; none where it has fewer than `least_values`."""
    numbers = np.asarray(values, dtype=float)
    found: list[tuple[int, float]] = []
    _search(numbers, 0, level, found)
    places = [0, *sorted(place for place, _ in found), len(numbers)]
    p_values = dict(found)
    return [
        Cut(place, p_values[place], float(numbers[start:place].mean()), float(numbers[place:end].mean()))
        for start, place, end in zip(places, places[1:-1], places[2:], strict=False)
    ]


def clearest_cut(values: Sequence[float]) -> tuple[int, float] | None:
    """Return the place of the clearest cut and its p-value; None where a cut could not be significant."""
    numbers = np.asarray(values, dtype=float)
    if len(numbers) < least_values():
        return None
    place, clearest = _clearest(numbers[None, :])
    others = _orders(len(numbers))
    parts = np.array_split(others, math.ceil(others.size * len(numbers) / MOST_AT_ONCE))
    as_clear = sum(int((_clearest(numbers[part])[1] >= clearest[0] * (1 - ROUNDING)).sum()) for part in parts)
    exact = len(numbers) <= MOST_EXACT
    return int(place[0]), as_clear / len(others) if exact else (1 + as_clear) / (1 + len(others))


def _search(numbers: Floats, offset: int, level: float, found: list[tuple[int, float]]) -> None:
    cut = clearest_cut(numbers.tolist())
    if cut is None or cut[1] > level:
        return
    place, p_value = cut
    found.append((offset + place, p_value))
    _search(numbers[:place], offset, level, found)
    _search(numbers[place:], offset + place, level, found)


def _orders(length: int) -> NDArray[np.intp]:
    """Return all orders of a short series, or random ones: (orders, length)."""
    if length <= MOST_EXACT:
        return np.array(list(itertools.permutations(range(length))))
    random = np.random.default_rng(SEED)
    return np.argsort(random.random((ORDERS, length)), axis=1)


def _clearest(series: Floats) -> tuple[NDArray[np.intp], Floats]:
    """Return for each row of (series, length) the place of its clearest cut, and the statistic there.

    The statistic is m n / (m + n) times the energy distance of the parts, with m and n values: twice the mean distance
    between values of different parts, less the mean distances within each part.
    """
    length = series.shape[1]
    distances = np.abs(series[:, :, None] - series[:, None, :])
    places = np.arange(LEAST_PART, length - LEAST_PART + 1)
    statistics = np.empty((len(series), len(places)))
    for column, place in enumerate(places):
        between = distances[:, :place, place:].mean(axis=(1, 2))
        first, second = distances[:, :place, :place], distances[:, place:, place:]
        within = sum(part.sum(axis=(1, 2)) / (part.shape[1] * (part.shape[1] - 1)) for part in (first, second))
        statistics[:, column] = place * (length - place) / length * (2 * between - within)
    best = statistics.argmax(axis=1)
    return places[best], statistics[np.arange(len(series)), best]
