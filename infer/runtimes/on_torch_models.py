"""A PyTorch model on its device, built from neutral weights or brought by a user, and how tensors are passed to it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from torch import Tensor, nn

from assay.infer.runtime import ModelFiles
from assay.infer.runtimes.same_for_all import torch_device
from assay.spec import ModelSpec, Settings
from assay.train.brought.binding import Binds, by_position
from assay.train.brought.loaders.on_torch import load_bound
from assay.train.brought.model import UserModel
from assay.train.brought.named.on_torch import ByPosition, forward_of
from assay.train.models import on_torch
from assay.train.weights import load_weights

Forward = Callable[[Sequence[Tensor]], Sequence[Tensor]]


class LoadedModule(Protocol):
    """A module in evaluation mode."""

    @property
    def module(self) -> nn.Module:
        """The module as it was loaded."""

    @property
    def device(self) -> torch.device:
        """The device of the module."""

    def forward(self, module: Callable[..., object]) -> Forward:
        """Return a function of the model's inputs by position, made from the module or from a version of it."""

    def scripted(self) -> Forward:
        """Return the same function as frozen TorchScript, traced on a batch of two (so that no dimension of one is
        baked in) and optimised for inference.
        """


def load_model(model: ModelFiles, settings: Settings) -> LoadedModule:
    """Load the model on its device, after PyTorch has been told its threads.

    Raises:
        InputError: CUDA is asked for and there is none, there are no weights, or the user's code fails.
    """
    device = torch_device(settings)
    if model.user is not None:
        module, binding = load_bound(model.user)
        return BroughtModule(module.to(device), device, model.user, binding)
    built = model.built
    return BuiltModule(on_torch.load(built.spec, load_weights(built.file)).to(device), device, built.spec)


@dataclass(frozen=True)
class BuiltModule:
    """One of our architectures: it takes one tensor and returns one."""

    module: nn.Module
    device: torch.device
    spec: ModelSpec

    def forward(self, module: Callable[..., object]) -> Forward:
        def forward(inputs: Sequence[Tensor]) -> Sequence[Tensor]:
            with torch.inference_mode():
                return (module(inputs[0]),)

        return forward

    def scripted(self) -> Forward:
        height, width, channels = self.spec.image_shape
        example = torch.zeros(2, channels, height, width, device=self.device)
        with torch.inference_mode():
            return self.forward(torch.jit.freeze(torch.jit.trace(self.module, example)))


@dataclass(frozen=True)
class BroughtModule:
    """A user's model: tensors are passed by the names of its arguments, and returned by their names."""

    module: nn.Module
    device: torch.device
    user: UserModel
    binding: Binds

    def forward(self, module: Callable[..., object]) -> Forward:
        return self._by_position(module, self.binding, self.user.without)

    def scripted(self) -> Forward:
        if isinstance(self.module, torch.jit.ScriptModule):
            return self.forward(torch.jit.freeze(self.module))
        shapes = [(self.user.shape_of(one, self.user.example_batch), one.dtype) for one in self.user.inputs]
        example = tuple(torch.from_numpy(np.zeros(shape, dtype)).to(self.device) for shape, dtype in shapes)
        placed = ByPosition(self.module, self.binding, self.user.without)  # of which freezing leaves nothing
        with torch.inference_mode():
            frozen = torch.jit.freeze(torch.jit.trace(placed, example, strict=False, check_trace=False))
        return self._by_position(frozen, by_position(len(example)), ())

    def _by_position(self, module: Callable[..., object], binding: Binds, without: Sequence[str]) -> Forward:
        named = forward_of(module, binding, without, str(self.user.location))
        return lambda inputs: list(named(inputs).values())
