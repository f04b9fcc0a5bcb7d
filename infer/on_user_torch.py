"""A user's PyTorch model: eager, TorchScript, and torch.compile."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor, nn

from assay.errors import InputError
from assay.spec import Settings
from assay.user.arrays import Array, Records, inputs_of, rows_of
from assay.user.binding import Binds, by_position
from assay.user.on_torch import load_bound
from assay.user.on_torch_named import ByPosition, Forward, forward_of
from infer.observed import Observed
from infer.on_torch import check_compiler, device_of
from infer.on_torch_observed import observe
from infer.runtime import ModelFiles, signature_of


class UserTorchSession:
    """A callable on tensors; several inputs go in and several outputs come out together."""

    precision = "fp32"

    def __init__(
        self, model: ModelFiles, forward: Forward, device: torch.device, observed: Forward | None = None
    ) -> None:
        self.signature = signature_of(model, "NCHW")
        self.facts = {"torch threads": str(torch.get_num_threads())}
        self._model, self._forward, self._device = model.users, forward, device
        self._observed = observed or forward

    def prepare(self, images: Records) -> Sequence[Tensor]:
        tensors = [torch.from_numpy(one).to(self._device) for one in inputs_of(self._model, images)]
        self._wait()
        return tensors

    def run(self, native: Sequence[Tensor]) -> Sequence[Tensor]:
        outputs = list(self._forward(native).values())
        self._wait()
        return outputs

    def fetch(self, native: Sequence[Tensor]) -> Array:
        return rows_of(self._model, [one.cpu().numpy() for one in native])

    def observe(self, native: Sequence[Tensor]) -> Observed:
        return observe(lambda: self._observed(native))

    def close(self) -> None:
        del self._forward

    def _wait(self) -> None:
        if self._device.type == "cuda":
            torch.cuda.synchronize()


def load_eager(model: ModelFiles, settings: Settings) -> UserTorchSession:
    module, binding, device = _module(model, settings)
    return UserTorchSession(model, _forward(model, module, binding), device)


def load_script(model: ModelFiles, settings: Settings) -> UserTorchSession:
    """What is a TorchScript file already is frozen; everything else is traced first."""
    module, binding, device = _module(model, settings)
    if isinstance(module, torch.jit.ScriptModule):
        return UserTorchSession(model, _forward(model, torch.jit.freeze(module), binding), device)
    example = _example(model, device)
    with torch.inference_mode():
        placed = ByPosition(module, binding, model.users.without)  # of which freezing leaves nothing
        frozen = torch.jit.freeze(torch.jit.trace(placed, example, strict=False, check_trace=False))
    forward = forward_of(frozen, by_position(len(example)), (), str(model.users.location))
    return UserTorchSession(model, forward, device)


def load_compile(model: ModelFiles, settings: Settings) -> UserTorchSession:
    """Inductor with its default mode; it compiles C++ for each input shape at the first call.

    Raises:
        NotInstalledError: there is no C++ compiler.
    """
    check_compiler(settings)
    module, binding, device = _module(model, settings)
    if isinstance(module, torch.jit.ScriptModule):
        raise InputError("torch.compile compiles Python, and the model is TorchScript")
    compiled = _forward(model, torch.compile(module, dynamic=False), binding)
    return UserTorchSession(model, compiled, device, observed=_forward(model, module, binding))


def _forward(model: ModelFiles, module: nn.Module, binding: Binds) -> Forward:
    return forward_of(module, binding, model.users.without, str(model.users.location))


def _example(model: ModelFiles, device: torch.device) -> tuple[Tensor, ...]:
    user = model.users
    shapes = [(user.shape_of(one, user.example_batch), one.dtype) for one in user.inputs]
    return tuple(torch.from_numpy(np.zeros(shape, dtype)).to(device) for shape, dtype in shapes)


def _module(model: ModelFiles, settings: Settings) -> tuple[nn.Module, Binds, torch.device]:
    """The model on its device and how inputs go into it, after PyTorch has been told its threads.

    Raises:
        InputError: CUDA is asked for and there is none; or the user's code fails.
    """
    device = device_of(settings, "Leave --device cuda out")
    module, binding = load_bound(model.users)
    return module.to(device), binding, device
