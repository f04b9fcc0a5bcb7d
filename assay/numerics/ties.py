"""Tell whether an index differs because the values that decide it tie.

An index is a whole number and has no rounding error, but the values that it points to have one: where the largest two
are closer than their tolerance, two correct runs may choose differently. No other difference of an index is excused.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from assay.files.named_arrays import read_named

VALUES, TOLERANCE = "values of ", "tolerance of "

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
    """

    values: Float64
    tolerance: float

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
        values = self.values[np.where(there, known_places, 0)]
        records, outer, choices, inner = values.shape
        shape = (records, outer, -1, inner)
        wanted, got = _indices(expected, choices).reshape(shape), _indices(found, choices).reshape(shape)
        known = (wanted >= 0) & (got >= 0) & there[:, None, None, None]
        apart = np.abs(_chosen(values, wanted) - _chosen(values, got))
        ordered = np.sort(got, axis=2)
        distinct = ~(ordered[:, :, 1:] == ordered[:, :, :-1]).any(axis=2, keepdims=True)
        excused: Mask = known & (apart <= 2 * self.tolerance) & distinct
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


def _indices(numbers: Array, choices: int) -> NDArray[np.int64]:
    """Return numbers as whole numbers, with -1 for those that are not an index."""
    exact = numbers.astype(np.longdouble)
    good = np.isfinite(exact) & (exact == np.floor(exact)) & (exact >= 0) & (exact < choices)
    return np.where(good, exact, -1).astype(np.int64)


def _chosen(values: Float64, indices: NDArray[np.int64]) -> Float64:
    return np.take_along_axis(values, np.maximum(indices, 0), axis=2)


def read_deciders(path: Path) -> dict[str, Decider]:
    """Read the deciders, by output, that `on_onnx_deciders.save_deciders` wrote; none where there is no such file."""
    if not path.is_file():
        return {}
    arrays = read_named(path)
    outputs = [name.removeprefix(VALUES) for name in arrays if name.startswith(VALUES)]
    return {name: Decider(arrays[VALUES + name], float(arrays[TOLERANCE + name])) for name in outputs}
