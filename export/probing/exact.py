"""A user's model in float64, and whether that can be the reference for its outputs."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from assay.errors import InputError
from assay.export.probing.calls import MOST_ROWS, computed
from assay.export.probing.undecided import UnsoundError
from assay.export.reference.memory import TooLargeError
from assay.numerics.columns import columns_of, reason_against_columns
from assay.numerics.following import FOLLOWING_POLICY, is_counted, reason_not_followed
from assay.numerics.precisions import is_quantised
from assay.numerics.rounding import rounding_of
from assay.numerics.values import Settled, is_whole, settled
from assay.train.brought.arrays import Records
from assay.train.brought.loaders.loaded import Compute
from assay.train.brought.model import Tensor, UserModel
from assay.train.brought.varying import alike

Array = NDArray[np.generic]

MOST_EVALUATED = 8
"""The most records that onnx's reference evaluator, which is slow, computes in float64."""


def computed_exactly(model: UserModel, compute: Compute, records: Records, rows: int = MOST_ROWS) -> Array:
    """Return the model's outputs in float64, with fewer rows a call where memory cannot hold the values of more.

    Args:
        rows: number of rows in one call, where the model takes any number.

    Raises:
        TooLargeError: memory cannot even hold those of one call.
        InputError: a floating-point output has another type: whole numbers next to it would hide that in the rows.
    """

    def checked(inputs: Sequence[Array]) -> dict[str, Array]:
        outputs = compute(inputs)
        for name, value in outputs.items():
            if not is_whole(value.dtype) and value.dtype != np.float64:
                raise InputError("It does not compute in float64 throughout", found=f"'{name}' in {value.dtype}")
        return outputs

    rows = min(rows, len(records))
    while True:
        try:
            return computed(model, checked, records, rows)
        except TooLargeError:
            if model.whole or model.batch or rows == 1:
                raise
            rows = (rows + 1) // 2


def check_reference(model: UserModel, exact: Array, native: Array, *, by_columns: bool = False) -> None:
    """Make sure that outputs can be a reference for a model's own: every output on its own scale.

    Args:
        exact: float64 outputs, (records, `model.width`); `native` has at least as many records.
        by_columns: whether to judge every column on its own scale too, as a reference from an export must be: a column
            that is a small difference of large numbers is then not a reference, and fp32 takes its place.

    Raises:
        InputError: an output is not the model's, or further from it than the rounding of its precision explains; or all
            outputs are zero.
    """
    if not exact.any():
        raise InputError("Its outputs in float64 are zero everywhere")
    own, ceiling = native[: len(exact)], rounding_of(model.arithmetic).ceiling
    if own.shape != exact.shape:
        raise InputError("Its outputs have a different shape", expected=str(own.shape), found=str(exact.shape))
    for output, part in model.parts:
        if is_counted(output.dtype, model.arithmetic):
            continue
        both = settled(*_of_one_size(output, exact[:, part], own[:, part]))
        if is_quantised(model.arithmetic):
            _check_following(output.name, both)
            continue
        scale, apart = both.scale, both.apart
        by_rounding = f"by more than rounding in {model.arithmetic}"
        said = f"Its output '{output.name}' in float64 differs from the model's {by_rounding}"
        if both.problem or not apart <= ceiling * scale:
            unsound = UnsoundError(
                said,
                expected=f"at most {ceiling * scale:.3g} apart",
                found=both.problem or f"{apart:.3g}",
            )
            largest = max(scale, float(np.abs(both.found).max()))
            unsound.relative = apart / largest if largest and not both.problem else 0.0
            raise unsound
        shape = (-1, *output.shape)
        reference, error = both.reference.reshape(shape), both.errors.reshape(shape)
        columns = columns_of(reference, np.zeros_like(reference), ceiling * scale) if by_columns else []
        if reason := reason_against_columns(columns, error):
            raise InputError(
                said,
                found=reason,
            )


def _of_one_size(output: Tensor, exact: Array, own: Array) -> tuple[Array, Array]:
    """Return the rows of both sides that have one size, where that depends on the values: whether the others are right
    is judged by what selects their entries (`assay.numerics.ties.selected`).

    Raises:
        InputError: none has.
    """
    if not output.varying:
        return exact, own
    same = alike(exact, own, output)
    if not same.any():
        raise InputError(f"Its output '{output.name}' in float64 never has the size of the model's")
    return exact[same], own[same]


def _check_following(name: str, both: Settled) -> None:
    """
    Raises:
        InputError: a quantised model's output in float64 is not followed by its own.
    """
    if reason := reason_not_followed(both):
        unsound = UnsoundError(
            f"Its output '{name}' in float64, with the weights that it stores, is not what the model computes",
            expected=FOLLOWING_POLICY,
            found=reason,
        )
        largest = max(both.scale, float(np.abs(both.found).max(initial=0.0)))
        unsound.relative = both.apart / largest if largest and not both.problem else 0.0
        raise unsound


def with_own_whole_numbers(model: UserModel, exact: Array, native: Array) -> Array:
    """Return a reference whose whole numbers are those of the model itself: they are exact in any precision, and an
    export must not be their reference.
    """
    if not any(is_whole(one.dtype) for one in model.outputs):
        return exact
    found = exact.astype(np.result_type(exact, native))
    for output, part in model.parts:
        if is_whole(output.dtype):
            found[:, part] = native[: len(exact), part]
    return found
