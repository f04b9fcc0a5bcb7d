"""PyTorch to ONNX by `torch.export` (`torch.onnx.export(dynamo=True)`)."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn

from assay.export.graph.saved import MOST_BYTES
from assay.export.routes.request import BroughtRequest, ExportOutcome, ExportRequest, versions_of
from assay.spec import INPUT_NAME, OUTPUT_NAME
from assay.train.brought.loaders.on_torch import load_bound, load_program
from assay.train.brought.named.on_torch import ByPosition, traceable
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


def export_brought(request: BroughtRequest) -> ExportOutcome:
    """By `torch.onnx.export(dynamo=True)`; a torch.export file is taken as it is, with its own dynamic dimensions."""
    model = request.model
    program = model.location.form == "program" and not model.without
    traced = load_program(model.location) if program else what_is_traced(request)
    torch.onnx.export(
        traced,
        () if program else example_of(request),
        request.output,
        dynamo=True,
        opset_version=max(request.opset, OLDEST_OPSET),
        external_data=_is_large(traced),
        input_names=request.inputs,
        output_names=request.outputs,
        dynamic_shapes=None if program else _dynamic_shapes(request, traced),
        verbose=False,
    )
    return ExportOutcome("", (), versions_of("torch", "onnxscript", "onnx"))


def what_is_traced(request: BroughtRequest) -> nn.Module:
    """A user's module, taking and giving tensors by position."""
    module, binding = load_bound(request.model)
    return traceable(module, binding, request.model.without, example_of(request))


def example_of(request: BroughtRequest) -> tuple[Tensor, ...]:
    """Zeros to trace a user's module with."""
    model = request.model
    shapes = [(model.shape_of(one, model.example_batch), one.dtype) for one in model.inputs]
    return tuple(torch.from_numpy(np.zeros(shape, dtype)) for shape, dtype in shapes)


def _is_large(traced: nn.Module | torch.export.ExportedProgram) -> bool:
    """Whether one file cannot hold the weights."""
    tensors = [*traced.parameters(), *traced.buffers()]
    return sum(one.numel() * one.element_size() for one in tensors) > MOST_BYTES


def _dynamic_shapes(request: BroughtRequest, traced: object) -> tuple[object, ...] | None:
    """Each input's open dimensions, one entry an argument of what is traced; None where the batch is fixed."""
    model = request.model
    if model.whole or model.batch is not None:
        return None
    batch = {0: torch.export.Dim("batch")}
    shapes = tuple(None if one.shared else batch for one in model.inputs)
    return (shapes,) if isinstance(traced, ByPosition) else shapes  # its one argument is *inputs
