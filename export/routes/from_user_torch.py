"""A user's PyTorch model to ONNX, by torch.export and by tracing to TorchScript."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn

from assay.export.graph.saved import MOST_BYTES
from assay.export.routes.request import ExportOutcome, versions_of
from assay.export.routes.user_request import UserExportRequest
from assay.train.brought.loaders.on_torch import load_bound, load_program
from assay.train.brought.named.on_torch import ByPosition, traceable

OLDEST_OPSET, NEWEST_SCRIPT_OPSET = 18, 20
"""See `assay.export.routes.from_torch` and `assay.export.routes.from_torchscript`."""


def export_dynamo(request: UserExportRequest) -> ExportOutcome:
    """By `torch.onnx.export(dynamo=True)`; a torch.export file is taken as it is, with its own dynamic dimensions."""
    model = request.model
    program = model.location.form == "program" and not model.without
    traced = load_program(model.location) if program else _traceable(request)
    torch.onnx.export(
        traced,
        () if program else _example(request),
        request.output,
        dynamo=True,
        opset_version=max(request.opset, OLDEST_OPSET),
        external_data=_is_large(traced),
        input_names=request.inputs,
        output_names=request.outputs,
        dynamic_shapes=None if program else _dynamic_shapes(request, traced),
        verbose=False,
    )
    return _outcome()


def export_script(request: UserExportRequest) -> ExportOutcome:
    """By `torch.onnx.export(dynamo=False)`."""
    model = request.model
    any_batch = not model.whole and model.batch is None
    torch.onnx.export(
        _traceable(request),
        _example(request),
        request.output,
        dynamo=False,
        opset_version=min(request.opset, NEWEST_SCRIPT_OPSET),
        input_names=request.inputs,
        output_names=request.outputs,
        dynamic_axes={name: {0: "batch"} for name in (*_batched(request), *request.outputs)} if any_batch else None,
    )
    return _outcome()


def _is_large(traced: nn.Module | torch.export.ExportedProgram) -> bool:
    """Whether one file cannot hold the weights."""
    tensors = [*traced.parameters(), *traced.buffers()]
    return sum(one.numel() * one.element_size() for one in tensors) > MOST_BYTES


def _traceable(request: UserExportRequest) -> nn.Module:
    module, binding = load_bound(request.model)
    return traceable(module, binding, request.model.without, _example(request))


def _dynamic_shapes(request: UserExportRequest, traced: object) -> tuple[object, ...] | None:
    """Each input's open dimensions, one entry an argument of what is traced; None where the batch is fixed."""
    model = request.model
    if model.whole or model.batch is not None:
        return None
    batch = {0: torch.export.Dim("batch")}
    shapes = tuple(None if one.shared else batch for one in model.inputs)
    return (shapes,) if isinstance(traced, ByPosition) else shapes  # its one argument is *inputs


def _batched(request: UserExportRequest) -> list[str]:
    """Names of the inputs that have the batch."""
    return [name for name, one in zip(request.inputs, request.model.inputs, strict=True) if not one.shared]


def _example(request: UserExportRequest) -> tuple[Tensor, ...]:
    model = request.model
    shapes = [(model.shape_of(one, model.example_batch), one.dtype) for one in model.inputs]
    return tuple(torch.from_numpy(np.zeros(shape, dtype)) for shape, dtype in shapes)


def _outcome() -> ExportOutcome:
    return ExportOutcome("", (), versions_of("torch", "onnxscript", "onnx"))
