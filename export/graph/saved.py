"""ONNX files of any size on disk."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

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


def is_large(model: onnx.ModelProto) -> bool:
    """Return whether one file is too small to hold a model."""
    return bool(model.ByteSize() > MOST_BYTES)
