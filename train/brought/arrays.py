"""The conversion of records to a model's inputs, and of its outputs to rows of numbers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from assay.errors import InputError
from assay.numerics.values import loses_digits
from assay.train.brought.model import Tensor, UserModel
from assay.train.brought.varying import padded

Array = NDArray[np.generic]
Records = NDArray[np.void]
Kind = TypeVar("Kind", bound=np.generic)


def record_type(inputs: Sequence[Tensor]) -> np.dtype[np.void]:
    """Return a record type with a field for each input, aligned as its type needs."""
    return np.dtype([(one.name, one.dtype, one.shape) for one in inputs], align=True)


def in_bf16(inputs: Sequence[Tensor], records: Records) -> Records:
    """Round the inputs that a model takes in bfloat16, in place; return the records."""
    for one in inputs:
        if one.narrow:
            bits = np.ascontiguousarray(records[one.name]).view(np.uint32)
            upper = (bits + 0x7FFF + (bits >> 16 & 1)) & np.uint32(0xFFFF0000)  # to nearest, ties to even
            records[one.name] = upper.view(np.float32).reshape(records[one.name].shape)
    return records


def repeated(records: NDArray[Kind], count: int) -> NDArray[Kind]:
    """Return a copy of so many records or images, starting again from the first where there are too few. numpy.resize
    would pack the fields of records, in a form that PyTorch does not read.
    """
    return records[np.arange(count) % len(records)]


def inputs_of(model: UserModel, records: Records) -> list[Array]:
    """Return the inputs of one call, contiguous and in the model's order.

    A single input, a single row and a whole call are views; several inputs of several rows are copied into place.
    Inputs that all records of a call share are those of the first.

    Args:
        records: records of `record_type`, (batch,); (1,) where a record is a whole call.
    """
    return [
        np.require((records[0] if model.whole or one.shared else records)[one.name], requirements="C")
        for one in model.inputs
    ]


def feeds_of(model: UserModel, records: Records) -> dict[str, Array]:
    """Return the same by name; the records repeat where the model's batch is larger."""
    inputs = inputs_of(model, repeated(records, model.batch or len(records)))
    return dict(zip((one.name for one in model.inputs), inputs, strict=True))


def rows_of(model: UserModel, outputs: Sequence[Array]) -> Array:
    """Return all outputs of one call as (records, numbers); only several outputs are copied.

    The numbers have a type that can hold them all, which next to whole numbers above 2^53 is numpy's longest floating
    point.

    Raises:
        InputError: there is another number of outputs, or they do not have a row for each record.
    """
    if len(outputs) != len(model.outputs):
        raise InputError(
            "The model gave an unexpected number of outputs", expected=str(len(model.outputs)), found=str(len(outputs))
        )
    try:
        count = 1 if model.whole else len(outputs[0])
        pairs = zip(outputs, model.outputs, strict=True)
        rows = [np.reshape(padded(one, output) if output.varying else one, (count, -1)) for one, output in pairs]
    except (TypeError, ValueError) as error:  # no dimension at all, or another number of rows
        shapes = ", ".join(str(np.shape(one)) for one in outputs)
        raise InputError("The outputs do not have one row for each input", found=f"shapes {shapes}") from error
    return rows[0] if len(rows) == 1 else _side_by_side(rows)


def _side_by_side(rows: Sequence[Array]) -> Array:
    loses = np.result_type(*rows).kind == "f" and any(loses_digits(one) for one in rows)
    return np.concatenate([one.astype(np.longdouble) for one in rows] if loses else rows, axis=1)
