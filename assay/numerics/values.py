"""Agreement of two outputs in the values that have no rounding: whole numbers, infinities and NaN.

Whole numbers and bools have no rounding error: they are equal or differ, and those that differ are counted. Infinity
and NaN are values: where both sides have the same infinity, or NaN, they agree, and only the other values have a
distance.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar, cast

import numpy as np
from numpy.typing import DTypeLike, NDArray

from assay.errors import DataError
from assay.numerics.rounding import FP32

Array = NDArray[np.generic]
Float64 = NDArray[np.float64]
Mask = NDArray[np.bool_]

WHOLE_KINDS = "biu"
Numbers = TypeVar("Numbers", bound=np.generic)
DIGITS_OF_FLOAT64 = 2**53
"""The number beyond which not every whole number is a float64."""
NO_EVIDENCE = "the reference is infinite or NaN throughout, so that there is nothing to compare"
"""The words of a verdict on an output of which nothing can be judged."""
EQUALITY = "equality: integers have no rounding error"
LARGEST = np.array([np.finfo(np.float64).max, np.finfo(np.float32).max, 2.0**127 * (2 - 2.0**-7), 65504.0])
"""The largest numbers of float64, fp32, bf16 and fp16."""
LEAST_FILLING, TIMES_OTHERS = 1024.0, 64.0
"""How large a number in place of others is at least, and how many times larger than these. Up to 64 times, 16 ulps on
its scale are less than half a step of TF32 on theirs.
"""
SAME_FILLING = 1e-6
"""The relative distance up to which numbers are one filling: scores that are added to -1e9 vanish in fp32."""
REPEATABLE = FP32.ceiling / FP32.factor
"""The largest difference of sums of two runs taken in another order: with more than this, the tolerance of
`assay.numerics.agreement` would be as large as it can be.
"""


def of_type(array: NDArray[Any], kind: type[Numbers]) -> NDArray[Numbers]:
    """Return the array itself, checked to hold values of this type.

    Raises:
        DataError: it holds values of another type.
    """
    if not issubclass(array.dtype.type, kind):
        raise DataError("An array has values of an unexpected type", expected=kind.__name__, found=str(array.dtype))
    return cast("NDArray[Numbers]", array)  # NumPy's types learn nothing from a check of `dtype`


@dataclass(frozen=True)
class Differences:
    """The differences between whole numbers, or bools, of two sides that should be equal.

    Attributes:
        differing: how many of `values` are unequal and not excused; `excused` is how many more are unequal.
        largest: largest difference among the differing ones; infinite where one is not a number.
    """

    values: int
    differing: int
    largest: float
    excused: int = 0

    def __str__(self) -> str:
        said = f"{self.differing} of {self.values} numbers differ"
        if self.differing:
            said += f" (largest by {int(self.largest)})" if np.isfinite(self.largest) else " (some are NaN)"
        return f"{said}; {self.excused} more differ where the values that decide them tie" if self.excused else said


def is_whole(dtype: DTypeLike) -> bool:
    """Return whether a type has only whole numbers, or bools."""
    return np.dtype(dtype).kind in WHOLE_KINDS


def padding_of(dtype: DTypeLike) -> float | int:
    """Return the value that stands for no entry of an output whose size varies, in a type that holds it (`holding`)."""
    kind = holding(np.dtype(dtype))
    if not is_whole(kind):
        return float("nan")
    limits = np.iinfo(kind)
    return max(int(limits.min), -DIGITS_OF_FLOAT64) if limits.min < 0 else min(int(limits.max), DIGITS_OF_FLOAT64)


def holding(dtype: np.dtype[Any]) -> np.dtype[Any]:
    """Return the type in which an output is padded: bools have no third value."""
    return np.dtype("int8") if dtype.kind == "b" else dtype


def differences(expected: Array, found: Array, excused: Mask | None = None) -> Differences:
    """Count the differences.

    Args:
        expected: whole numbers or bools, which may be stored as floating point.
        found: numbers of the same shape and any type; a number with a fraction equals no whole number.
        excused: mask of the same shape, true where a difference is not counted.
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
    """Convert to a type that holds every int64, uint64 and float64, where the machine has one wider than float64."""
    return values.astype(np.longdouble)


def lacks_numbers(values: Array) -> bool:
    """Return whether all of these values are infinite or NaN, or there are none."""
    return not np.isfinite(values).any()


def overflowing(exact: Array, natives: Sequence[Array]) -> Array:
    """Return a reference in float64 with what fp32 has in the places where it is finite and every correct run in fp32
    has the same infinity, or NaN: the number, or one on the way to it, is too large for fp32. Without such a place, the
    reference itself.

    Args:
        natives: outputs of correct runs in fp32, of its shape.
    """
    if not natives:
        return exact
    first, *others = natives
    there = np.isfinite(exact) & ~np.isfinite(first)
    for one in others:
        there &= (one == first) | (np.isnan(one) & np.isnan(first))
    return np.where(there, first, exact) if there.any() else exact


def loses_digits(values: Array) -> bool:
    """Return whether some of these whole numbers would change in float64."""
    if not is_whole(values.dtype) or values.dtype.itemsize < 8 or not values.size:
        return False
    return int(values.max()) > DIGITS_OF_FLOAT64 or int(values.min()) < -DIGITS_OF_FLOAT64


