"""A user's PyTorch model to ONNX, by torch.export and by tracing to TorchScript."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from assay.user.on_torch import load_module, load_program
from export.request import ExportOutcome, versions_of
from export.user_request import UserExportRequest

OLDEST_OPSET, NEWEST_SCRIPT_OPSET = 18, 20
"""See `export.from_torch` and `export.from_torchscript`."""


def export_dynamo(request: UserExportRequest) -> ExportOutcome:
    """By `torch.onnx.export(dynamo=True)`; a torch.export file is taken as it is, with its own dynamic dimensions."""
    model = request.model
    program = model.location.form == "program"
    any_batch = {0: torch.export.Dim("batch")} if not model.whole and model.batch is None else None
    torch.onnx.export(
        load_program(model.location) if program else load_module(model.location),
        () if program else _example(request),
        request.output,
        dynamo=True,
        opset_version=max(request.opset, OLDEST_OPSET),
        external_data=False,
        input_names=request.inputs,
        output_names=request.outputs,
        dynamic_shapes=tuple(any_batch for _ in model.inputs) if any_batch and not program else None,
        verbose=False,
    )
    return _outcome()


def export_script(request: UserExportRequest) -> ExportOutcome:
    """By `torch.onnx.export(dynamo=False)`."""
    model = request.model
    any_batch = not model.whole and model.batch is None
    torch.onnx.export(
        load_module(model.location),
        _example(request),
        request.output,
        dynamo=False,
        opset_version=min(request.opset, NEWEST_SCRIPT_OPSET),
        input_names=request.inputs,
        output_names=request.outputs,
        dynamic_axes={name: {0: "batch"} for name in (*request.inputs, *request.outputs)} if any_batch else None,
    )
    return _outcome()


def _example(request: UserExportRequest) -> tuple[Tensor, ...]:
    model = request.model
    shapes = [(model.shape_of(one, model.example_batch), one.dtype) for one in model.inputs]
    return tuple(torch.from_numpy(np.zeros(shape, dtype)) for shape, dtype in shapes)


def _outcome() -> ExportOutcome:
    return ExportOutcome("", (), versions_of("torch", "onnxscript", "onnx"))
