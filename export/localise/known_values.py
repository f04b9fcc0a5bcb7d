"""The values of a candidate that are also values of a right computation: the same numbers, in any order of dimensions.

Exporters move dimensions about, fold constants and rename everything, but the numbers after a layer stay.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from assay.export.localise.source import Array, ExactComputation
from assay.numerics.agreement import CEILING
from assay.numerics.values import differences, is_whole, settled

Float64 = NDArray[np.float64]

LOOKED_AT_FIRST = 64
"""The count of numbers kept of a value, evenly spread over their order: they tell most values apart."""


@dataclass(frozen=True)
class _Entry:
    """A value in order, with a few of its numbers, the largest distance allowed, and whether it has whole numbers."""

    name: str
    ordered: Array
    few: Float64
    limit: float
    whole: bool


def _entry(name: str, value: Array) -> _Entry:
    ordered = np.sort(value, axis=None)
    finite = np.abs(wide(ordered)[np.isfinite(ordered)])
    limit = CEILING * float(finite.max(initial=0.0)) or CEILING
    return _Entry(name, ordered, _few(ordered), limit, is_whole(value.dtype))


def _few(ordered: Array) -> Float64:
    return wide(ordered[:: max(ordered.size // LOOKED_AT_FIRST, 1)])


class KnownValues:
    """The values of a right computation that depend on its input, to be found by their numbers."""

    def __init__(self, source: ExactComputation) -> None:
        self._by_size: dict[int, list[_Entry]] = {}
        for name, value in source.values.items():
            if name not in source.constants:
                self._by_size.setdefault(value.size, []).append(_entry(name, value))

    def find(self, value: Array, but: Collection[str] = ()) -> str | None:
        """Return the first value with the same numbers, except those named in `but`; None where there is none."""
        others = self._by_size.get(value.size, [])
        if not others:
            return None
        mine = np.sort(value, axis=None)
        return next((one.name for one in others if one.name not in but and _are_alike(one, mine)), None)

    def all_like(self, name: str) -> set[str]:
        """Return the names of a value and of every other with the same numbers."""
        entry = next(one for some in self._by_size.values() for one in some if one.name == name)
        return {one.name for one in self._by_size[entry.ordered.size] if _are_alike(one, entry.ordered)}

    def names_of_size(self, size: int) -> list[str]:
        """Return the names of values of a size, in the order in which they are computed."""
        return [one.name for one in self._by_size.get(size, [])]


def _are_alike(expected: _Entry, found: Array) -> bool:
    if not expected.whole and not is_whole(found.dtype):
        few = _few(found)
        with np.errstate(invalid="ignore"):
            apart = np.abs(expected.few - few)
        if not (np.isnan(apart) | (expected.few == few) | (apart <= expected.limit)).all():
            return False
    return same_numbers(expected.ordered, found)


def differs(expected: Array, found: Array) -> bool:
    """Return whether two values differ by more than rounding, each number at its own place."""
    return expected.shape != found.shape or not same_numbers(expected, found)


def same_numbers(expected: Array, found: Array) -> bool:
    """Return whether numbers are equal to rounding; whole numbers have none, even if the other side has them as
    floating point.
    """
    if is_whole(expected.dtype) or is_whole(found.dtype):
        return not differences(expected, found).differing
    return distance(wide(found), wide(expected)) <= CEILING


def wide(value: Array) -> Float64:
    """Return a value in float64."""
    return np.asarray(value, np.float64)


def in_order(value: Array) -> Float64:
    """Return the numbers of a value, whatever the order of its dimensions."""
    return np.sort(wide(value), axis=None)


def distance(left: Float64, right: Float64) -> float:
    """Return the largest difference over the largest number of the right; infinite where only one side has NaN or
    infinity.
    """
    if not left.size:
        return 0.0
    both = settled(right, left)
    if both.problem:
        return float("inf")
    return both.apart / (both.scale or 1.0)