@dataclass(frozen=True)
class Settled:
    """Two outputs in which the reference's infinities and NaN have been replaced.

    Attributes:
        reference: float64, finite throughout.
        found: float64; not finite only where the reference was finite.
        lost: number of values that are infinite or NaN in the reference and something else in the other output.
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
        """The largest of the errors; not finite where `problem` gives the reason."""
        return float(self.errors.max(initial=0.0))

    @property
    def scale(self) -> float:
        """The largest number of the reference."""
        return float(np.abs(self.reference).max(initial=0.0))

    @property
    def problem(self) -> str:
        """Why the two disagree whatever rounding may do, or ""."""
        if self.lost:
            return f"{self.lost} outputs differ from the infinity or NaN of the reference"
        broken = int((~np.isfinite(self.found)).sum())
        return f"{broken} outputs of {self.found.size} are not finite where the reference is" if broken else ""


def settled(reference: Array, found: Array, whole: Array | None = None) -> Settled:
    """Replace the values of a reference that are not finite numbers, and those that only fill places.

    Where both sides have the same one, both get the same finite number: the reference's least for -inf and its largest
    for +inf, so that no class changes, and 0 for NaN. The largest number of a type on both sides counts as an infinity,
    since a mask with the least number of fp32 has that of float64 in float64. A filling, such as -1e9 in masked scores,
    is scaled down on both sides to at most twice the other numbers, so that these are not judged on its scale.

    Args:
        reference, found: arrays of one shape and any floating type.
        whole: all numbers that the reference is a part of, which show a filling; None where it is all of them.
    """
    exact, other = _with_infinities(_as_float64(reference), _as_float64(found))
    if (filling := _filling_of(exact if whole is None else _as_float64(whole))) is not None:
        there = _close(np.abs(exact), filling.size)
        exact, other = (np.where(there, one * filling.factor, one) for one in (exact, other))
    special = ~np.isfinite(exact)
    if not special.any():
        return Settled(exact, other, 0)
    same = (exact == other) | (np.isnan(exact) & np.isnan(other))
    finite = exact[~special]
    least, most = (_as_float32(end(finite)) if finite.size else 0.0 for end in (np.min, np.max))
    stand_in = np.where(np.isnan(exact), 0.0, np.where(exact < 0, least, most))
    return Settled(np.where(special, stand_in, exact), np.where(special, stand_in, other), int((special & ~same).sum()))


@dataclass(frozen=True)
class _Filling:
    """The size of the numbers that fill places, and the power of two that scales them down."""

    size: float
    factor: float


def _filling_of(values: Float64) -> _Filling | None:
    """Return the filling of an output, or None: a number that it has more than once, that is large, and many times
    larger than all others.
    """
    sizes = np.abs(values)
    sizes = sizes[np.isfinite(sizes) & ~np.isin(sizes, LARGEST)]
    most = float(sizes.max(initial=0.0))
    if most < LEAST_FILLING:
        return None
    there = _close(sizes, most)
    others = float(sizes[~there].max(initial=0.0))
    if there.sum() < 2 or not 0 < others < most / TIMES_OTHERS:
        return None
    return _Filling(most, 2.0 ** (np.floor(np.log2(others / most)) + 1))


def _close(sizes: Float64, to: float) -> Mask:
    found: Mask = np.abs(sizes - to) <= SAME_FILLING * to
    return found


def _with_infinities(exact: Float64, other: Float64) -> tuple[Float64, Float64]:
    """Return both sides with infinities in place of the largest number of a type; of fp16's, where both have one."""
    sizes = np.abs(exact)
    there = np.isin(sizes, LARGEST)
    if not there.any():
        return exact, other
    both = there & np.isin(np.abs(other), LARGEST) & (np.signbit(exact) == np.signbit(other))
    infinite = np.copysign(np.inf, exact)
    beyond_fp16 = there & (sizes > np.finfo(np.float16).max)
    return np.where(both | beyond_fp16, infinite, exact), np.where(both, infinite, other)


def _as_float32(value: float) -> float:
    """Round to the digits of fp32: more digits would distort what a candidate is seen to store."""
    largest = float(np.finfo(np.float32).max)
    return float(np.float32(min(max(value, -largest), largest)))


def _as_float64(values: Array) -> Float64:
    with np.errstate(over="ignore", invalid="ignore"):
        return values.astype(np.float64, copy=False)


def difference(first: Mapping[str, Array], second: Mapping[str, Array], most: float = REPEATABLE) -> str:
    """Say how two answers differ beyond what the order of sums explains, or ""; each output on its own scale.

    Args:
        most: largest difference over the largest number of an output.
    """
    for name, one in first.items():
        other = second.get(name)
        if other is None or other.shape != one.shape:
            return f"output '{name}' of shape {one.shape}, then {None if other is None else other.shape}"
        if is_whole(one.dtype):
            counted = differences(one, other)
            if counted.differing:
                return f"output '{name}': {counted}"
        elif one.size:
            both = settled(one, other)
            if both.problem or both.apart > most * both.scale:
                return f"output '{name}': " + ("other values are finite" if both.problem else f"{both.apart:.3g} apart")
    return ""
