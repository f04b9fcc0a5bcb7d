"""The precision and device of PyTorch: every operator of one call, as its dispatcher passes them on."""

from __future__ import annotations

import os
import sys
from collections import Counter
from collections.abc import Callable, Mapping, Sequence

import torch
from torch import Tensor
from torch.utils import _pytree as pytree
from torch.utils._python_dispatch import TorchDispatchMode

from assay.infer.observing.observed import Observed, observed_of, of_each
from assay.numerics.precisions import is_floating, least_exact, precision_named

PRODUCTS = (
    "mm", "addmm", "bmm", "baddbmm", "mv", "dot", "matmul", "linear", "einsum", "lstm", "gru", "rnn_tanh", "rnn_relu",
    "scaled_dot_product_attention", "_scaled_dot_product", "_int_mm", "_scaled_mm", "_weight_int",
    "_native_multi_head_attention", "embedding_bag",
)  # fmt: skip
CONVOLUTIONS = ("convolution", "_convolution", "conv1d", "conv2d", "conv3d", "conv_transpose", "mkldnn_convolution")
INTEGER = ("quantized", "onednn", "torchao")
"""Namespaces of operators whose weights are packed integers, which no argument shows."""


class _Watch(TorchDispatchMode):
    """Counts operators by precision, and remembers the devices of their results."""

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        """PyTorch imports its compiler to keep it out of a mode, which takes a second."""
        return "torch._dynamo" in sys.modules

    def __init__(self) -> None:
        super().__init__()
        self.products: Counter[str] = Counter()
        self.convolutions: Counter[str] = Counter()
        self.others: Counter[str] = Counter()
        self.devices: set[str] = set()

    def __torch_dispatch__(
        self,
        func: Callable[..., object],
        types: Sequence[type],
        args: Sequence[object] = (),
        kwargs: Mapping[str, object] | None = None,
    ) -> object:
        result = func(*args, **(kwargs or {}))
        taken, given = _tensors((args, kwargs)), _tensors(result)
        self.devices |= {str(one.device) for one in given}
        namespace, _, rest = str(func).partition(".")
        name = rest.partition(".")[0]
        if namespace in INTEGER and ("linear" in name or "conv" in name):
            self.products["int8"] += 1
            return result
        counter = self._counter(name)
        precisions = [precision_named(str(one.dtype)) for one in taken]
        if precision := least_exact(filter(is_floating, precisions) if counter is self.others else precisions):
            counter[precision] += 1
        return result

    def _counter(self, name: str) -> Counter[str]:
        if name.startswith(CONVOLUTIONS):
            return self.convolutions
        return self.products if name.startswith(PRODUCTS) else self.others


def _watch() -> _Watch:
    """Return what watches a call; if the compiler has been imported meanwhile, PyTorch keeps it out."""
    if not _Watch._should_skip_dynamo():
        return _Watch()

    class Apart(_Watch):
        __torch_dispatch__ = _Watch.__torch_dispatch__  # what a class defines itself is what PyTorch wraps

    return Apart()


def _tensors(tree: object) -> list[Tensor]:
    return [leaf for leaf in pytree.tree_leaves(tree) if isinstance(leaf, Tensor)]


def observe(call: Callable[[], object]) -> Observed:
    """Watch one call. It must not be compiled: the operators that a compiler makes are not seen."""
    with torch.inference_mode(), _watch() as seen:
        outputs = _tensors(call())
    on_gpu = any(device.startswith("cuda") for device in seen.devices)
    arithmetic = as_allowed(seen.products, seen.convolutions, on_gpu=on_gpu)
    told = settings() | of_each([(str(one.dtype), str(one.device)) for one in outputs])
    return observed_of(arithmetic, seen.others, seen.devices, told)


def as_allowed(products: Counter[str], convolutions: Counter[str], *, on_gpu: bool) -> Counter[str]:
    """Return counts of both together, in which fp32 becomes the precision that PyTorch may round it to."""
    return _as_allowed(products, _matrices_in(on_gpu=on_gpu)) + _as_allowed(
        convolutions, _convolutions_in(on_gpu=on_gpu)
    )


def settings() -> dict[str, str]:
    """Return the precisions to which PyTorch may round fp32."""
    return {
        "float32 matmul precision": _matmul_precision(),
        "TF32 of products of matrices on CUDA": "on" if _matrices_in(on_gpu=True) == "tf32" else "off",
        "TF32 of convolutions on CUDA": "on" if _convolutions_in(on_gpu=True) == "tf32" else "off",
        "NVIDIA_TF32_OVERRIDE": os.environ.get("NVIDIA_TF32_OVERRIDE", "not set"),
    }


def _matmul_precision() -> str:
    """Return the setting, which PyTorch refuses to tell where one backend has been set by itself."""
    try:
        return torch.get_float32_matmul_precision()
    except RuntimeError:
        return f"by backend: {torch.backends.fp32_precision}"


def _matrices_in(*, on_gpu: bool) -> str:
    """Return the precision of products of fp32 matrices: "medium" makes oneDNN on the CPU round them to bf16.

    A backend's `fp32_precision` can be read whichever way it was set; `allow_tf32` raises where a model has set it.
    """
    backends = torch.backends
    return _told(on_gpu=on_gpu, precision=(backends.cuda if on_gpu else backends.mkldnn).matmul.fp32_precision)


def _convolutions_in(*, on_gpu: bool) -> str:
    backends = torch.backends
    return _told(on_gpu=on_gpu, precision=(backends.cudnn if on_gpu else backends.mkldnn).conv.fp32_precision)


def _told(*, on_gpu: bool, precision: str) -> str:
    """Translate a backend's "ieee", "tf32", "bf16" or "none", which means unset; the CPU has no TF32."""
    return precision if precision == ("tf32" if on_gpu else "bf16") else "fp32"


def _as_allowed(counts: Counter[str], precision: str) -> Counter[str]:
    """Return counts in which fp32 becomes the precision that it is computed in."""
    return Counter({precision if name == "fp32" else name: count for name, count in counts.items()})
