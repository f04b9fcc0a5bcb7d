"""JAX / Flax NNX to ONNX by jax2onnx.

BatchNorm is folded into the convolutions first. With BatchNorm in a residual chain, jax2onnx 0.17 removes
transposes that are needed: the file does not load, or loads and gives wrong numbers. Its other defect, dropping
the padding of a max-pool, is avoided in `train/models/on_jax.py`, which pads before it pools.
"""

from __future__ import annotations

from jax2onnx import to_onnx

from assay.export.routes.request import ExportOutcome, ExportRequest, versions_of
from assay.spec import INPUT_NAME, OUTPUT_NAME
from assay.train.models import on_jax
from assay.train.weights import fold_batchnorm, load_weights

OLDEST_OPSET = 18


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
