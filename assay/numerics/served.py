"""Tensors as an inference server shows them, records of them, and the distance of an answer from the audited one.

*Records* are a numpy array with one named field for each tensor, as in `assay.train.brought`. A record of inputs is the
subject of one answer, such as an image; a record of outputs is that answer.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from assay.errors import DataError
from assay.numerics.values import is_whole, of_type
from assay.records.base import Record

Records = NDArray[np.void]
Array = NDArray[np.generic]
Datatype = Literal["BOOL", "UINT8", "UINT16", "UINT32", "UINT64", "INT8", "INT16", "INT32", "INT64", "FP32", "FP64"]

DATATYPES: dict[str, Datatype] = {
    "bool": "BOOL",
    "uint8": "UINT8",
    "uint16": "UINT16",
    "uint32": "UINT32",
    "uint64": "UINT64",
    "int8": "INT8",
    "int16": "INT16",
    "int32": "INT32",
    "int64": "INT64",
    "float32": "FP32",
    "float64": "FP64",
}
"""The Open Inference Protocol's names for numpy's types that go over every transport. It has no JSON for float16, and
no bfloat16 or smaller types at all.
"""
DTYPES = {datatype: name for name, datatype in DATATYPES.items()}
LARGEST = float(np.finfo(np.float32).max)
"""Stands for an error that is not a number, which a record in JSON cannot hold."""


class ServedTensor(Record):
    """One input or output of a served model.

    Attributes:
        shape: shape of one record, without the batch.
        index_of: for an index, the output in which it is the place of the largest value.
        name: its name.
        datatype: type of its numbers, as Triton names it.
    """

    name: str
    datatype: Datatype
    shape: list[int]
    index_of: str = ""

    @property
    def dtype(self) -> str:
        """numpy's name for its type."""
        return DTYPES[self.datatype]

    @property
    def wire_shape(self) -> list[int]:
        """The shape that the server shows: a single number has one dimension there and none in the graph."""
        return self.shape or [1]


class Opened(Protocol):
    """A model's file, opened as a server would: the result of `open_model` of `assay.infer.server.opened`.

    Attributes:
        inputs, outputs: NumPy's name of each tensor's type, by the tensor's name.
    """

    inputs: dict[str, str]
    outputs: dict[str, str]

    def __call__(self, inputs: Mapping[str, Array], outputs: Sequence[str]) -> list[Array]:
        """Return these outputs of one call, in this order; raise the library's own exceptions where it refuses the
        call.
        """


def is_deciding(outputs: Sequence[ServedTensor]) -> bool:
    """Return whether the model takes decoded pixels and gives decisions, as a study's model does."""
    return any(one.index_of for one in outputs)


def types_of(tensors: Sequence[ServedTensor]) -> dict[str, str]:
    """Return NumPy's name of each type, by tensor, in this order."""
    return {one.name: one.dtype for one in tensors}


def record_type(tensors: Sequence[ServedTensor]) -> np.dtype[np.void]:
    """Return a record type with a field for each tensor, aligned as its type needs."""
    return np.dtype([(one.name, one.dtype, tuple(one.shape)) for one in tensors], align=True)


def as_records(array: Array, tensors: Sequence[ServedTensor]) -> Records:
    """View records, or the rows of the only tensor, as records of these tensors, without copying.

    Raises:
        DataError: the array is something else.
    """
    kind = record_type(tensors)
    found, wanted = _fields(array.dtype), _fields(kind)
    if found and found == wanted and array.ndim == 1:
        return of_type(array, np.void)
    (first, *others) = wanted
    rows = array.ndim > 0 and array.size > 0 and (array.dtype, array.shape[1:]) == (first[1].base, first[1].shape)
    if others or not rows:
        raise DataError(
            "These records do not belong to the model",
            expected=", ".join(f"{name} {field}" for name, field in wanted),
            found=f"{array.dtype} {array.shape}",
        )
    flat = np.ascontiguousarray(array).reshape(len(array), -1)
    return of_type(flat.view(kind).reshape(len(array)), np.void)


def records_of(arrays: Mapping[str, Array], tensors: Sequence[ServedTensor]) -> Records:
    """Turn arrays by name, (count, *shape) each, into records."""
    found = np.zeros(len(arrays[tensors[0].name]), record_type(tensors))
    for one in tensors:
        found[one.name] = arrays[one.name]
    return found


def _fields(kind: np.dtype[Any]) -> list[tuple[str, np.dtype[np.generic]]]:
    return [(name, kind[name]) for name in kind.names or ()]


class ByName(Protocol):
    """Arrays by name: a mapping of them, or records."""

    def __getitem__(self, name: str, /) -> NDArray[Any]: ...


def errors_of(found: ByName, audited: Records, output: ServedTensor) -> NDArray[np.float64]:
    """Return how far each record's output is from the audited one: the largest difference of its numbers.

    The distance of equal infinities, and of NaN from NaN, is zero.

    The distance of an index is how far the value that it points to lies below the largest audited one. Where two values
    are nearly equal, either index is right, so it may be twice as large as that of a value.

    Args:
        found: arrays by output, (count, *shape).
        audited: (count,), the outputs that were audited.

    Returns:
        (count,); `LARGEST` where the distance is not finite.
    """
    if output.index_of:
        errors = _errors_of_index(found[output.name].astype(np.int64, copy=False), audited, output)
    else:
        errors = _errors_of_values(found[output.name], audited[output.name])
    worst: NDArray[np.float64] = errors.reshape(len(audited), -1).max(axis=1)
    worst[~np.isfinite(worst)] = LARGEST
    return worst


def _errors_of_values(found: Array, audited: Array) -> NDArray[np.float64]:
    """Return the distance of values: equal infinities agree, as NaN with NaN; differing whole numbers are at least 1
    apart.
    """
    left, right = found.astype(np.float64), audited.astype(np.float64)
    with np.errstate(invalid="ignore"):
        errors = np.abs(left - right)
    same = (found == audited) | (np.isnan(left) & np.isnan(right))
    if is_whole(audited.dtype):
        errors = np.maximum(errors, 1.0)
    return np.where(same, 0.0, errors)


def _errors_of_index(index: NDArray[np.int64], audited: Records, output: ServedTensor) -> NDArray[np.float64]:
    if (index == audited[output.name]).all():  # nearly always; a load test has no time for the rest
        return np.zeros(index.shape)
    values = audited[output.index_of].astype(np.float64)
    known = (index >= 0) & (index < values.shape[-1])
    chosen = np.take_along_axis(values, np.where(known, index, 0)[..., np.newaxis], axis=-1)[..., 0]
    return np.where(known, values.max(axis=-1) - chosen, LARGEST)
