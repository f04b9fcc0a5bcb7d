"""PyTorch: eager in both memory layouts, and TorchScript, for our architectures and users' models."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from assay.infer.observing.observed import Observed
from assay.infer.observing.on_torch import observe
from assay.infer.runtime import ModelFiles, Records, ends_of, signature_of
from assay.infer.runtimes.on_torch_models import Forward, load_model
from assay.spec import Settings
from assay.train.brought.arrays import Array


class TorchSession:
    """A callable on tensors; several inputs, and several outputs, are passed together."""

    precision = "fp32"

    def __init__(
        self,
        model: ModelFiles,
        forward: Forward,
        device: torch.device,
        memory_format: torch.memory_format = torch.contiguous_format,
        observed: Forward | None = None,
    ) -> None:
        self.signature = signature_of(model, "NCHW")
        self.facts = {
            "torch threads": str(torch.get_num_threads()),
            "memory format": str(memory_format).removeprefix("torch."),
        }
        self._ends, self._takes_images = ends_of(model), model.user is None
        self._forward, self._device, self._memory_format = forward, device, memory_format
        self._observed = observed or forward

    def prepare(self, records: Records) -> Sequence[Tensor]:
        tensors = [self._placed(torch.from_numpy(one)) for one in self._ends.arrays(records)]
        self.synchronise()
        return tensors

    def run(self, native: Sequence[Tensor]) -> Sequence[Tensor]:
        outputs = self._forward(native)
        self.synchronise()
        return outputs

    def fetch(self, native: Sequence[Tensor]) -> Array:
        return self._ends.rows([one.cpu().numpy() for one in native])

    def observe(self, native: Sequence[Tensor]) -> Observed:
        return observe(lambda: self._observed(native))

    def synchronise(self) -> None:
        """Wait for the GPU, where the session is on one."""
        if self._device.type == "cuda":
            torch.cuda.synchronize()

    def most_allocated_bytes(self) -> int | None:
        """See `assay.infer.gpu.parts.Allocates`."""
        return torch.cuda.max_memory_allocated() if self._device.type == "cuda" else None

    def close(self) -> None:
        del self._forward, self._observed

    def _placed(self, tensor: Tensor) -> Tensor:
        """Move a tensor to the device; images get their channels first, in the memory format."""
        tensor = (tensor.permute(0, 3, 1, 2) if self._takes_images else tensor).to(self._device)
        return tensor.contiguous(memory_format=self._memory_format if tensor.ndim == 4 else torch.contiguous_format)


def load_eager(model: ModelFiles, settings: Settings) -> TorchSession:
    loaded = load_model(model, settings)
    return TorchSession(model, loaded.forward(loaded.module), loaded.device)


def load_channels_last(model: ModelFiles, settings: Settings) -> TorchSession:
    """Load with weights and inputs of four dimensions in the channels-last format."""
    loaded = load_model(model, settings)
    module = loaded.module.to(memory_format=torch.channels_last)
    return TorchSession(model, loaded.forward(module), loaded.device, torch.channels_last)


def load_script(model: ModelFiles, settings: Settings) -> TorchSession:
    """Load as frozen TorchScript; a model that is not TorchScript already is traced first."""
    loaded = load_model(model, settings)
    return TorchSession(model, loaded.scripted(), loaded.device)
