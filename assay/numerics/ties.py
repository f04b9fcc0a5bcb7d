"""Tell whether a whole number differs because the values that decide it tie.

A whole number has no rounding error, but scores that decide it have one: where the largest two are closer than their
tolerance, two correct runs may choose different indices, and a score that is as close to a threshold, or to where it is
rounded up, may fall on either side. No other difference of a whole number is excused. Where scores decide it through an
operator that is not followed, nobody can say whether they tie, and the verdict says so.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from assay.files.named_arrays import read_named, save_named
from assay.numerics.following import LARGEST_SHARE, deviation_of
from assay.numerics.values import is_whole

VALUES, TOLERANCE, EXACT = "values of ", "tolerance of ", "exact values of "
MAY_BE, MAY_BE_REDUCED = "may be ", "may be, reduced: "
LISTS, LISTS_ACROSS = "may list ", "may list, across: "
NOT_FOLLOWED = "not followed: "
NEARLY = 1e-6
"""The relative distance up to which a number is one of its alternatives where these are floating-point numbers."""

Array = NDArray[np.generic]
Float64 = NDArray[np.float64]
Mask = NDArray[np.bool_]
Places = NDArray[np.integer]


class Deciding(ABC):
    """The scores that decide the numbers of one output: a class for each way to know them.

    Attributes:
        leaves_open: whether nothing shows if a number that differs is wrong, since the values may tie.
    """

    leaves_open: ClassVar[bool] = False

    @property
    @abstractmethod
    def records(self) -> int:
        """The number of records whose deciding values are known, the first ones."""

    def excuses(self, expected: Array, found: Array, places: Places | None = None) -> Mask:
        """Return where a whole number that differs from the expected one is as good: nowhere, unless a kind tells.

        Args:
            expected: numbers (records, numbers).
            found: numbers of the same shape.
            places: (records,), the records that the rows belong to; None for the first ones. In records whose deciding
                values are not known, nothing is excused.

        Returns:
            (records, numbers).
        """
        del found, places
        return np.zeros(expected.shape, bool)

    def beside(self, expected: Array, found: Array, places: Places | None = None) -> Array:
        """Return the found numbers, none of which is further from the expected ones for a tie alone; arguments are
        those of `excuses`.
        """
        del expected, places
        return found

    @abstractmethod
    def decides(self, numbers: Array) -> bool:
        """Return whether these do decide numbers, (records, numbers), of a correct run."""

    @abstractmethod
    def widened(self) -> Self:
        """Return the same for runs in reduced precision: an index may differ where the values that it chooses from are
        as close as that precision leaves them, and whatever is rounded at all may be off by as much.
        """

    @abstractmethod
    def joined(self, others: Sequence[Self]) -> Self | None:
        """Return what decides the output in this call and in others of the same kind, one after the other; None where
        they do not fit together.
        """

    @abstractmethod
    def arrays(self, output: str) -> dict[str, Array]:
        """Return this as the arrays of a file, whose names say the kind and the output."""

    def told(self, differs: str) -> str:
        """Return in which numbers an output differs, with why nobody can say that it is wrong, if so."""
        return differs


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


@dataclass(frozen=True)
class Unfollowed(Deciding):
    """Scores that decide the whole numbers of one output through something that is not followed.

    Attributes:
        operator: the operator of ONNX at which following them ends.
    """

    operator: str
    leaves_open: ClassVar[bool] = True

    @property
    def records(self) -> int:
        return 0

    def decides(self, numbers: Array) -> bool:
        """Return true: whatever the numbers are, the scores decide them."""
        del numbers
        return True

    def widened(self) -> Self:
        return self

    def joined(self, others: Sequence[Self]) -> Self:
        del others
        return self

    def arrays(self, output: str) -> dict[str, Array]:
        return {NOT_FOLLOWED + output: np.frombuffer(self.operator.encode(), np.uint8)}

    def told(self, differs: str) -> str:
        return f"{differs}; scores decide them through {self.operator}, which is not followed, so they may tie"


@dataclass(frozen=True)
class Entries(Deciding):
    """The places that an output may list, as NonZero lists those of an array's numbers that are not zero. No number is
    excused by itself: a list is right as a whole; see `beside`.

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

    def decides(self, numbers: Array) -> bool:
        """Return whether every list, (records, numbers), is one of a correct run."""
        return all(self._explains(one, record) for record, one in enumerate(numbers))

    def beside(self, expected: Array, found: Array, places: Places | None = None) -> Array:
        """Return lists (records, numbers), with the expected one in place of each that is as good.

        Args:
            expected: lists, with numbers below zero where there is room for more places.
            found: lists, which may have another length where all are of one record.
            places: see `Deciding.excuses`.
        """
        known_places = np.arange(len(expected)) if places is None else places
        good = [at < self.records and self._explains(one, at) for at, one in zip(known_places, found, strict=True)]
        if expected.shape != found.shape:
            return expected if all(good) else found
        return np.where(np.array(good, bool)[:, None], expected, found)

    def widened(self) -> Self:
        return replace(self, may_be=self.may_be[[2, 3, 2, 3]])

    def joined(self, others: Sequence[Self]) -> Self | None:
        every = [self, *others]
        if len({(one.across, one.may_be.shape[2:]) for one in every}) > 1:
            return None
        return replace(self, may_be=np.concatenate([one.may_be for one in every], axis=1))

    def arrays(self, output: str) -> dict[str, Array]:
        return {(LISTS_ACROSS if self.across else LISTS) + output: self.may_be}

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


def told_of_ties(differs: str, decider: Deciding | None) -> str:
    """Return in which numbers an output differs, in words, with why nobody can say that it is wrong, if so."""
    return decider.told(differs) if differs and decider else differs


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


def joined(deciders: Sequence[Deciding]) -> Deciding | None:
    """Join what decides an output in several calls, one after the other; None where it is not of one kind in all."""
    if unfollowed := [one for one in deciders if isinstance(one, Unfollowed)]:
        return unfollowed[0]
    first, *others = deciders
    return first.joined(others) if all(type(one) is type(first) for one in others) else None


def save_deciders(deciders: Mapping[str, Deciding], path: Path) -> None:
    """Write deciders, by output, for `read_deciders`."""
    save_named(path, {key: array for output, one in deciders.items() for key, array in one.arrays(output).items()})


def read_deciders(path: Path) -> dict[str, Deciding]:
    """Read the deciders, by output, that `save_deciders` wrote; none where there is no such file."""
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
