"""A user's JAX model to ONNX by jax2onnx."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import jax
import numpy as np
from jax2onnx import to_onnx

from assay.export.routes.request import ExportOutcome, versions_of
from assay.export.routes.user_request import UserExportRequest
from assay.train.brought.loaders.on_jax import load_forward

OLDEST_OPSET = 18


@dataclass(frozen=True)
class Input:
    """What jax2onnx wants to know of an input; a word in the shape is a dimension that may be any."""

    shape: tuple[int | str, ...]
    dtype: np.dtype[np.generic]


def export(request: UserExportRequest) -> ExportOutcome:
    """Write the model; same errors as `assay.train.brought.loaders.on_jax.load`."""
    model = request.model
    forward = load_forward(model)
    inputs = [
        Input(tuple(size or "batch" for size in model.open_shape_of(one)), np.dtype(one.dtype)) for one in model.inputs
    ]

    def flat(*arrays: jax.Array) -> object:
        found = _apart(list(forward(*arrays).values()), arrays)
        return found[0] if len(found) == 1 else tuple(found)

    to_onnx(
        flat,
        inputs,
        model_name=model.location.name,
        opset=max(request.opset, OLDEST_OPSET),
        return_mode="file",
        output_path=str(request.output),
        input_names=request.inputs,
        output_names=request.outputs,
    )
    return ExportOutcome("", (), versions_of("jax", "jax2onnx", "onnx"))


def _apart(outputs: list[jax.Array], inputs: Sequence[jax.Array]) -> list[jax.Array]:
    """The outputs, a copy in place of each that is an input or stands there twice: jax2onnx gives a value one name."""
    seen = [id(one) for one in inputs]
    found = []
    for one in outputs:
        found.append(jax.numpy.copy(one) if id(one) in seen else one)
        seen.append(id(one))
    return found
