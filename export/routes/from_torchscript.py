"""PyTorch to ONNX by tracing to TorchScript (`torch.onnx.export(dynamo=False)`), the older exporter."""

from __future__ import annotations

from pathlib import Path

import onnx
import torch
from onnxscript import optimizer

from assay.export.checking.check import unranked
from assay.export.graph.inspect import read_model
from assay.export.routes.from_torch import example_of, what_is_traced
from assay.export.routes.request import BroughtRequest, ExportOutcome, ExportRequest, versions_of
from assay.spec import INPUT_NAME, OUTPUT_NAME
from assay.train.models import on_torch
from assay.train.weights import load_weights

NEWEST_OPSET = 20
"""The exporter knows no newer one and is no longer developed."""


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
        dynamo=False,
        opset_version=min(request.opset, NEWEST_OPSET),
        input_names=[INPUT_NAME],
        output_names=[OUTPUT_NAME],
        dynamic_axes={INPUT_NAME: {0: "batch"}, OUTPUT_NAME: {0: "batch"}},
    )
    return ExportOutcome("NCHW", _fold(request.output), versions_of("torch", "onnxscript", "onnx"))


def export_brought(request: BroughtRequest) -> ExportOutcome:
    """By `torch.onnx.export(dynamo=False)`."""
    model = request.model
    any_batch = not model.whole and model.batch is None
    torch.onnx.export(
        what_is_traced(request),
        example_of(request),
        request.output,
        dynamo=False,
        opset_version=min(request.opset, NEWEST_OPSET),
        input_names=request.inputs,
        output_names=request.outputs,
        dynamic_axes={name: {0: "batch"} for name in (*_batched(request), *request.outputs)} if any_batch else None,
    )
    return ExportOutcome("", (), versions_of("torch", "onnxscript", "onnx"))


def _batched(request: BroughtRequest) -> list[str]:
    """Names of the inputs that have the batch."""
    return [name for name, one in zip(request.inputs, request.model.inputs, strict=True) if not one.shared]


def _fold(path: Path) -> tuple[str, ...]:
    """Fold constants where the trace computes shapes in a way that shape inference cannot follow (in vit-tiny,
    the split of the attention's heads); other files are left as the exporter wrote them.

    Returns:
        The transforms that were needed.
    """
    model = read_model(path)
    if not unranked(model):
        return ()
    onnx.save(optimizer.optimize(model), path)
    return ("constants folded by onnxscript.optimizer, to make shape inference possible",)
