"""torch.compile, by default and with weights frozen into the code, in fp32 and in less.

Freezing makes constants of the weights, so that Inductor folds the norms into them and packs them once as oneDNN's
kernels want them. https://docs.pytorch.org/docs/stable/torch.compiler.html; in the code, `torch._inductor.freezing`.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from dataclasses import replace

import torch
from torch import Tensor

from assay.errors import InputError, NotInstalledError
from assay.infer.observing.observed import Observed
from assay.infer.observing.on_torch_kernels import TYPES, observe_compiled, reason_against
from assay.infer.runtime import ModelFiles
from assay.infer.runtimes.on_torch import TorchSession
from assay.infer.runtimes.on_torch_models import Forward, LoadedModule, load_model
from assay.infer.runtimes.on_torch_narrow import as_given, narrow
from assay.infer.runtimes.same_for_all import need_gpu
from assay.spec import Settings


class CompiledSession(TorchSession):
    """A compiled model; a call is observed by what was run, not by the operators that it was compiled from."""

    def __init__(
        self, model: ModelFiles, forward: Forward, device: torch.device, observed: Forward, precision: str = "fp32"
    ) -> None:
        super().__init__(model, forward, device, observed=observed)
        self.precision = precision

    def observe(self, native: Sequence[Tensor]) -> Observed:
        return observe_compiled(lambda: self._forward(native), lambda: self._observed(native))


def load_compile(model: ModelFiles, settings: Settings) -> CompiledSession:
    """Compile with Inductor in its default mode; C++ is compiled for each input shape at the first call.

    See `compilable` for errors.
    """
    loaded = compilable(model, settings)
    function = loaded.forward(torch.compile(loaded.module, dynamic=_dynamic(model)))
    return CompiledSession(model, function, loaded.device, loaded.forward(loaded.module))


class RecordedSession(CompiledSession):
    """Kernels that are launched together, as a CUDA graph that was recorded at the first calls with a shape.

    Its answers lie in the graph's own memory, which the next call fills again: that this is meant is what
    `torch.compiler.cudagraph_mark_step_begin` says. `fetch` copies them.
    """

    def observe(self, native: Sequence[Tensor]) -> Observed:
        """Observe a call, and whether Inductor recorded graphs or gave up on it, which it does without an error."""
        from torch._dynamo.utils import counters  # noqa: PLC0415

        skipped = counters["inductor"]["cudagraph_skips"]
        told = {"CUDA graphs": f"given up on by Inductor ({skipped})" if skipped else "recorded"}
        seen = super().observe(native)
        return replace(seen, facts={**seen.facts, **told})


def load_graphs(model: ModelFiles, settings: Settings) -> RecordedSession:
    """Compile in the mode "reduce-overhead"; see `compilable` for further errors.

    Raises:
        InputError: no GPU is asked for.
    """
    need_gpu(settings, "Only an NVIDIA GPU has CUDA graphs")
    loaded = compilable(model, settings)
    recorded = loaded.forward(torch.compile(loaded.module, mode="reduce-overhead", dynamic=_dynamic(model)))

    def run(inputs: Sequence[Tensor]) -> Sequence[Tensor]:
        torch.compiler.cudagraph_mark_step_begin()
        return recorded(inputs)

    return RecordedSession(model, run, loaded.device, loaded.forward(loaded.module))


def load_frozen(model: ModelFiles, settings: Settings) -> CompiledSession:
    """Compile with frozen weights; see `compilable` for errors."""
    loaded = compilable(model, settings)
    compiles = compiled(loaded, dynamic=_dynamic(model))
    return CompiledSession(model, compiles, loaded.device, loaded.forward(loaded.module))


def load_autocast(model: ModelFiles, settings: Settings) -> CompiledSession:
    """Compute products and convolutions in bf16, and in fp32 whatever autocast leaves in it.

    Raises:
        InputError: this processor does not compute in bf16.
    """
    loaded = compilable(model, settings, "bf16")

    def cast(forward: Forward) -> Forward:
        def run(inputs: Sequence[Tensor]) -> Sequence[Tensor]:
            with torch.autocast(loaded.device.type, torch.bfloat16):
                return [as_given(one) for one in forward(inputs)]

        return run

    plain = loaded.forward(loaded.module)
    return CompiledSession(model, cast(compiled(loaded)), loaded.device, cast(plain), "bf16")


def load_bf16(model: ModelFiles, settings: Settings) -> CompiledSession:
    return _with_weights_in("bf16", model, settings)


def load_fp16(model: ModelFiles, settings: Settings) -> CompiledSession:
    return _with_weights_in("fp16", model, settings)


def _with_weights_in(precision: str, model: ModelFiles, settings: Settings) -> CompiledSession:
    """Compute with weights and floating-point inputs in 16 bits, and so with everything between them.

    Raises:
        InputError: this processor does not compute in the precision.
    """
    loaded = compilable(model, settings, precision)
    module = loaded.module.to(TYPES[precision])
    plain = narrow(loaded.forward(module), precision)
    return CompiledSession(model, narrow(compiled(loaded), precision), loaded.device, plain, precision)


def compilable(model: ModelFiles, settings: Settings, precision: str = "fp32") -> LoadedModule:
    """Load a model that can be compiled, in a precision that the device computes in.

    Raises:
        NotInstalledError: there is no C++ compiler.
        InputError: the model is TorchScript, or the processor has no arithmetic of this precision.
    """
    need_compiler(settings)
    if settings.device == "cpu" and (reason := reason_against(precision)):
        raise InputError(f"PyTorch cannot compute in {precision} on this processor", found=reason)
    loaded = load_model(model, settings)
    if isinstance(loaded.module, torch.jit.ScriptModule):
        raise InputError("torch.compile compiles Python, and the model is TorchScript")
    return loaded


def need_compiler(settings: Settings) -> None:
    """
    Raises:
        NotInstalledError: Inductor has to compile for the CPU, and there is no C++ compiler.
    """
    if settings.device == "cpu" and not (shutil.which("g++") or shutil.which("clang++")):
        raise NotInstalledError(
            "torch.compile needs a C++ compiler, and neither g++ nor clang++ is on the PATH",
            remedy="Install one (Debian and Ubuntu: apt-get install g++) or leave out torch.compile",
        )


def _dynamic(model: ModelFiles) -> bool | None:
    """Return what torch.compile is told about sizes: where calls are of several, nothing, so that by its own default it
    compiles for the first and then for any; else that each shape is compiled for itself.
    """
    return None if model.user and model.user.is_of_any_size else False


def compiled(
    loaded: LoadedModule, function: Callable[..., object] | None = None, *, dynamic: bool | None = False
) -> Forward:
    """Return the module, or a function in its place, to be compiled with freezing at the first call of each input
    shape.

    Args:
        dynamic: as `torch.compile` takes it.
    """
    import torch._inductor.config as inductor  # noqa: PLC0415  takes as long as PyTorch's own import

    inductor.freezing = True  # the process has this one runtime
    return loaded.forward(torch.compile(function or loaded.module, dynamic=dynamic))
