"""PyTorch to ONNX by `torch.export` (`torch.onnx.export(dynamo=True)`)."""

from __future__ import annotations

import torch

from assay.export.routes.request import ExportOutcome, ExportRequest, versions_of
from assay.spec import INPUT_NAME, OUTPUT_NAME
from assay.train.models import on_torch
from assay.train.weights import load_weights

OLDEST_OPSET = 18
"""torchlib is written for opset 18; older ones need a conversion that is tried afterwards, for every route."""


def export(request: ExportRequest) -> ExportOutcome:
    """Write the model with a dynamic batch dimension, in NCHW.

    Raises:
        ArtifactError: the weights cannot be read or do not fit.
    """
    model = on_torch.load(request.spec, load_weights(request.weights))
    height, width, channels = request.spec.image_shape
    torch.onnx.export(
        model,
        (torch.zeros(2, channels, height, width),),
        request.output,
        dynamo=True,
        opset_version=max(request.opset, OLDEST_OPSET),
        external_data=False,
        input_names=[INPUT_NAME],
        output_names=[OUTPUT_NAME],
        dynamic_shapes=({0: torch.export.Dim("batch")},),
        verbose=False,
    )
    return ExportOutcome("NCHW", (), versions_of("torch", "onnxscript", "onnx"))
