"""ONNX files of any size on disk."""

from __future__ import annotations

import math
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from google.protobuf.message import Message as ProtobufMessage

if TYPE_CHECKING:
    import onnx

MOST_BYTES = (2 << 30) - 1
"""The largest protobuf message; a larger model has its weights in a file beside it."""


def save_model(model: onnx.ModelProto, path: Path) -> None:
    """Write a model, with its weights in `NAME.data` beside it where one file cannot hold them; an existing data file
    is replaced, since onnx would append to it.

    Args:
        model: the whole model, including external data.

    Raises:
        OSError: the disk is full, or the folder cannot be written.
    """
    import onnx  # noqa: PLC0415  only the process that opens files loads it

    (path.parent / f"{path.name}.data").unlink(missing_ok=True)
    if is_large(model):
        onnx.save(model, path, save_as_external_data=True, location=f"{path.name}.data")
    else:
        onnx.save(model, path)


def save_in_two(model: onnx.ModelProto, path: Path) -> None:
    """Write a model with its weights beside it, one after the other: a whole message would take thrice their memory.

    Raises:
        OSError: the disk is full, or the folder cannot be written.
    """
    import onnx  # noqa: PLC0415

    place = path.parent / f"{path.name}.data"
    referring = []
    with place.open("wb") as stream:
        for one in model.graph.initializer:
            if not one.HasField("raw_data"):
                referring.append(one)
                continue
            beside = onnx.TensorProto(name=one.name, data_type=one.data_type, dims=one.dims)
            beside.data_location = onnx.TensorProto.EXTERNAL
            known = {"location": place.name, "offset": stream.tell(), "length": stream.write(one.raw_data)}
            beside.external_data.extend(
                onnx.StringStringEntryProto(key=key, value=str(value)) for key, value in known.items()
            )
            referring.append(beside)
    onnx.save(with_initialisers(model, referring), path)


def with_initialisers(model: onnx.ModelProto, initialisers: Iterable[onnx.TensorProto]) -> onnx.ModelProto:
    """Return a copy of a model with other initialisers, without ever copying its own."""
    import onnx  # noqa: PLC0415

    graph = onnx.GraphProto()
    for field, value in model.graph.ListFields():
        if field.name != "initializer":
            _copy(graph, field.name, value)
    graph.initializer.extend(initialisers)
    found = onnx.ModelProto()
    for field, value in model.ListFields():
        if field.name != "graph":
            _copy(found, field.name, value)
    found.graph.CopyFrom(graph)
    return found


def _copy(message: ProtobufMessage, name: str, value: object) -> None:
    """Set a field of a protobuf message, whether it is a number, a message or repeated."""
    if isinstance(value, str | int):
        setattr(message, name, value)
    elif isinstance(value, ProtobufMessage):
        getattr(message, name).CopyFrom(value)
    else:
        getattr(message, name).extend(value)


def is_large(model: onnx.ModelProto) -> bool:
    """Return whether one file is too small to hold a model; weights are counted by their shapes, since protobuf finds
    the size of a message by writing it.
    """
    weights = sum(map(bytes_of, model.graph.initializer))
    return bool(weights + int(with_initialisers(model, ()).ByteSize()) > MOST_BYTES)


def bytes_of(tensor: onnx.TensorProto) -> int:
    """Return the bytes of a weight, by its shape where they are raw."""
    from onnx import helper  # noqa: PLC0415

    if not tensor.HasField("raw_data"):
        return int(tensor.ByteSize())
    return int(math.prod(tensor.dims) * helper.tensor_dtype_to_np_dtype(tensor.data_type).itemsize)
