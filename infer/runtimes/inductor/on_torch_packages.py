"""Packages of AOTInductor, which are made from a PyTorch model beforehand and run without Python."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import torch
from torch import Tensor

from assay.errors import ArtifactError, AssayError, InputError
from assay.foreign import said_by
from assay.infer.observing.observed import Observed
from assay.infer.observing.on_torch_kernels import observe_compiled, reason_against
from assay.infer.runtime import ModelFiles
from assay.infer.runtimes.inductor.on_torch_compiled import CompiledSession
from assay.infer.runtimes.on_torch_models import Forward
from assay.infer.runtimes.same_for_all import torch_device
from assay.spec import TORCH_PACKAGE_FILE, TORCH_PACKAGE_OF_ONE_FILE, Settings


class PackageSession(CompiledSession):
    """Compiled code without the operators that it was made from; the outputs show where it ran."""

    def observe(self, native: Sequence[Tensor]) -> Observed:
        with torch.inference_mode():
            outputs = self._forward(native)
        return observe_compiled(lambda: self._forward(native), lambda: [one.clone() for one in outputs])


def load_package(model: ModelFiles, settings: Settings) -> PackageSession:
    return _load_package(model, settings, "fp32")


def load_bf16_package(model: ModelFiles, settings: Settings) -> PackageSession:
    """
    Raises:
        InputError: this processor does not compute in bf16.
    """
    return _load_package(model, settings, "bf16")


def load_int8_package(model: ModelFiles, settings: Settings) -> PackageSession:
    return _load_package(model, settings, "int8")


def _load_package(model: ModelFiles, settings: Settings, precision: str) -> PackageSession:
    """
    Raises:
        InputError: no package was made from the model, or the processor does not compute in the precision.
        ArtifactError: the package cannot be loaded.
    """
    if settings.device == "cpu" and (reason := reason_against(precision)):
        raise InputError(f"PyTorch cannot compute in {precision} on this processor", found=reason)
    device = torch_device(settings)
    file = file_of(model, TORCH_PACKAGE_FILE)
    of_one = file.with_name(TORCH_PACKAGE_OF_ONE_FILE)
    forward = _loaded(file)
    for_one = _loaded(of_one) if of_one.is_file() else forward
    rows = _rows(model)

    def by_batch(inputs: Sequence[Tensor]) -> Sequence[Tensor]:
        return for_one(inputs) if len(inputs[rows]) == 1 else forward(inputs)

    run = forward if for_one is forward else by_batch
    return PackageSession(model, run, device, run, precision)


def _rows(model: ModelFiles) -> int:
    """Return the place of an input that has the batch."""
    inputs = model.user.inputs if model.user else ()
    return next((place for place, one in enumerate(inputs) if not one.shared), 0)


def _loaded(file: Path) -> Forward:
    """Load a package like `torch._inductor.aoti_load_package`, whose import takes as long as PyTorch's own."""
    with explained(file):
        loader = torch._C._aoti.AOTIModelPackageLoader(str(file), "model", False, 1, -1)
    return by_position(lambda *inputs: loader.run(list(inputs)))


def by_position(function: Callable[..., object]) -> Forward:
    def forward(inputs: Sequence[Tensor]) -> Sequence[Tensor]:
        with torch.inference_mode():
            given = function(*inputs)
            return [given] if isinstance(given, Tensor) else list(given)  # type: ignore[call-overload]

    return forward


def file_of(model: ModelFiles, name: str) -> Path:
    """
    Raises:
        InputError: no file was made from the model.
    """
    if model.program is None or not (model.program / name).is_file():
        raise InputError("PyTorch needs a file made for this runtime", expected=name, found="none")
    return model.program / name


@contextmanager
def explained(file: Path) -> Iterator[None]:
    """
    Raises:
        ArtifactError: PyTorch does not load the file.
    """
    try:
        yield
    except AssayError:
        raise
    except Exception as error:  # whatever its readers raise
        raise ArtifactError(f"PyTorch cannot load {file.name}", found=said_by(error)) from error
