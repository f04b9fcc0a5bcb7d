"""Columns of one output that are separate quantities: boxes beside scores, metres beside radians.

The tolerance of an output is on the scale of its largest number: next to a number of a million, an error of a tenth is
rounding. So each column, which is one place along one dimension of the output, is also judged on its own scale:

    limit = max(tolerance / scale x own scale, FACTOR x own native error, FLOOR_ULPS ulps at 1), at most the tolerance

The first term is the error allowed for the whole output, relative to its numbers. The second makes the rule sound: a
column that is the small difference of large numbers has a native error that is large for it, and is allowed that much
more. The third is for sigmoid, softmax and tanh, which runtimes compute with an absolute error on the scale of 1 and
not a relative one (ONNX Runtime's sigmoid of -20 is 1.5e-8 in place of 2e-9): for an output that is smaller than 1
itself, the term is on its own scale. Errors go unseen in columns smaller than that, in columns of fewer than
`FEWEST_VALUES` numbers, and in columns that are zero throughout, which may be the zeros of a ReLU.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from assay.numerics.agreement import FACTOR, FLOOR_ULPS

Float64 = NDArray[np.float64]

FEWEST_VALUES = 8
"""The fewest errors to judge a column by: the largest of fewer may be small by luck."""


@dataclass(frozen=True)
class Columns:
    """Limits of the columns along one dimension.

    Attributes:
        axis: the dimension, of an array (records, *shape).
        scales: largest |reference| of each column, (size,); `limits` is the largest error allowed in each.
    """

    axis: int
    scales: Float64
    limits: Float64


def columns_of(reference: Float64, native_error: Float64, tolerance: float) -> list[Columns]:
    """Return the limits of all columns that can be judged by themselves.

    Args:
        reference: finite, (records, *shape).
        native_error: largest |native - reference| of correct fp32 runs at each place, same shape.
        tolerance: tolerance of the whole output.
    """
    whole = float(np.abs(reference).max()) if reference.size else 0.0
    if not whole or not tolerance:
        return []
    floor = FLOOR_ULPS * float(np.spacing(np.float32(min(whole, 1.0))))
    found = []
    for axis in range(1, reference.ndim):
        size = reference.shape[axis]
        if size < 2 or reference.size // size < FEWEST_VALUES:
            continue
        scales, errors = _largest(np.abs(reference), axis), _largest(native_error, axis)
        limits = np.maximum(np.maximum(tolerance / whole * scales, FACTOR * errors), floor)
        found.append(Columns(axis, scales, np.where(scales > 0, np.minimum(limits, tolerance), tolerance)))
    return found


def reason_against_columns(columns: Sequence[Columns], error: Float64) -> str:
    """Return why an output fails, judged by its worst column, or "".

    Args:
        error: |candidate - reference|, (any number of records, *shape).
    """
    worst, reason = 1.0, ""
    for one in columns:
        largest = _largest(error, one.axis)
        shares = largest / one.limits
        place = int(shares.argmax())
        if shares[place] > worst:
            worst = float(shares[place])
            reason = (
                f"column {place} of {len(shares)} differs by {largest[place]:.3g}, where {one.limits[place]:.3g} is "
                f"tolerated on its own scale of {one.scales[place]:.3g}"
            )
    return reason


def _largest(values: Float64, axis: int) -> Float64:
    found: Float64 = values.max(axis=tuple(other for other in range(values.ndim) if other != axis), initial=0.0)
    return found
