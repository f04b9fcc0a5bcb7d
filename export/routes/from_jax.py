"""JAX to ONNX by jax2onnx: a function, or one of our models in Flax NNX.

Our models' BatchNorm is folded into the convolutions first. With BatchNorm in a residual chain, jax2onnx 0.17 removes
transposes that are needed: the file does not load, or loads and gives wrong numbers. Its other defect, dropping
the padding of a max-pool, is avoided in `train/models/on_jax.py`, which pads before it pools.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import jax
import numpy as np
from jax2onnx import to_onnx

from assay.export.routes.request import ExportOutcome, ExportRequest, versions_of
from assay.train.brought.loaders.on_jax import load_forward
from assay.train.brought.model import UserModel
from assay.train.built import BuiltModel
from assay.train.models import on_jax
from assay.train.weights import fold_batchnorm, load_weights

OLDEST_OPSET = 18
FOLDED = "BatchNorm folded into the convolutions"


@dataclass(frozen=True)
class Input:
    """The description of an input for jax2onnx; a word in the shape is a dimension of any size."""

    shape: tuple[int | str, ...]
    dtype: np.dtype[np.generic]


def export(request: ExportRequest) -> ExportOutcome:
    """Write the model, with images in NHWC.

    Raises:
        ArtifactError: the weights cannot be read or do not fit.
        AssayError: a user's file fails.
    """
    model = request.model
    function, transforms = _folded(model) if isinstance(model, BuiltModel) else (_flat(model), ())
    to_onnx(
        function,
        [Input(tuple(size or "batch" for size in one.shape), np.dtype(one.dtype)) for one in request.inputs()],
        model_name=model.name,
        opset=max(request.opset, OLDEST_OPSET),
        return_mode="file",
        output_path=str(request.output),
        input_names=[one.name for one in request.inputs()],
        output_names=request.outputs,
    )
    return ExportOutcome("NHWC", transforms, versions_of("jax", "flax", "jax2onnx", "onnx"))


def _folded(model: BuiltModel) -> tuple[Callable[..., object], tuple[str, ...]]:
    """Return the model without BatchNorm, and the transforms made for that."""
    weights = load_weights(model.file)
    changed = set(fold_batchnorm(model.spec, weights)) != set(weights)
    return on_jax.load(model.spec, weights, folded=True), (FOLDED,) if changed else ()


def _flat(model: UserModel) -> Callable[..., object]:
    """Return the model as a function of arrays by position to one array, or to several in the model's order."""
    forward = load_forward(model)

    def flat(*arrays: jax.Array) -> object:
        found = _apart(list(forward(*arrays).values()), arrays)
        return found[0] if len(found) == 1 else tuple(found)

    return flat


def _apart(outputs: list[jax.Array], inputs: Sequence[jax.Array]) -> list[jax.Array]:
    """Return the outputs, copying each that is an input or appears twice: jax2onnx gives a value only one name."""
    seen = [id(one) for one in inputs]
    found = []
    for one in outputs:
        found.append(jax.numpy.copy(one) if id(one) in seen else one)
        seen.append(id(one))
    return found
