"""Matrix products and STREAM kernels in PyTorch, for `assay.infer.ceilings.job`."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray

from assay.infer.ceilings.rates import Kernel, Kernels
from assay.infer.runtimes.same_for_all import torch_device
from assay.spec import Settings


def products(left: NDArray[np.float32], right: NDArray[np.float32], threads: int) -> dict[str, Kernel]:
    """Return products in fp32 and, where the processor has instructions for it, in bf16."""
    torch_device(Settings(threads))
    a, b = torch.from_numpy(left), torch.from_numpy(right)
    out = torch.empty_like(a)
    found: dict[str, Kernel] = {"fp32": lambda: torch.mm(a, b, out=out)}
    if torch.ops.mkldnn._is_mkldnn_bf16_supported():
        half_a, half_b, half_out = a.bfloat16(), b.bfloat16(), out.bfloat16()
        found["bf16"] = lambda: torch.mm(half_a, half_b, out=half_out)
    return found


def stream_kernels(one: NDArray[np.float32], two: NDArray[np.float32], three: NDArray[np.float32]) -> Kernels:
    """Return copy, triad and sum on arrays of equal length, each with the bytes it reads and writes."""
    return kernels_on(*(torch.from_numpy(array) for array in (one, two, three)))


def kernels_on(a: torch.Tensor, b: torch.Tensor, c: torch.Tensor) -> Kernels:
    """Return the same on tensors of fp32, wherever they are."""
    each = float(a.nbytes)
    return {
        "torch copy": (lambda: c.copy_(a), 2 * each),
        "torch triad": (lambda: torch.add(a, b, alpha=3.0, out=c), 3 * each),
        "torch sum": (lambda: torch.sum(a), each),
    }
