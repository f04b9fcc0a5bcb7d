"""The precision of PyTorch's compiled code: the operators that its profiler saw in one call, and oneDNN's kernels.

A compiler may have made anything of a model's own operators: products of integers where they multiply dequantised
numbers, or the reverse. So the kernels that ran are examined, not the operators. oneDNN says which instructions each of
its kernels uses (https://uxlfoundation.github.io/oneDNN/dev_guide_verbose.html): a bf16 kernel that uses "avx512_core"
alone emulates bf16.
"""

from __future__ import annotations

import os
import re
import tempfile
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from functools import cache

import torch
from torch.profiler import ProfilerActivity, profile

from assay.infer.observing.observed import Observed, observed_of
from assay.infer.observing.on_torch import CONVOLUTIONS, INTEGER, PRODUCTS, as_allowed, observe, settings
from assay.numerics.precisions import least_exact, precision_named

BEFOREHAND = ("prepack", "dynamic_quant_params")
"""Parts of the names of operators that prepare something for a product."""
COMPILED_PRODUCTS = ("_linear_pointwise", "_mkl_linear", "_convolution_transpose_pointwise", "mkldnn_rnn_layer")
BY_NAME_IN_C = {
    "float": "fp32", "double": "fp64", "c10::BFloat16": "bf16", "c10::Half": "fp16",
    "signed char": "int8", "unsigned char": "int8",
}  # fmt: skip
KERNELS = ("convolution", "deconvolution", "inner_product", "matmul", "rnn")
KERNEL = re.compile(r"\w+ [\w:.+-]{1,60} \w{1,8}")
"""Matches a kernel among oneDNN's lines, between which a model may print anything."""
INSTRUCTIONS = {"bf16": ("bf16", "fp16", "amx", "avx10"), "fp16": ("fp16", "avx10")}
"""Names of the instructions that compute in each precision; each of oneDNN's sets includes those before it."""
NAMES_IN_ONEDNN = {"bf16": "bf16", "fp16": "f16"}
BY_NAME_IN_ONEDNN = {"f32": "fp32", "bf16": "bf16", "f16": "fp16", "u8": "int8", "s8": "int8"}
TYPES = {"bf16": torch.bfloat16, "fp16": torch.float16}


def observe_compiled(call: Callable[[], object], uncompiled: Callable[[], object]) -> Observed:
    """Observe one call through the profiler and oneDNN; where they saw no product, through the uncompiled operators."""
    with torch.inference_mode():
        products, convolutions = products_in((one.name, one.input_dtypes or ()) for one in _operators(call))
        kernels = kernels_in(_told_by_onednn(call))
    found = observe(uncompiled)
    arithmetic = as_allowed(products, convolutions, on_gpu="cuda" in found.device) | precisions_of(kernels)
    if not arithmetic:
        return found
    told = {"kernels": ", ".join(f"{name} ({count})" for name, count in sorted(kernels.items()))} if kernels else {}
    seen = observed_of(arithmetic, {}, [found.device], settings() | told)
    return replace(seen, facts={**found.facts, **seen.facts})


def products_in(operators: Iterable[tuple[str, Iterable[str]]]) -> tuple[Counter[str], Counter[str]]:
    """Count products of matrices, and convolutions, by precision.

    Args:
        operators: the name of each, such as "mkldnn::_convolution_pointwise", and the types of its arguments in C++.
    """
    products, convolutions = Counter[str](), Counter[str]()
    for whole, types in operators:
        namespace, _, name = whole.partition("::")
        if any(word in name for word in BEFOREHAND):
            continue
        if namespace in INTEGER and ("linear" in name or "conv" in name):
            (products if "linear" in name else convolutions)["int8"] += 1
        elif name.startswith((*PRODUCTS, *COMPILED_PRODUCTS)) and (precision := _of_types(types)):
            products[precision] += 1
        elif name.startswith(CONVOLUTIONS) and (precision := _of_types(types)):
            convolutions[precision] += 1
    return products, convolutions


