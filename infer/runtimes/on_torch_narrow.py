"""PyTorch with weights and everything between input and output in 16 bits, operator by operator on a GPU.

The CPU's runtimes in bf16 and fp16 are compiled (`assay.infer.runtimes.inductor`): operator by operator, PyTorch has no
fast kernels there.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from assay.errors import InputError
from assay.foreign import said_by
from assay.infer.observing.on_torch_kernels import TYPES
from assay.infer.runtime import ModelFiles
from assay.infer.runtimes.on_torch import TorchSession
from assay.infer.runtimes.on_torch_models import Forward, load_model
from assay.infer.runtimes.same_for_all import need_gpu
from assay.spec import Settings


def narrow(forward: Forward, precision: str) -> Forward:
    """Return a function that gives a model with 16-bit weights its floating-point inputs in the same precision, and
    returns fp32.

    Calling it raises InputError where the model does not run so.
    """
    wanted = TYPES[precision]

    def run(inputs: Sequence[Tensor]) -> Sequence[Tensor]:
        taken = [one.to(wanted) if one.dtype == torch.float32 else one for one in inputs]
        try:
            return [as_given(one) for one in forward(taken)]
        except RuntimeError as error:
            raise InputError(
                f"The model does not run with its weights in {precision}",
                found=said_by(error),
                remedy="If it creates fp32 numbers itself, autocast may work",
            ) from error

    return run


def as_given(output: Tensor) -> Tensor:
    """Convert to fp32, as a server would answer and numpy can hold."""
    return output.float() if output.dtype in TYPES.values() else output


def load_eager_bf16(model: ModelFiles, settings: Settings) -> TorchSession:
    return _load_eager("bf16", model, settings)


def load_eager_fp16(model: ModelFiles, settings: Settings) -> TorchSession:
    return _load_eager("fp16", model, settings)


def _load_eager(precision: str, model: ModelFiles, settings: Settings) -> TorchSession:
    """
    Raises:
        InputError: no GPU is asked for, or as for `torch.eager`.
    """
    need_gpu(settings, f"PyTorch computes in {precision}, operator by operator, on a GPU alone")
    loaded = load_model(model, settings)
    forward = narrow(loaded.forward(loaded.module.to(TYPES[precision])), precision)
    session = TorchSession(model, forward, loaded.device)
    session.precision = precision
    return session
