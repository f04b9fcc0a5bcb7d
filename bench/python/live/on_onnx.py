"""A live ONNX model as its file."""

from __future__ import annotations

from pathlib import Path

import onnx


def write(model: object, inputs: object, stem: Path) -> tuple[Path, tuple[str, ...]] | None:
    """Write a model; see `assay.bench.python.live.written.Write`."""
    del inputs
    if not isinstance(model, onnx.ModelProto):
        return None
    path = stem.with_suffix(".onnx")
    onnx.save(model, path)
    weights = {one.name for one in model.graph.initializer}
    return path, tuple(one.name for one in model.graph.input if one.name not in weights)
