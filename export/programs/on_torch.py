"""PyTorch models as packages of AOTInductor: a program of torch.export, compiled into a library with its weights frozen
into it (https://docs.pytorch.org/docs/stable/torch.compiler_aot_inductor.html).
"""

from __future__ import annotations

import shutil
from pathlib import Path

import torch
from torch import Tensor, nn

from assay.errors import NotInstalledError
from assay.export.programs.request import ProgramRequest
from assay.export.routes.on_torch import LAYOUT, example_of, module_of
from assay.export.routes.request import ExportRequest, versions_of
from assay.spec import TORCH_PACKAGE_FILE, TORCH_PACKAGE_OF_ONE_FILE, TORCH_PROGRAM_FILE
from assay.train.brought.named.on_torch import ByPosition

CONFIGURED = {"freezing": True, "cpp.dynamic_threads": True}
"""Weights are packed when the package is made, and it uses the threads of the process that loads it."""


def make_package(request: ProgramRequest) -> dict[str, str]:
    """
    Raises:
        NotInstalledError: there is no C++ compiler.
        AssayError: a user's file fails.
    """
    exported = Exported(request)
    return packaged(request, exported, exported.module)


def make_bf16_package(request: ProgramRequest) -> dict[str, str]:
    """Use bf16 for weights and everything between input and output; same errors as `make_package`."""
    exported = Exported(request)
    return packaged(request, exported, _InBf16(exported.module))


class Exported:
    """A model's module, and the inputs to trace it with.

    Attributes:
        module: the module, which takes and returns tensors by position.
        example: tensors to trace with.
    """

    def __init__(self, request: ProgramRequest) -> None:
        asked = ExportRequest(request.model, request.folder / TORCH_PROGRAM_FILE, 0)
        self.module = module_of(asked).to(request.device)
        self.example = tuple(one.to(request.device) for one in example_of(asked))
        self._arguments = asked.inputs(LAYOUT)

    @property
    def any_batch(self) -> bool:
        return any(None in one.shape for one in self._arguments)

    @property
    def example_of_one(self) -> tuple[Tensor, ...]:
        """The same tensors, with one row where there may be any number."""
        pairs = zip(self._arguments, self.example, strict=True)
        return tuple(tensor[:1] if None in argument.shape else tensor for argument, tensor in pairs)

    def again(self, module: nn.Module, *, of_one: bool = False) -> torch.export.ExportedProgram:
        """Trace the module, or one made from it, for any batch or for a batch of one."""
        batch = {0: torch.export.Dim("batch", min=1)}
        shapes = tuple(batch if None in one.shape else None for one in self._arguments)
        dynamic = None if of_one or not any(shapes) else (shapes,) if _takes_all(module) else shapes
        with torch.no_grad():
            return torch.export.export(
                module, self.example_of_one if of_one else self.example, dynamic_shapes=dynamic, strict=False
            )


class _InBf16(nn.Module):
    """A module with weights in bf16, between an input and an output that are not."""

    def __init__(self, module: nn.Module) -> None:
        super().__init__()
        self.module = module.to(torch.bfloat16)

    def forward(self, *inputs: Tensor) -> Tensor | tuple[Tensor, ...]:
        taken = [one.to(torch.bfloat16) if one.dtype == torch.float32 else one for one in inputs]
        given = self.module(*taken)
        outputs = [given] if isinstance(given, Tensor) else list(given)
        wide = tuple(one.float() if one.dtype == torch.bfloat16 else one for one in outputs)
        return wide[0] if len(wide) == 1 else wide


def _takes_all(module: nn.Module) -> bool:
    """Return whether its only argument is *inputs."""
    return isinstance(module, ByPosition | _InBf16)


def packaged(request: ProgramRequest, exported: Exported, module: nn.Module) -> dict[str, str]:
    """Compile, and write a package for any batch; also one for a single row, where the code can rely on that.

    For a GPU the package holds kernels for the one that is here, and the headers of CUDA's toolkit are needed.
    """
    if not (shutil.which("g++") or shutil.which("clang++")):
        raise NotInstalledError(
            "AOTInductor needs a C++ compiler, and neither g++ nor clang++ is on the PATH",
            remedy="Install one (Debian and Ubuntu: apt-get install g++) or leave out its runtimes",
        )
    _compiled(exported.again(module), request.folder / TORCH_PACKAGE_FILE)
    if exported.any_batch:
        _compiled(exported.again(module, of_one=True), request.folder / TORCH_PACKAGE_OF_ONE_FILE)
    return versions_of("torch", "torchao")


def _compiled(program: torch.export.ExportedProgram, file: Path) -> None:
    with torch.no_grad():  # with gradients Inductor does not freeze
        torch._inductor.aoti_compile_and_package(program, package_path=str(file), inductor_configs=CONFIGURED)
