"""JAX / Flax NNX to ONNX by jax2onnx.

BatchNorm is folded into the convolutions first. With BatchNorm in a residual chain, jax2onnx 0.17 removes
transposes that are needed: the file does not load, or loads and gives wrong numbers. Its other defect, dropping
the padding of a max-pool, is avoided in `train/models/on_jax.py`, which pads before it pools.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import jax
import numpy as np
from jax2onnx import to_onnx

from assay.export.routes.request import BroughtRequest, ExportOutcome, ExportRequest, versions_of
from assay.spec import INPUT_NAME, OUTPUT_NAME
from assay.train.brought.loaders.on_jax import load_forward
from assay.train.models import on_jax
from assay.train.weights import fold_batchnorm, load_weights

OLDEST_OPSET = 18


@dataclass(frozen=True)
class Input:
    """What jax2onnx wants to know of an input; a word in the shape is a dimension that may be any."""

    shape: tuple[int | str, ...]
    dtype: np.dtype[np.generic]


def export(request: ExportRequest) -> ExportOutcome:
    """Write the model with a dynamic batch dimension, in NHWC.

    Raises:
        ArtifactError: the weights cannot be read or do not fit.
    """
    weights = load_weights(request.weights)
    folded = set(fold_batchnorm(request.spec, weights)) != set(weights)
    to_onnx(
        on_jax.load(request.spec, weights, folded=True),
        [("batch", *request.spec.image_shape)],
        model_name=request.spec.architecture,
        opset=max(request.opset, OLDEST_OPSET),
        return_mode="file",
        output_path=str(request.output),
        input_names=[INPUT_NAME],
        output_names=[OUTPUT_NAME],
    )
    transforms = ("BatchNorm folded into the convolutions",) if folded else ()
    return ExportOutcome("NHWC", transforms, versions_of("jax", "flax", "jax2onnx", "onnx"))


def export_brought(request: BroughtRequest) -> ExportOutcome:
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
