"""Tell whether a whole number differs because the values that decide it tie.

A whole number has no rounding error, but scores that decide it have one: where the largest two are closer than their
tolerance, two correct runs may choose different indices, and a score that is as close to a threshold, or to where it is
rounded up, may fall on either side. No other difference of a whole number is excused. Where scores decide it through an
operator that is not followed, nobody can say whether they tie, and the verdict says so.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from assay.files.named_arrays import read_named
from assay.numerics.values import NO_EVIDENCE, is_whole

VALUES, TOLERANCE, EXACT = "values of ", "tolerance of ", "exact values of "
MAY_BE, MAY_BE_REDUCED = "may be ", "may be, reduced: "
LISTS, LISTS_ACROSS = "may list ", "may list, across: "
NOT_FOLLOWED = "not followed: "
OPEN = "which is not followed, so they may tie"
"""The words of a verdict on whole numbers that scores decide in a way that is not followed."""
NEARLY = 1e-6
"""The relative distance up to which a number is one of its alternatives where these are floating-point numbers."""

Array = NDArray[np.generic]
Float64 = NDArray[np.float64]
Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class Decider:
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

    def excuses(self, expected: Array, found: Array, places: NDArray[np.integer] | None = None) -> Mask:
        """Return where an index that differs from the expected one is as good.

        Args:
            expected: indices (records, numbers); several for one choice are its best ones in order, as in a top-k.
            found: indices of the same shape.
            places: (records,), the records of `values` that they belong to; None for the first ones. In records beyond
                `values`, nothing is excused.

        Returns:
            (records, numbers); false in a choice that names one index twice.
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


@dataclass(frozen=True)
class Alternatives:
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

    def excuses(self, expected: Array, found: Array, places: NDArray[np.integer] | None = None) -> Mask:
        """Return where a whole number that differs from the expected one is as good; see `Decider.excuses`."""
        known_places = np.arange(len(expected)) if places is None else places
        there = known_places < len(self.values)
        values = self.values[np.where(there, known_places, 0)]
        excused: Mask = there[:, None] & _among(expected, values) & _among(found, values)
        return excused

    def beside(self, expected: Array, found: Array, places: NDArray[np.integer] | None = None) -> Array:
        """Return floating-point numbers as far from the expected ones as they are from their own nearest alternative.

        Args:
            expected: numbers (records, numbers); one that is not among its alternatives excuses nothing.
            found, places: see `Decider.excuses`.
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


@dataclass(frozen=True)
class Unfollowed:
    """Scores that decide the whole numbers of one output through something that is not followed.

    Attributes:
        operator: the operator of ONNX at which following them ends.
    """

    operator: str

    @property
    def records(self) -> int:
        return 0

    def excuses(self, expected: Array, found: Array, places: NDArray[np.integer] | None = None) -> Mask:
        """Return that nothing is excused; see `Decider.excuses`."""
        del found, places
        return np.zeros(expected.shape, bool)

    def decides(self, numbers: Array) -> bool:
        """Return true: whatever the numbers are, the scores decide them."""
        del numbers
        return True


@dataclass(frozen=True)
class Entries:
    """The places that an output may list, as NonZero lists those of an array's numbers that are not zero.

    Attributes:
        may_be: which numbers of the array are not zero, (4, records, *the array's shape): in every correct run, in some
            correct run, and the same for runs in reduced precision.
        across: whether the output has a place in each column, as NonZero does, or in each row.
    """

    may_be: Mask
    across: bool

    @property
    def records(self) -> int:
        return len(self.may_be[0])

    def excuses(self, expected: Array, found: Array, places: NDArray[np.integer] | None = None) -> Mask:
        """Return that no number is excused by itself: a list is right as a whole; see `beside`."""
        del found, places
        return np.zeros(expected.shape, bool)

    def decides(self, numbers: Array) -> bool:
        """Return whether every list, (records, numbers), is one of a correct run."""
        return all(self._explains(one, record) for record, one in enumerate(numbers))

    def beside(self, expected: Array, found: Array, places: NDArray[np.integer] | None = None) -> Array:
        """Return lists (records, numbers), with the expected one in place of each that is as good.

        Args:
            expected: lists, with numbers below zero where there is room for more places.
            found: lists, which may have another length where all are of one record.
            places: see `Decider.excuses`.
        """
        known_places = np.arange(len(expected)) if places is None else places
        good = [at < self.records and self._explains(one, at) for at, one in zip(known_places, found, strict=True)]
        if expected.shape != found.shape:
            return expected if all(good) else found
        return np.where(np.array(good, bool)[:, None], expected, found)

    def _explains(self, listed: Array, record: int) -> bool:
        always, sometimes = self.may_be[0, record], self.may_be[1, record]
        if listed.size % sometimes.ndim:
            return False
        grid = listed.reshape((sometimes.ndim, -1) if self.across else (-1, sometimes.ndim))
        entries = grid.T if self.across else grid
        entries = entries[(entries >= 0).all(axis=1)].astype(np.int64)
        if (entries >= sometimes.shape).any():
            return False
        there = np.zeros(sometimes.shape, bool)
        there[tuple(entries.T)] = True
        return int(there.sum()) == len(entries) and bool((always <= there).all() and (there <= sometimes).all())


Deciding = Decider | Alternatives | Entries | Unfollowed


def told_of_ties(differs: str, decider: Deciding | None) -> str:
    """Return in which numbers an output differs, in words, with why nobody can say that it is wrong, if so."""
    if not differs or not isinstance(decider, Unfollowed):
        return differs
    return f"{differs}; scores decide them through {decider.operator}, {OPEN}"


def is_open(reason: str) -> bool:
    """Return whether a reason against an output says that nobody can say whether it is wrong."""
    return OPEN in reason or NO_EVIDENCE in reason


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


def read_deciders(path: Path) -> dict[str, Deciding]:
    """Read the deciders, by output, that `on_onnx_deciders.save_deciders` wrote; none where there is no such file."""
    if not path.is_file():
        return {}
    arrays = read_named(path)
    found: dict[str, Deciding] = {}
    for key, array in arrays.items():
        if key.startswith(VALUES):
            name = key.removeprefix(VALUES)
            found[name] = Decider(array, float(arrays[TOLERANCE + name]), arrays.get(EXACT + name))
        elif key.startswith(NOT_FOLLOWED):
            found[key.removeprefix(NOT_FOLLOWED)] = Unfollowed(array.tobytes().decode())
        elif key.startswith(LISTS_ACROSS):
            found[key.removeprefix(LISTS_ACROSS)] = Entries(array, across=True)
        elif key.startswith(LISTS):
            found[key.removeprefix(LISTS)] = Entries(array, across=False)
        elif key.startswith(MAY_BE):
            name = key.removeprefix(MAY_BE)
            found[name] = Alternatives(array, arrays[MAY_BE_REDUCED + name])
    return found
