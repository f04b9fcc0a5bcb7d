"""Fused operators of ONNX Runtime on floating-point numbers, written out as the operators of the standard.

Source: https://github.com/microsoft/onnxruntime/blob/main/docs/ContribOperators.md
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from assay.export.reference.on_onnx_written_node import WritingOut


def _gelu(one: WritingOut) -> None:
    x = one.call("Add", one.input(0), one.input(1)) if one.input(1) else one.input(0)
    inner = one.call("Mul", x, one.constant(np.float64(math.sqrt(0.5))))
    whole = one.call("Add", one.call("Erf", inner), one.constant(np.float64(1)))
    one.call("Mul", one.call("Mul", x, one.constant(np.float64(0.5))), whole, output=one.node.output[0])


def _fast_gelu(one: WritingOut) -> None:
    x = one.call("Add", one.input(0), one.input(1)) if one.input(1) else one.input(0)
    cube = one.call("Mul", one.call("Mul", one.call("Mul", x, x), x), one.constant(np.float64(0.044715)))
    inner = one.call("Mul", one.call("Add", x, cube), one.constant(np.float64(math.sqrt(2 / math.pi))))
    whole = one.call("Add", one.call("Tanh", inner), one.constant(np.float64(1)))
    one.call("Mul", one.call("Mul", x, one.constant(np.float64(0.5))), whole, output=one.node.output[0])


def _quick_gelu(one: WritingOut) -> None:
    inner = one.call("Mul", one.input(0), one.constant(np.float64(one.attribute("alpha", 1.702))))
    one.call("Mul", one.input(0), one.call("Sigmoid", inner), output=one.node.output[0])


def _skip_layer_norm(one: WritingOut) -> None:
    """Normalise the sum of two inputs and a bias; only files whose other results nobody reads are written out."""
    if any(one.node.output[1:3]):
        return
    simple = one.node.op_type == "SkipSimplifiedLayerNormalization"
    bias = 3 if simple else 4
    x = one.call("Add", one.input(0), one.input(1))
    x = one.call("Add", x, one.input(bias)) if one.input(bias) else x
    if len(one.node.output) > 3 and one.node.output[3]:
        x = one.call("Identity", x, output=one.node.output[3])
    _normalised(one, x, 2, "" if simple else one.input(3), epsilon=1e-12, centred=not simple)


def _simplified_layer_norm(one: WritingOut) -> None:
    if not any(one.node.output[1:]) and one.attribute("axis", -1) == -1:
        _normalised(one, one.input(0), 1, "", epsilon=1e-5, centred=False)


def _normalised(one: WritingOut, x: str, scale: int, bias: str, *, epsilon: float, centred: bool) -> None:
    """
    Args:
        epsilon: the number in place of the attribute that is left out.
    """
    if centred:
        x = one.call("Sub", x, _mean(one, x))
    square = _mean(one, one.call("Mul", x, x))
    tiny = one.constant(np.float64(one.attribute("epsilon", epsilon)))
    value = one.call("Mul", one.call("Div", x, one.call("Sqrt", one.call("Add", square, tiny))), one.input(scale))
    if bias:
        one.call("Add", value, bias, output=one.node.output[0])
    else:
        one.call("Identity", value, output=one.node.output[0])


def _mean(one: WritingOut, x: str) -> str:
    """Add the mean over the last dimension; until opset 18 its place was an attribute."""
    if one.opset < 18:
        return one.call("ReduceMean", x, axes=[-1], keepdims=1)
    return one.call("ReduceMean", x, one.constant(np.array([-1])), keepdims=1)


def _fused_matmul(one: WritingOut) -> None:
    if one.attribute("transBatchA", 0) or one.attribute("transBatchB", 0):
        return
    sides = []
    for place, name in enumerate(("transA", "transB")):
        # Without a known rank the last two dimensions are exchanged by Einsum.
        turn = bool(one.attribute(name, 0))
        sides.append(one.call("Einsum", one.input(place), equation="...ij->...ji") if turn else one.input(place))
    product = one.call("MatMul", *sides)
    alpha = one.constant(np.float64(one.attribute("alpha", 1.0)))
    one.call("Mul", product, alpha, output=one.node.output[0])


FUSED: dict[str, Callable[[WritingOut], None]] = {
    "Gelu": _gelu,
    "BiasGelu": _gelu,
    "FastGelu": _fast_gelu,
    "QuickGelu": _quick_gelu,
    "SkipLayerNormalization": _skip_layer_norm,
    "SkipSimplifiedLayerNormalization": _skip_layer_norm,
    "SimplifiedLayerNormalization": _simplified_layer_norm,
    "FusedMatMul": _fused_matmul,
}
"""The function that writes out each operator. It adds no nodes for one that it cannot write out."""