def kernels_in(lines: Iterable[str]) -> dict[str, int]:
    """Count how often each of oneDNN's kernels of products ran, "convolution brg_conv_fwd:avx512_core_amx bf16".

    Args:
        lines: lines of its verbose mode.
    """
    found: Counter[str] = Counter()
    for line in lines:
        parts = line.split(",")
        if len(parts) > 8 and parts[0] == "onednn_verbose" and parts[3] == "exec" and parts[5] in KERNELS:
            kernel = f"{parts[5]} {parts[6]} {_source(parts[8])}"
            found[kernel] += KERNEL.fullmatch(kernel) is not None
    return dict(+found)


def precisions_of(kernels: Mapping[str, int]) -> Counter[str]:
    """Count oneDNN's kernels by precision. Code that runs without Python calls some that the profiler does not see."""
    found: Counter[str] = Counter()
    for kernel, count in kernels.items():
        found[BY_NAME_IN_ONEDNN.get(kernel.rpartition(" ")[2], "")] += count
    del found[""]
    return found


def reason_against(precision: str) -> str:
    """Return why this processor computes nothing in bf16 or fp16, or ""."""
    if precision not in TYPES:
        return ""
    try:
        kernels = _tried(precision)
    except RuntimeError as error:
        return str(error).partition("\n")[0]
    return emulated(precision, kernels, torch.cpu.get_capabilities())


def emulated(precision: str, kernels: Iterable[str], capabilities: Mapping[str, object]) -> str:
    """Return why a product that was tried in a precision is not computed in it, or "".

    Args:
        kernels: oneDNN's kernels that ran (see `kernels_in`); empty where PyTorch computes the product itself.
        capabilities: the processor's capabilities, from `torch.cpu.get_capabilities`.
    """
    ran = [one.split(" ")[1] for one in kernels if one.endswith(f" {NAMES_IN_ONEDNN[precision]}")]
    x86 = str(capabilities.get("architecture", "")).startswith("x86")
    if not x86:
        name = "bf16" if precision == "bf16" else "fp16_arith"
        return "" if capabilities.get(name) else f"the processor has no {precision} arithmetic"
    if not ran:
        return f"PyTorch has no {precision} kernels of oneDNN here"
    slow = [one for one in ran if not any(word in one.rpartition(":")[2] for word in INSTRUCTIONS[precision])]
    return f"oneDNN emulates {precision} here, by {', '.join(sorted(set(slow)))}" if slow else ""


@cache
def _tried(precision: str) -> tuple[str, ...]:
    """Return the kernels of a small convolution."""
    rows = torch.ones(1, 16, 8, 8, dtype=TYPES[precision])
    weights = torch.ones(16, 16, 3, 3, dtype=TYPES[precision])
    with torch.inference_mode():
        return tuple(kernels_in(_told_by_onednn(lambda: torch.conv2d(rows, weights))))


def _operators(call: Callable[[], object]) -> Iterable[torch.autograd.profiler_util.FunctionEvent]:
    with profile(activities=[ProfilerActivity.CPU], record_shapes=True) as recorded:
        call()
    return list(recorded.events())


def _told_by_onednn(call: Callable[[], object]) -> list[str]:
    """Return the lines that oneDNN prints during a call: to standard output, which is redirected to a file
    meanwhile.
    """
    before = os.dup(1)
    try:
        with tempfile.TemporaryFile() as told:
            os.dup2(told.fileno(), 1)
            try:
                with torch.backends.mkldnn.verbose(torch.backends.mkldnn.VERBOSE_ON):
                    call()
            finally:
                os.dup2(before, 1)
            told.seek(0)
            return told.read().decode("utf-8", "replace").splitlines()
    finally:
        os.close(before)


def _of_types(types: Iterable[str]) -> str:
    return least_exact(BY_NAME_IN_C.get(one) or precision_named(one) for one in types)


def _source(descriptors: str) -> str:
    """Return the type of the source in "src:bf16::blocked:acdb::f0 wei:..."."""
    return descriptors.partition("src:")[2].partition(":")[0]
