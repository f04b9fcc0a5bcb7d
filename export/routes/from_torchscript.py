"""PyTorch to ONNX by tracing to TorchScript (`torch.onnx.export(dynamo=False)`), the older exporter."""

from __future__ import annotations

from pathlib import Path

import onnx
import torch
from onnxscript import optimizer
from torch import Tensor, nn

from assay.export.checking.check import unranked
from assay.export.graph.inspect import read_model
from assay.export.routes.on_torch import LAYOUT, example_of, module_of, outcome
from assay.export.routes.request import ExportOutcome, ExportRequest
from assay.train.built import BuiltModel

NEWEST_OPSET = 20
"""The newest operator set of this exporter, which is no longer developed."""


def export(request: ExportRequest) -> ExportOutcome:
    """Write the model.

    Raises:
        ArtifactError: the weights cannot be read or do not fit.
        AssayError: a user's file fails.
    """
    inputs = request.inputs(LAYOUT)
    axes = {
        one.name: {axis: size or "batch" for axis, size in enumerate(one.shape) if not isinstance(size, int)}
        for one in inputs
        if one.is_open
    }
    batched = any(None in one.shape for one in inputs)
    example = example_of(request)
    torch.onnx.export(
        _with_scripts(module_of(request), example),
        example,
        request.output,
        dynamo=False,
        opset_version=min(request.opset, NEWEST_OPSET),
        input_names=[one.name for one in inputs],
        output_names=request.outputs,
        dynamic_axes=axes | {name: {0: "batch"} for name in request.outputs if batched} if axes else None,
    )
    return outcome(*(_fold(request.output) if isinstance(request.model, BuiltModel) else ()))


def _with_scripts(module: nn.Module, example: tuple[Tensor, ...]) -> nn.Module:
    """Return a module that the exporter takes: its tracing ends at a script inside a module, which `torch.jit.trace`
    keeps with its loops and branches.
    """
    scripted = [isinstance(one, torch.jit.ScriptModule) for one in module.modules()]
    if scripted[0] or not any(scripted):
        return module
    traced: nn.Module = torch.jit.trace(module, example, check_trace=False)
    return traced


def _fold(path: Path) -> tuple[str, ...]:
    """Fold constants where the trace computes shapes in a way that shape inference cannot follow (in vit-tiny, the
    split of the attention's heads); leave other files as the exporter wrote them.

    Returns:
        The transforms that were needed.
    """
    model = read_model(path)
    if not unranked(model):
        return ()
    onnx.save(optimizer.optimize(model), path)
    return ("constants folded by onnxscript.optimizer, to make shape inference possible",)
