"""Numbers that are chosen one by one: indices among values, and numbers of which each may be several."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Self

import numpy as np
from numpy.typing import NDArray

from assay.numerics.following import LARGEST_SHARE, deviation_of
from assay.numerics.ties.deciding import Array, Deciding, Float64, Mask, Places
from assay.numerics.values import is_whole

VALUES, TOLERANCE, EXACT = "values of ", "tolerance of ", "exact values of "
MAY_BE, MAY_BE_REDUCED = "may be ", "may be, reduced: "
NEARLY = 1e-6
"""The relative distance up to which a number is one of its alternatives where these are floating-point numbers."""


@dataclass(frozen=True)
class Decider(Deciding):
    """The values among which the indices of one output choose.

    Attributes:
        values: float64 (records, outer, choices, inner): `choices` is the dimension chosen from, `outer` all dimensions
            before it, and `inner` all after it.
        tolerance: how far one of the values may be from float64.
        exact: the choices, (records, outer, 1, inner), between values that no rounding moves, such as the zeros of a
            ReLU and a threshold of zero: nothing is excused there. None where there are none.
    """

    values: Float64
    tolerance: float
    exact: Mask | None = None

    @property
    def records(self) -> int:
        return len(self.values)

    def excuses(self, expected: Array, found: Array, places: Places | None = None) -> Mask:
        """Return where an index that differs from the expected one is as good; false in a choice that names one index
        twice. Several indices for one choice are its best ones in order, as in a top-k; see `Deciding.excuses`.
        """
        known_places = np.arange(len(expected)) if places is None else places
        there = known_places < len(self.values)
        known_places = np.where(there, known_places, 0)
        values = self.values[known_places]
        records, outer, choices, inner = values.shape
        shape = (records, outer, -1, inner)
        wanted, got = _indices(expected, choices).reshape(shape), _indices(found, choices).reshape(shape)
        known = (wanted >= 0) & (got >= 0) & there[:, None, None, None]
        apart = np.abs(_chosen(values, wanted) - _chosen(values, got))
        ordered = np.sort(got, axis=2)
        distinct = ~(ordered[:, :, 1:] == ordered[:, :, :-1]).any(axis=2, keepdims=True)
        excused: Mask = known & (apart <= 2 * self.tolerance) & distinct
        if self.exact is not None:
            excused &= ~self.exact[known_places]
        return excused.reshape(expected.shape)

    def decides(self, indices: Array) -> bool:
        """Return whether these values do decide these indices, to rounding: each must point to a value of its own
        rank.
        """
        records, outer, choices, inner = self.values.shape
        got = _indices(indices, choices).reshape(records, outer, -1, inner)
        if (got < 0).any():
            return False
        ranked = np.sort(self.values, axis=2)
        count = got.shape[2]
        chosen = _chosen(self.values, got)
        largest, least = ranked[:, :, ::-1][:, :, :count], ranked[:, :, :count]
        return any(bool((np.abs(chosen - one) <= 2 * self.tolerance).all()) for one in (largest, least))

    def widened(self) -> Self:
        deviation = deviation_of(self.values.reshape(self.records, -1))
        return replace(self, tolerance=LARGEST_SHARE * deviation, exact=None)

    def joined(self, others: Sequence[Self]) -> Self:
        every = [self, *others]
        exact = np.concatenate([one._exact_choices() for one in every])
        return replace(
            self,
            values=np.concatenate([one.values for one in every]),
            tolerance=max(one.tolerance for one in every),
            exact=exact if exact.any() else None,
        )

    def _exact_choices(self) -> Mask:
        return np.zeros_like(self.values[:, :, :1], bool) if self.exact is None else self.exact

    def arrays(self, output: str) -> dict[str, Array]:
        found: dict[str, Array] = {VALUES + output: self.values, TOLERANCE + output: np.array(self.tolerance)}
        return found if self.exact is None else found | {EXACT + output: self.exact}


@dataclass(frozen=True)
class Alternatives(Deciding):
    """The numbers that one output may have in correct runs, whose scores are rounded differently: whole numbers, or
    others that scores decide, such as a rounded score or one of two constants.

    Attributes:
        values: (records, numbers, alternatives); a number with fewer alternatives has one of them several times.
        reduced: the same, where the run is in reduced precision.
    """

    values: Array
    reduced: Array

    @property
    def records(self) -> int:
        return len(self.values)

    def excuses(self, expected: Array, found: Array, places: Places | None = None) -> Mask:
        known_places = np.arange(len(expected)) if places is None else places
        there = known_places < len(self.values)
        values = self.values[np.where(there, known_places, 0)]
        excused: Mask = there[:, None] & _among(expected, values) & _among(found, values)
        return excused

    def beside(self, expected: Array, found: Array, places: Places | None = None) -> Array:
        """Return floating-point numbers as far from the expected ones as they are from their own nearest alternative.

        Args:
            expected: numbers (records, numbers); one that is not among its alternatives excuses nothing.
            found, places: see `Deciding.excuses`.
        """
        known_places = np.arange(len(expected)) if places is None else places
        there = known_places < len(self.values)
        values = self.values[np.where(there, known_places, 0)].astype(np.float64)
        with np.errstate(invalid="ignore"):
            apart = np.nan_to_num(np.abs(values - found.astype(np.float64)[..., None]), nan=np.inf, posinf=np.inf)
            nearest = np.take_along_axis(values, apart.argmin(axis=-1)[..., None], axis=-1)[..., 0]
            moved = found.astype(np.float64) - nearest + expected.astype(np.float64)
        other = there[:, None] & _among(expected, values) & ~_among(nearest, expected[..., None])
        return np.where(other, moved, found) if other.any() else found

    def decides(self, numbers: Array) -> bool:
        """Return whether every one of these numbers is among its alternatives."""
        return bool(_among(numbers, self.values).all())

    def widened(self) -> Self:
        return replace(self, values=self.reduced)

    def joined(self, others: Sequence[Self]) -> Self:
        every = [self, *others]
        values, reduced = (_side_by_side([getattr(one, of) for one in every]) for of in ("values", "reduced"))
        return replace(self, values=values, reduced=reduced)

    def arrays(self, output: str) -> dict[str, Array]:
        return {MAY_BE + output: self.values, MAY_BE_REDUCED + output: self.reduced}


def _among(numbers: Array, alternatives: Array) -> Mask:
    same = numbers[..., None] == alternatives
    if not is_whole(alternatives.dtype):
        same |= np.isclose(numbers[..., None].astype(np.float64), alternatives, rtol=NEARLY, atol=0)
    found: Mask = same.any(axis=-1)
    return found


def _indices(numbers: Array, choices: int) -> NDArray[np.int64]:
    """Return numbers as whole numbers, with -1 for those that are not an index."""
    exact = numbers.astype(np.longdouble)
    good = np.isfinite(exact) & (exact == np.floor(exact)) & (exact >= 0) & (exact < choices)
    return np.where(good, exact, -1).astype(np.int64)


def _chosen(values: Float64, indices: NDArray[np.int64]) -> Float64:
    return np.take_along_axis(values, np.maximum(indices, 0), axis=2)


def _side_by_side(calls: Sequence[Array]) -> Array:
    """Join (records, numbers, alternatives) along the records; the last one is repeated where there are fewer."""
    most = max(one.shape[2] for one in calls)
    return np.concatenate([np.pad(one, [(0, 0), (0, 0), (0, most - one.shape[2])], mode="edge") for one in calls])
