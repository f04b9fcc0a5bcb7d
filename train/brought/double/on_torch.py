"""PyTorch in float64 throughout, operator by operator, even where a model says `.float()` in the middle.
`module.double()` widens parameters alone. Here every operator on its way to its kernel gets float64 in place of fp32 or
less, and narrower inputs are widened, so that a constant or a cast inside the model leaves no arithmetic in fp32.

A quantised layer computes with the numbers that its stored integers stand for, exactly: a dynamic one is the product in
float64, and a static one is also rounded to the steps of its own result.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.utils import _pytree as pytree
from torch.utils._python_dispatch import TorchDispatchMode

from assay.errors import InputError

WIDE = {
    torch.float32: torch.float64, torch.float16: torch.float64, torch.bfloat16: torch.float64,
    torch.complex64: torch.complex128, torch.complex32: torch.complex128,
}  # fmt: skip
QUANTISES = "aten::quantize_per_tensor"
OF_INTEGERS = "quantized::"
CONVOLUTIONS = {"conv1d": 1, "conv2d": 2, "conv3d": 3}
"""Convolutions of quantised tensors, and how many dimensions each goes along."""
REINTERPRETS = "aten::view.dtype"
"""The operator that reads the bits of a number as another type, which means something else in float64."""


@contextmanager
def float64_throughout() -> Iterator[None]:
    """Compute everything inside the block in float64.

    Raises:
        InputError: an operator reads the bits of a number.
    """
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    try:
        with _Widening():
            yield
    finally:
        torch.set_default_dtype(before)


class _Widening(TorchDispatchMode):  # type: ignore[misc, unused-ignore]
    def __torch_dispatch__(
        self,
        func: Any,
        types: Sequence[type],
        args: tuple[object, ...] = (),
        kwargs: Mapping[str, object] | None = None,
    ) -> object:
        del types
        if func.name() == REINTERPRETS:
            raise InputError("It reads the bits of numbers, which are different in float64", found=func.name())
        widen = _widened_type if func._schema.is_mutable else _widened
        if func.name() == QUANTISES:
            return func(args[0].float(), *args[1:], **dict(kwargs or {}))  # type: ignore[attr-defined]
        if func.name().startswith(OF_INTEGERS):
            return _of_integers(func.name(), args)
        wide_args, wide_kwargs = pytree.tree_map(widen, (args, dict(kwargs or {})))
        return func(*wide_args, **wide_kwargs)


def widen_weights(module: nn.Module) -> None:
    """Put numbers in float64 in place of quantised weights of a kind of their own, such as torchao's."""
    for part in module.modules():
        for name, weight in list(part.named_parameters(recurse=False)):
            if type(weight) not in {Tensor, nn.Parameter} and callable(getattr(weight, "dequantize", None)):
                plain = nn.Parameter(weight.dequantize().double(), requires_grad=False)
                part.register_parameter(name, plain)


def _of_integers(name: str, args: tuple[Any, ...]) -> Tensor:
    """Return the result of an operator of the namespace `quantized` in float64.

    Raises:
        InputError: its definition is not among those that are known here.
    """
    operator = name.partition("::")[2].partition(".")[0]
    function, _, kind = operator.removesuffix("_dynamic").partition("_relu")
    dynamic, has_relu = operator.endswith("_dynamic"), "_relu" in operator
    if function == "linear" and not kind:
        weight, bias = torch.ops.quantized.linear_unpack(args[1])
        found = functional.linear(_real(args[0]), _real(weight), None if bias is None else bias.double())
    elif function in CONVOLUTIONS and not kind:
        packed, along = args[1], CONVOLUTIONS[function]
        weight, bias = getattr(torch.ops.quantized, f"{function}_unpack")(packed)
        sizes = [[*one][:along] for one in (packed.stride(), packed.padding(), packed.dilation())]
        convolve = getattr(functional, function)
        found = convolve(
            _real(args[0]), _real(weight), None if bias is None else bias.double(), *sizes, packed.groups()
        )
    elif function in {"add", "mul"} and not kind and isinstance(args[1], Tensor):
        found = getattr(torch, function)(_real(args[0]), _real(args[1]))
    else:
        raise InputError(f"PyTorch's {name} has no float64 here", expected="quantised linear layers and convolutions")
    found = found.relu() if has_relu else found
    return found if dynamic else _in_steps(found, float(args[2]), int(args[3]))


def _real(value: Tensor) -> Tensor:
    """Return the numbers that a quantised tensor stands for, exactly, or any other tensor in float64."""
    if not value.is_quantized:
        return value.double()
    steps = value.int_repr().double()
    if value.qscheme() in {torch.per_channel_affine, torch.per_channel_affine_float_qparams}:
        shape = [-1 if place == value.q_per_channel_axis() else 1 for place in range(value.dim())]
        scales, zeros = value.q_per_channel_scales(), value.q_per_channel_zero_points()
        return (steps - zeros.double().reshape(shape)) * scales.double().reshape(shape)
    return (steps - value.q_zero_point()) * value.q_scale()


def _in_steps(value: Tensor, scale: float, zero: int) -> Tensor:
    """Return a quantised tensor, rounded to its steps once, from float64."""
    steps = (torch.round(value / scale) + zero).clamp(0, 255).to(torch.uint8)
    return torch._make_per_tensor_quantized_tensor(steps, scale, zero)


def _widened_type(value: object) -> object:
    return WIDE.get(value, value) if isinstance(value, torch.dtype) else value


def _widened(value: object) -> object:
    if isinstance(value, Tensor) and value.dtype in WIDE:
        return value.to(WIDE[value.dtype])
    return _widened_type(value)
