"""What two outputs have to have in common before rounding is thought of: whole numbers, infinities and NaN.

Whole numbers and bools have no rounding error, so that they are equal or differ, and what differs is counted. Infinity
and NaN are values: where both sides have the same infinity, or NaN, they agree, and only what is left has a distance.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypeVar, cast

import numpy as np
from numpy.typing import DTypeLike, NDArray

from assay.errors import DataError

Array = NDArray[np.generic]
Float64 = NDArray[np.float64]
Mask = NDArray[np.bool_]

WHOLE_KINDS = "biu"
Numbers = TypeVar("Numbers", bound=np.generic)
DIGITS_OF_FLOAT64 = 2**53
"""Beyond it not every whole number is a float64."""
NO_EVIDENCE = "the reference is not finite: it is NaN throughout, and agrees with whatever has broken"
EQUALITY = "equality: whole numbers have no rounding error"


def of_type(array: NDArray[Any], kind: type[Numbers]) -> NDArray[Numbers]:
    """The array itself, now known to hold values of this type.

    Raises:
        DataError: it holds others.
    """
    if not issubclass(array.dtype.type, kind):
        raise DataError("An array has values of another type", expected=kind.__name__, found=str(array.dtype))
    return cast("NDArray[Numbers]", array)  # NumPy's types learn nothing from a look at `dtype`


@dataclass(frozen=True)
class Differences:
    """Whole numbers, or bools, of two sides that have to be equal.

    Attributes:
        differing: how many of `values` are not equal and not excused; `excused` is how many more are not equal.
        largest: by how much the worst of the differing ones differs; infinite where one is not a number.
    """

    values: int
    differing: int
    largest: float
    excused: int = 0

    def __str__(self) -> str:
        said = f"{self.differing} of {self.values} numbers differ"
        if self.differing:
            said += f" (largest by {int(self.largest)})" if np.isfinite(self.largest) else " (some are not numbers)"
        return f"{said}; {self.excused} more differ where what decides them ties" if self.excused else said


def is_whole(dtype: DTypeLike) -> bool:
    """Whether a type has whole numbers alone, or bools."""
    return np.dtype(dtype).kind in WHOLE_KINDS


def differences(expected: Array, found: Array, excused: Mask | None = None) -> Differences:
    """Count what differs.

    Args:
        expected: whole numbers or bools, also written as floating point.
        found: of the same shape and any type; a number with a fraction equals no whole one.
        excused: of the same shape, where a difference is not counted.
    """
    unequal = _unequal(expected, found)
    counted = unequal if excused is None else unequal & ~excused
    apart = np.abs(_exact(found[counted]) - _exact(expected[counted]))
    return Differences(
        values=expected.size,
        differing=int(counted.sum()),
        largest=float(np.where(np.isnan(apart), np.inf, apart).max()) if apart.size else 0.0,
        excused=int(unequal.sum()) - int(counted.sum()),
    )


def _unequal(expected: Array, found: Array) -> Mask:
    if is_whole(expected.dtype) and is_whole(found.dtype):
        return np.not_equal(expected, found)
    return np.not_equal(_exact(expected), _exact(found))


def _exact(values: Array) -> NDArray[np.longdouble]:
    """Every int64, uint64 and float64 is a number of this type, where the machine has one wider than float64."""
    return values.astype(np.longdouble)


def loses_digits(values: Array) -> bool:
    """Whether float64 would make other whole numbers of these."""
    if not is_whole(values.dtype) or values.dtype.itemsize < 8 or not values.size:
        return False
    return int(values.max()) > DIGITS_OF_FLOAT64 or int(values.min()) < -DIGITS_OF_FLOAT64


@dataclass(frozen=True)
class Settled:
    """Two outputs without the infinities and NaN of the reference, which are settled.

    Attributes:
        reference: finite throughout.
        found: float64; not finite only where the reference was finite.
        lost: values that are infinite or NaN in the reference and something else in the other.
    """

    reference: Float64
    found: Float64
    lost: int

    @property
    def errors(self) -> Float64:
        """|found - reference|, value by value."""
        return np.abs(self.found - self.reference)

    @property
    def apart(self) -> float:
        """The largest of the errors; not finite where `problem` says more."""
        return float(self.errors.max(initial=0.0))

    @property
    def scale(self) -> float:
        """The largest number of the reference."""
        return float(np.abs(self.reference).max(initial=0.0))

    @property
    def problem(self) -> str:
        """Why the two do not agree whatever rounding may do, or ""."""
        if self.lost:
            return f"{self.lost} outputs are not the infinity or NaN that the reference has"
        broken = int((~np.isfinite(self.found)).sum())
        return f"{broken} outputs of {self.found.size} are not finite where the reference is" if broken else ""


def settled(reference: Array, found: Array) -> Settled:
    """Take out the values of a reference that are not numbers.

    Both sides get the same finite number there: the least of the reference for -inf and the largest for +inf, so that
    no class changes, and 0 for NaN.

    Args:
        reference, found: of one shape and any floating type.
    """
    exact, other = _as_float64(reference), _as_float64(found)
    special = ~np.isfinite(exact)
    if not special.any():
        return Settled(exact, other, 0)
    same = (exact == other) | (np.isnan(exact) & np.isnan(other))
    finite = exact[~special]
    least, most = (_as_float32(end(finite)) if finite.size else 0.0 for end in (np.min, np.max))
    stand_in = np.where(np.isnan(exact), 0.0, np.where(exact < 0, least, most))
    return Settled(np.where(special, stand_in, exact), np.where(special, stand_in, other), int((special & ~same).sum()))


def _as_float32(value: float) -> float:
    """With no more digits than fp32 has, which would be told from what a candidate stores."""
    largest = float(np.finfo(np.float32).max)
    return float(np.float32(min(max(value, -largest), largest)))


def _as_float64(values: Array) -> Float64:
    with np.errstate(over="ignore", invalid="ignore"):
        return values.astype(np.float64, copy=False)
