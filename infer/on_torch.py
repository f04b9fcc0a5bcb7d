"""PyTorch: eager in both memory layouts, TorchScript, and torch.compile."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from contextlib import suppress

import torch
from torch import Tensor, nn

from assay.errors import InputError, NotInstalledError
from assay.spec import Settings
from infer.observed import Observed
from infer.on_torch_observed import observe
from infer.runtime import Images, Logits, ModelFiles, signature_of
from train.models import on_torch
from train.weights import load_weights

Forward = Callable[[Tensor], Tensor]


class TorchSession:
    """A callable on NCHW tensors."""

    precision = "fp32"

    def __init__(
        self,
        model: ModelFiles,
        forward: Forward,
        device: torch.device,
        memory_format: torch.memory_format,
        observed: Forward | None = None,
    ) -> None:
        self.signature = signature_of(model, "NCHW")
        self.facts = {
            "torch threads": str(torch.get_num_threads()),
            "memory format": str(memory_format).removeprefix("torch."),
        }
        self._forward, self._device, self._memory_format = forward, device, memory_format
        self._observed = observed or forward

    def prepare(self, images: Images) -> Tensor:
        tensor = torch.from_numpy(images).permute(0, 3, 1, 2)
        tensor = tensor.to(self._device).contiguous(memory_format=self._memory_format)
        self._wait()
        return tensor

    def run(self, native: Tensor) -> Tensor:
        with torch.inference_mode():
            output = self._forward(native)
        self._wait()
        return output

    def fetch(self, native: Tensor) -> Logits:
        return native.cpu().numpy()

    def observe(self, native: Tensor) -> Observed:
        return observe(lambda: self._observed(native))

    def close(self) -> None:
        del self._forward

    def _wait(self) -> None:
        if self._device.type == "cuda":
            torch.cuda.synchronize()


def load_eager(model: ModelFiles, settings: Settings) -> TorchSession:
    module, device = _module(model, settings)
    return TorchSession(model, module, device, torch.contiguous_format)


def load_channels_last(model: ModelFiles, settings: Settings) -> TorchSession:
    module, device = _module(model, settings)
    return TorchSession(model, module.to(memory_format=torch.channels_last), device, torch.channels_last)


def load_script(model: ModelFiles, settings: Settings) -> TorchSession:
    """Traced on a batch of two (so that no size-one dimension is baked in), frozen and optimised for inference."""
    module, device = _module(model, settings)
    height, width, channels = model.spec.image_shape
    example = torch.zeros(2, channels, height, width, device=device)
    with torch.inference_mode():
        frozen = torch.jit.freeze(torch.jit.trace(module, example))
    return TorchSession(model, frozen, device, torch.contiguous_format)


def load_compile(model: ModelFiles, settings: Settings) -> TorchSession:
    """Inductor with its default mode; it compiles C++ for each input shape at the first call.

    Raises:
        NotInstalledError: there is no C++ compiler.
    """
    check_compiler(settings)
    module, device = _module(model, settings)
    compiled = torch.compile(module, dynamic=False)
    return TorchSession(model, compiled, device, torch.contiguous_format, observed=module)


def check_compiler(settings: Settings) -> None:
    """
    Raises:
        NotInstalledError: torch.compile would need a C++ compiler, and there is none.
    """
    if settings.device == "cpu" and not (shutil.which("g++") or shutil.which("clang++")):
        raise NotInstalledError(
            "torch.compile needs a C++ compiler, and neither g++ nor clang++ is on the PATH",
            remedy="Install one (Debian and Ubuntu: apt-get install g++) or leave torch.compile out",
        )


def device_of(settings: Settings, without_cuda: str) -> torch.device:
    """The device, after PyTorch has been told its threads.

    Args:
        without_cuda: what to do where there is no CUDA device.

    Raises:
        InputError: CUDA is asked for and there is none.
    """
    torch.set_num_threads(settings.threads)
    with suppress(RuntimeError):  # it can be set only once in a process
        torch.set_num_interop_threads(1)
    if settings.device == "cuda" and not torch.cuda.is_available():
        raise InputError("PyTorch finds no CUDA device", remedy=without_cuda)
    return torch.device(settings.device)


def _module(model: ModelFiles, settings: Settings) -> tuple[nn.Module, torch.device]:
    """The model in evaluation mode on its device, after PyTorch has been told its threads.

    Raises:
        InputError: CUDA is asked for and there is none.
    """
    device = device_of(settings, 'Set bench.device = "cpu" in the study file')
    if settings.device == "cuda":  # fp32 means fp32
        torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = False
    if model.weights is None:
        raise InputError("A PyTorch runtime needs neutral weights", found="an ONNX file alone")
    module = on_torch.load(model.spec, load_weights(model.weights))
    return module.to(device), device
