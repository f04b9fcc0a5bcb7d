"""A PyTorch model as TorchScript, traced and frozen, as it was measured."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn

from assay.export.served.contract import HALF_RANGE, SHIFT
from assay.export.served.native import NativeModel
from assay.train.brought.loaders.on_torch import load_bound
from assay.train.brought.named.on_torch import ByPosition
from assay.train.built import BuiltModel
from assay.train.models import on_torch
from assay.train.weights import load_weights


class PixelsToClasses(nn.Module):
    """Turns decoded pixels (batch, height, width, channels) into probabilities and the most probable class."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        normalised = images.permute(0, 3, 1, 2).contiguous().to(torch.float32) / HALF_RANGE - SHIFT
        probabilities = torch.softmax(self.network(normalised), dim=1)
        return probabilities, torch.argmax(probabilities, dim=1)


def make_script(asked: NativeModel) -> None:
    """
    Raises:
        AssayError: a user's file fails.
    """
    model = asked.model
    if isinstance(model, BuiltModel):
        module: nn.Module = PixelsToClasses(on_torch.load(model.spec, load_weights(model.file)))
        example: tuple[Tensor, ...] = (torch.zeros(2, *model.spec.image_shape, dtype=torch.uint8),)
    else:
        module, binding = load_bound(model)
        shapes = [(model.shape_of(one, model.example_batch), one.dtype) for one in model.inputs]
        example = tuple(torch.from_numpy(np.zeros(shape, dtype)) for shape, dtype in shapes)
        if not isinstance(module, torch.jit.ScriptModule):
            module = ByPosition(module, binding, model.without)
    with torch.inference_mode():
        is_script = isinstance(module, torch.jit.ScriptModule)
        traced = module if is_script else torch.jit.trace(module.eval(), example, strict=False, check_trace=False)
        torch.jit.save(torch.jit.freeze(traced.eval()), str(asked.file))
