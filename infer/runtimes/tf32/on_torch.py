"""PyTorch on a GPU that may round fp32 to TF32 in products and convolutions, as it does by itself in the latter."""

from __future__ import annotations

from assay.infer.runtime import ModelFiles
from assay.infer.runtimes import on_torch
from assay.infer.runtimes.inductor import on_torch_compiled
from assay.infer.runtimes.on_torch import TorchSession
from assay.infer.runtimes.same_for_all import let_torch_round, on_a_gpu
from assay.spec import Settings


def load_eager(model: ModelFiles, settings: Settings) -> TorchSession:
    on_a_gpu(settings)
    return _rounded(on_torch.load_eager(model, settings))


def load_channels_last(model: ModelFiles, settings: Settings) -> TorchSession:
    on_a_gpu(settings)
    return _rounded(on_torch.load_channels_last(model, settings))


def load_script(model: ModelFiles, settings: Settings) -> TorchSession:
    on_a_gpu(settings)
    return _rounded(on_torch.load_script(model, settings))


def load_compile(model: ModelFiles, settings: Settings) -> TorchSession:
    """It compiles at the first call, when PyTorch has been told."""
    on_a_gpu(settings)
    return _rounded(on_torch_compiled.load_compile(model, settings))


def _rounded(session: TorchSession) -> TorchSession:
    let_torch_round()
    session.precision = "tf32"
    return session
