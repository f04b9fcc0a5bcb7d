"""The common beginning of both routes from PyTorch: a module that takes and returns tensors by position, and tensors
for it.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn

from assay.export.routes.request import ExportOutcome, ExportRequest, versions_of
from assay.files.arrays import load_array
from assay.train.brought.arrays import inputs_of, repeated
from assay.train.brought.loaders.on_torch import load_bound
from assay.train.brought.model import UserModel
from assay.train.brought.named.on_torch import traceable
from assay.train.built import BuiltModel
from assay.train.models import on_torch
from assay.train.weights import load_weights

LAYOUT = "NCHW"


def module_of(request: ExportRequest) -> nn.Module:
    """
    Raises:
        ArtifactError: the weights cannot be read or do not fit.
        AssayError: a user's file fails.
    """
    model = request.model
    if isinstance(model, BuiltModel):
        return on_torch.load(model.spec, load_weights(model.file))
    module, binding = load_bound(model)
    return traceable(module, binding, model.without, example_of(request))


def example_of(request: ExportRequest) -> tuple[Tensor, ...]:
    """Return inputs to trace with."""
    if request.examples is not None and isinstance(model := request.model, UserModel):
        records = repeated(load_array(request.examples), model.example_batch)
        return tuple(torch.from_numpy(np.array(one)) for one in inputs_of(model, records))
    return tuple(torch.from_numpy(np.zeros(one.example, one.dtype)) for one in request.inputs(LAYOUT))


def outcome(*transforms: str) -> ExportOutcome:
    """Return the answer of the routes."""
    return ExportOutcome(LAYOUT, transforms, versions_of("torch", "onnxscript", "onnx"))
