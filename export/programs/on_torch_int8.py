"""PyTorch models in int8 by torchao: quantised programs of torch.export, and packages compiled from them. An exported
program is quantised (PT2E) in the way for which Inductor has kernels on x86: weights symmetric and per channel,
activations asymmetric and per tensor, their ranges from calibration
(https://docs.pytorch.org/ao/stable/tutorials_source/pt2e_quant_x86_inductor.html).
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torchao.quantization.pt2e.quantize_pt2e import convert_pt2e, prepare_pt2e
from torchao.quantization.pt2e.quantizer.x86_inductor_quantizer import (
    X86InductorQuantizer,
    get_default_x86_inductor_quantization_config,
)

from assay.errors import ExportFailedError
from assay.export.programs.on_torch import Exported, packaged
from assay.export.programs.request import ProgramRequest, calibration_calls
from assay.export.routes.request import versions_of
from assay.spec import TORCH_PROGRAM_FILE
from assay.train.built import BuiltModel


def make_int8_package(request: ProgramRequest) -> dict[str, str]:
    """
    Raises:
        InputError: there is nothing to calibrate with, or it does not fit the model.
        ExportFailedError: no part of the model can be quantised.
        AssayError: as for `make_package`.
    """
    exported = Exported(request)
    quantised, facts = _quantised(request, exported)
    return packaged(request, exported, quantised) | facts


def make_int8_program(request: ProgramRequest) -> dict[str, str]:
    """Make a program that is still to be compiled; same errors as `make_int8_package`."""
    exported = Exported(request)
    quantised, facts = _quantised(request, exported)
    torch.export.save(exported.again(quantised), request.folder / TORCH_PROGRAM_FILE)
    return versions_of("torch", "torchao") | facts


def _quantised(request: ProgramRequest, exported: Exported) -> tuple[nn.Module, dict[str, str]]:
    """Return the module with its values rounded to integers around every operator that has integer kernels.

    Raises:
        ExportFailedError: there is no such operator.
    """
    quantizer = X86InductorQuantizer().set_global(get_default_x86_inductor_quantization_config())
    prepared = prepare_pt2e(exported.again(exported.module).module(), quantizer)
    calls = 0
    with torch.no_grad():
        for call in calibration_calls(request):
            prepared(*_tensors(request, call))
            calls += 1
    quantised = convert_pt2e(prepared)
    rounded = sum("quantize_per" in str(node.target) for node in quantised.graph.nodes)
    if not rounded:
        raise ExportFailedError(
            f"torchao finds nothing to quantise in {request.model.name}", expected="a convolution or a matrix product"
        )
    return quantised, {"calibrated on": f"{calls} calls"}


def _tensors(request: ProgramRequest, call: Sequence[object]) -> list[Tensor]:
    """Return images of our own models with their channels first, and a user's inputs as they are."""
    tensors = [torch.as_tensor(one) for one in call]
    built = isinstance(request.model, BuiltModel)
    return [one.permute(0, 3, 1, 2).contiguous() for one in tensors] if built else tensors
