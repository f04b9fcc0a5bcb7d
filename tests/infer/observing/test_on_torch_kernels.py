"""The precision of PyTorch's compiled code, from its profiler's operators and oneDNN's lines, also seen for real."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from assay.infer.observing.on_torch_kernels import (
    emulated,
    kernels_in,
    observe_compiled,
    precisions_of,
    products_in,
    reason_against,
)

ROWS = torch.ones(2, 3, 8, 8)
LINE = "onednn_verbose,v1,primitive,exec,cpu,{},{},forward_inference,src:{}::blocked:acdb::f0,attr,alg,mb1,0.1"
X86 = {"architecture": "x86_64"}


def test_operators_of_compiled_code_are_counted_by_what_they_take() -> None:
    """The profile of a network quantised by torchao, with its last layer left in fp32."""
    seen = [
        ("onednn::qconv_prepack", ["signed char", "float"]),
        ("onednn::qconv2d_pointwise", ["unsigned char", "float", "int", "signed char"]),
        ("onednn::qlinear_pointwise", ["unsigned char", "float"]),
        ("mkldnn::_convolution_pointwise", ["c10::BFloat16", "c10::BFloat16", "ScalarList"]),
        ("mkl::_mkl_linear", ["float", "float", "", "Scalar"]),
        ("aten::mm", ["c10::Half", "c10::Half"]),
        ("aten::empty", ["ScalarList"]),
        ("Torch-Compiled Region: 0/0", []),
    ]
    products, convolutions = products_in(seen)
    assert products == {"int8": 1, "fp32": 1, "fp16": 1}
    assert convolutions == {"int8": 1, "bf16": 1}


def test_integers_that_are_fp32_underneath_are_found() -> None:
    """A quantised program that nothing fuses: numbers are rounded, and multiplied in fp32."""
    seen = [("aten::_convolution", ["float", "float", "float"]), ("aten::addmm", ["float", "float", "float"])]
    assert products_in(seen) == ({"fp32": 1}, {"fp32": 1})


def test_kernels_of_onednn_are_counted_and_nothing_else_it_says() -> None:
    lines = [
        "onednn_verbose,v1,info,cpu,isa:Intel AVX-512",
        LINE.format("reorder", "jit:uni", "f32"),
        LINE.format("convolution", "brg_conv_fwd:avx512_core_amx", "bf16"),
        LINE.format("convolution", "brg_conv_fwd:avx512_core_amx", "bf16"),
        "what a model printed",
        LINE.format("convolution", "\x1b[2J[red]" + "x" * 1000, "bf16"),
    ]
    assert kernels_in(lines) == {"convolution brg_conv_fwd:avx512_core_amx bf16": 2}


def test_kernels_that_the_profiler_does_not_see_are_counted_too() -> None:
    """Kernels as a package of AOTInductor runs them; the first is not a known one."""
    kernels = {"convolution it:avx2 f8": 1, "convolution it:amx bf16": 20, "matmul it:amx u8": 2, "matmul it:amx s8": 1}
    assert precisions_of(kernels) == {"bf16": 20, "int8": 3}


@pytest.mark.parametrize(
    ("precision", "kernel", "capabilities", "reason"),
    [
        ("bf16", "convolution jit_bf16:avx512_core_bf16 bf16", X86, ""),
        ("bf16", "convolution brg_conv_fwd:avx10_1_512_amx bf16", X86, ""),
        ("bf16", "convolution jit_bf16:avx512_core bf16", X86, "emulates bf16 here, by jit_bf16:avx512_core"),
        ("fp16", "convolution brg_conv_fwd:avx512_core_fp16 f16", X86, ""),
        ("fp16", "convolution ref:any f16", X86, "emulates fp16 here, by ref:any"),
        ("bf16", "convolution ref:any f32", X86, "no bf16 kernels"),
        ("bf16", "", {"architecture": "arm64", "bf16": True}, ""),
        ("fp16", "", {"architecture": "arm64"}, "no fp16 arithmetic"),
    ],
)
def test_emulated_arithmetic_is_distinguished_from_the_processors_own(
    precision: str, kernel: str, capabilities: dict[str, object], reason: str
) -> None:
    """The kernels are those of this oneDNN under `ONEDNN_MAX_CPU_ISA`."""
    found = emulated(precision, [kernel] if kernel else [], capabilities)
    assert (reason in found) if reason else not found


def test_fp32_is_never_refused() -> None:
    assert reason_against("fp32") == ""


class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.convolution, self.head = nn.Conv2d(3, 16, 3), nn.Linear(16, 2)

    def forward(self, rows: torch.Tensor) -> torch.Tensor:
        return self.head(self.convolution(rows).mean((2, 3)))


def test_a_call_is_seen_as_it_runs_whatever_it_was_compiled_from() -> None:
    plain, narrow = Net().eval(), Net().eval().to(torch.bfloat16)
    seen = observe_compiled(lambda: narrow(ROWS.bfloat16()), lambda: plain(ROWS))
    assert (seen.device, seen.precision) == ("cpu", "bf16")
    seen = observe_compiled(lambda: plain(ROWS), lambda: narrow(ROWS.bfloat16()))
    assert seen.precision == "fp32"


def test_what_has_no_products_is_what_its_operators_are() -> None:
    assert observe_compiled(lambda: ROWS + 1, lambda: ROWS.half() + 1).precision == "fp16"
