"""PyTorch to ONNX by `torch.export` (`torch.onnx.export(dynamo=True)`)."""

from __future__ import annotations

import torch
from torch import nn

from assay.export.graph.saved import MOST_BYTES
from assay.export.routes.on_torch import LAYOUT, example_of, module_of, outcome
from assay.export.routes.request import ExportOutcome, ExportRequest
from assay.train.brought.loaders.on_torch import load_program
from assay.train.brought.model import UserModel
from assay.train.brought.named.on_torch import ByPosition

OLDEST_OPSET = 18
"""The oldest opset of torchlib; older ones need a conversion that is tried afterwards, for every route."""


def export(request: ExportRequest) -> ExportOutcome:
    """Write the model; a torch.export file is taken as it is, with its own dynamic dimensions.

    Raises:
        ArtifactError: the weights cannot be read or do not fit.
        AssayError: a user's file fails.
    """
    program = _program_of(request)
    traced = program or module_of(request)
    torch.onnx.export(
        traced,
        () if program else example_of(request),
        request.output,
        dynamo=True,
        opset_version=max(request.opset, OLDEST_OPSET),
        external_data=_is_large(traced),
        input_names=[one.name for one in request.inputs()],
        output_names=request.outputs,
        dynamic_shapes=None if program else _dynamic_shapes(request, traced),
        verbose=False,
    )
    return outcome()


def _program_of(request: ExportRequest) -> torch.export.ExportedProgram | None:
    model = request.model
    if not isinstance(model, UserModel) or model.location.form != "program" or model.without:
        return None
    return load_program(model.location)


def _is_large(traced: nn.Module | torch.export.ExportedProgram) -> bool:
    """Return whether one file is too small to hold the weights."""
    tensors = [*traced.parameters(), *traced.buffers()]
    return sum(one.numel() * one.element_size() for one in tensors) > MOST_BYTES


def _dynamic_shapes(request: ExportRequest, traced: object) -> tuple[object, ...] | None:
    """Return each input's open dimensions, with one entry for each argument of the traced object; None where all are
    fixed.
    """
    inputs = request.inputs(LAYOUT)
    named = {
        word: torch.export.Dim(word, min=ends[0], max=ends[1]) for one in inputs for word, ends in one.limits.items()
    }
    batch = torch.export.Dim("batch")
    shapes = tuple(
        {
            axis: batch if size is None else named[size]
            for axis, size in enumerate(one.shape)
            if not isinstance(size, int)
        }
        or None
        for one in inputs
    )
    if not any(shapes):
        return None
    return (shapes,) if isinstance(traced, ByPosition) else shapes  # its only argument is *inputs
