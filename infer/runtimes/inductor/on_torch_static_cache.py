"""A decoder's step by torch.compile on a cache of fixed size that is written in place: it is compiled once, whatever
the number of tokens, and copies no cache. Transformers describes the method:
https://huggingface.co/docs/transformers/main/en/llm_optims.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from assay.errors import InputError
from assay.infer.observing.observed import Observed
from assay.infer.observing.on_torch_kernels import observe_compiled
from assay.infer.runtime import ModelFiles, Records
from assay.infer.runtimes.inductor.on_torch_compiled import compilable
from assay.infer.runtimes.on_torch import TorchSession
from assay.spec import Settings

ROOM = 128
"""A cache has room for the least multiple of this that holds all tokens and one more."""


class StaticCacheSession(TorchSession):
    """Takes and returns what the step without a state does; the cache is copied into its buffers when an input is
    prepared, and the part that holds tokens is what a call returns, as views.
    """

    def __init__(self, model: ModelFiles, device: torch.device, step: torch.nn.Module) -> None:
        super().__init__(model, lambda inputs: inputs, device)
        self._step = torch.compile(step.in_place, dynamic=False)
        self._plainly = step.in_place

    def prepare(self, records: Records) -> Sequence[Tensor]:
        token, *past = (torch.from_numpy(one) for one in self._ends.arrays(records))
        length = past[0].shape[2]
        self.facts["cache"] = f"{_room_for(length)} tokens"
        buffers = [_buffer(one, _room_for(length)) for one in past]
        return [token, torch.tensor([length]), *buffers]

    def run(self, native: Sequence[Tensor]) -> Sequence[Tensor]:
        return self._run(self._step, native)

    def observe(self, native: Sequence[Tensor]) -> Observed:
        return observe_compiled(lambda: self._run(self._step, native), lambda: self._run(self._plainly, native))

    def close(self) -> None:
        del self._step, self._plainly

    def _run(self, step: object, native: Sequence[Tensor]) -> Sequence[Tensor]:
        assert callable(step)
        token, position, *buffers = native
        with torch.inference_mode():
            logits = step(token, position, *buffers)
        filled = int(position) + 1
        return [logits, *(one[:, :, :filled] for one in buffers)]


def load(model: ModelFiles, settings: Settings) -> StaticCacheSession:
    """
    Raises:
        InputError: the model is no step of a decoder, or as for `compilable`.
    """
    loaded = compilable(model, settings)
    if not hasattr(loaded.module, "in_place"):
        found = str(model.user.location) if model.user else None
        raise InputError("Only a decoder's step has a cache", expected="hf-decode:NAME", found=found)
    return StaticCacheSession(model, loaded.device, loaded.module)


def _room_for(tokens: int) -> int:
    return (tokens // ROOM + 1) * ROOM


def _buffer(filled: Tensor, room: int) -> Tensor:
    batch, heads, tokens, size = filled.shape
    buffer = torch.zeros(batch, heads, room, size)
    buffer[:, :, :tokens] = filled
    return buffer
