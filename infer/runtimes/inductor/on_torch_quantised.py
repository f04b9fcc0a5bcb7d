"""Programs of torch.export that torchao quantised, compiled where they run."""

from __future__ import annotations

import torch
import torch._inductor.config as inductor
import torchao.quantization.pt2e.quantize_pt2e  # noqa: F401  registers the program's operators, and their fusions

from assay.infer.runtime import ModelFiles
from assay.infer.runtimes.inductor.on_torch_compiled import CompiledSession, need_compiler
from assay.infer.runtimes.inductor.on_torch_packages import by_position, explained, file_of
from assay.infer.runtimes.same_for_all import torch_device
from assay.spec import TORCH_PROGRAM_FILE, Settings
from assay.train.brought.files.on_torch_archive import load_checked_program


def load_int8(model: ModelFiles, settings: Settings) -> CompiledSession:
    """Compile with frozen weights at the first call of each input shape.

    Raises:
        NotInstalledError: a C++ compiler is missing.
        InputError: no program was made from the model.
        ArtifactError: the program cannot be loaded.
    """
    need_compiler(settings)
    device = torch_device(settings)
    with explained(file := file_of(model, TORCH_PROGRAM_FILE)):
        module = load_checked_program(file).module()
    inductor.freezing = True  # the process has this one runtime
    compiled = by_position(torch.compile(module, dynamic=False))
    return CompiledSession(model, compiled, device, by_position(module), "int8")
