"""Quantised and fused operators of ONNX written out as the operators of the standard that they stand for.

onnx's reference evaluator knows few operators of ONNX Runtime's own domain, com.microsoft, and computes products of
integers in int32. Here each becomes its definition: factors minus their zero points times their scales, the product or
function of real numbers, and where the result is quantised, QuantizeLinear. Packed weights of 4 and 8 bits become the
numbers that they stand for, exactly. In float64 this is what the file says, with no rounding but its own steps.

Sources: https://github.com/microsoft/onnxruntime/blob/main/docs/ContribOperators.md, and
https://onnx.ai/onnx/operators for QLinearConv, QLinearMatMul, MatMulInteger, ConvInteger and DynamicQuantizeLinear.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping

import numpy as np
from numpy.typing import NDArray
from onnx import GraphProto, ModelProto, NodeProto, TensorProto, helper

from assay.export.reference.on_onnx_fused import FUSED
from assay.export.reference.on_onnx_written_node import Array, NotFixedError, WritingOut

OURS = "com.microsoft"


def written_out(model: ModelProto) -> ModelProto:
    """Return the model itself, or a copy in which the operators of `WRITTEN` are the standard's, inner graphs included.

    An operator whose packed weights are computed by the file stays as it is.
    """
    if not any(map(_is_written, _nodes_below(model.graph))):
        return model
    found = ModelProto()
    found.CopyFrom(model)
    opset = next((one.version for one in model.opset_import if one.domain in {"", "ai.onnx"}), 1)
    _write_graph(found.graph, {}, opset)
    return found


def _is_written(node: NodeProto) -> bool:
    return node.op_type in WRITTEN and (node.domain == OURS) != (node.op_type in STANDARD)


def _write_graph(graph: GraphProto, outer: Mapping[str, TensorProto], opset: int) -> None:
    fixed = {**outer, **{one.name: one for one in graph.initializer}, **_constants(graph.node)}
    nodes: list[NodeProto] = []
    for node in graph.node:
        for attribute in node.attribute:
            for inner in [attribute.g] if attribute.HasField("g") else attribute.graphs:
                _write_graph(inner, fixed, opset)
        nodes += _instead_of(node, fixed, opset)
    del graph.node[:]
    graph.node.extend(nodes)


def _instead_of(node: NodeProto, fixed: Mapping[str, TensorProto], opset: int) -> list[NodeProto]:
    if not _is_written(node):
        return [node]
    written = WritingOut(node, fixed, opset)
    try:
        WRITTEN[node.op_type](written)
    except NotFixedError:
        return [node]
    return written.nodes or [node]


def _constants(nodes: Iterable[NodeProto]) -> dict[str, TensorProto]:
    return {
        node.output[0]: one.t
        for node in nodes
        if node.op_type == "Constant"
        for one in node.attribute
        if one.name == "value"
    }


def _nodes_below(graph: GraphProto) -> Iterable[NodeProto]:
    for node in graph.node:
        yield node
        for attribute in node.attribute:
            for inner in [attribute.g] if attribute.HasField("g") else attribute.graphs:
                yield from _nodes_below(inner)


def _qlinear(operator: str, **fixed: object) -> Callable[[WritingOut], None]:
    """Write out an operator of one input: its number, function and quantised result."""

    def write(one: WritingOut) -> None:
        if one.attribute("channels_last", 0):
            return
        value = one.same(operator, one.real(0, 1, 2), without=("channels_last", "opset", *fixed))
        one.quantised(value, 3, 4)

    return write


def _qlinear_pair(operator: str) -> Callable[[WritingOut], None]:
    def write(one: WritingOut) -> None:
        one.quantised(one.call(operator, one.real(0, 1, 2), one.real(3, 4, 5)), 6, 7)

    return write


def _qlinear_where(one: WritingOut) -> None:
    one.quantised(one.call("Where", one.input(0), one.real(1, 2, 3), one.real(4, 5, 6)), 7, 8)


def _qlinear_concat(one: WritingOut) -> None:
    parts = [one.real(place, place + 1, place + 2) for place in range(2, len(one.node.input), 3)]
    one.quantised(one.same("Concat", *parts), 0, 1)


def _qlinear_matmul(one: WritingOut) -> None:
    rows = one.real(0, 1, 2, axis=-2) if _size_of(one, 1) > 1 else one.real(0, 1, 2)
    one.quantised(one.call("MatMul", rows, one.real(3, 4, 5, axis=-1)), 6, 7)


def _size_of(one: WritingOut, place: int) -> int:
    tensor = one.fixed.get(one.input(place))
    return 1 if tensor is None else math.prod(tensor.dims)


def _qlinear_conv(one: WritingOut) -> None:
    factors = [one.real(0, 1, 2), one.real(3, 4, 5, axis=0)]
    if one.input(8):
        scale = one.call("Mul", one.input(1), one.input(4))
        bias = one.call("Cast", one.input(8), to=TensorProto.DOUBLE)
        factors.append(one.call("Mul", bias, scale))
    one.quantised(one.same("Conv", *factors), 6, 7)


def _qgemm(one: WritingOut) -> None:
    turned = [bool(one.attribute(name, 0)) for name in ("transA", "transB")]
    a = one.real(0, 1, 2)
    b = one.real(3, 4, 5, axis=0 if turned[1] else 1)
    a, b = (one.call("Transpose", x, perm=[1, 0]) if turn else x for x, turn in zip((a, b), turned, strict=True))
    alpha = one.constant(np.float64(one.attribute("alpha", 1.0)))
    value = one.call("Mul", one.call("MatMul", a, b), alpha)
    if one.input(6):
        scale = one.call("Mul", one.call("Mul", one.input(1), one.input(4)), alpha)
        value = one.call("Add", value, one.call("Mul", one.call("Cast", one.input(6), to=TensorProto.DOUBLE), scale))
    if one.input(7):
        one.quantised(value, 7, 8)
    else:
        one.call("Identity", value, output=one.node.output[0])


def _matmul_integer(one: WritingOut) -> None:
    a = one.real(0, zero=2, axis=-2) if _size_of(one, 2) > 1 else one.real(0, zero=2)
    product = one.call("MatMul", a, one.real(1, zero=3, axis=-1))
    one.call("Cast", product, output=one.node.output[0], to=TensorProto.INT32)


def _conv_integer(one: WritingOut) -> None:
    product = one.same("Conv", one.real(0, zero=2), one.real(1, zero=3, axis=0))
    one.call("Cast", product, output=one.node.output[0], to=TensorProto.INT32)


def _matmul_integer_to_float(one: WritingOut) -> None:
    product = one.call("MatMul", one.real(0, 2, 4), one.real(1, 3, 5, axis=-1))
    _plus(one, product, 6)


def _dynamic_quantize_matmul(one: WritingOut) -> None:
    names = [f"{one.node.output[0]}: {what}" for what in ("steps", "scale", "zero point")]
    one.nodes.append(helper.make_node("DynamicQuantizeLinear", [one.input(0)], names))
    a = one.call("DequantizeLinear", *names)
    _plus(one, one.call("MatMul", a, one.real(1, 2, 3, axis=-1)), 4)


def _plus(one: WritingOut, value: str, bias: int) -> None:
    """Add the result of a node, with its bias where it has one."""
    output = one.node.output[0]
    if one.input(bias):
        one.call("Add", value, one.input(bias), output=output)
    else:
        one.call("Identity", value, output=output)


def _dynamic_quantize_lstm(one: WritingOut) -> None:
    w, r = (_real_weights(one, place, place + 7 if place == 1 else 10) for place in (1, 2))
    given = [one.input(0), one.constant(w), one.constant(r), *(one.input(place) for place in range(3, 8))]
    node = helper.make_node("LSTM", given, list(one.node.output))
    node.attribute.extend(one.node.attribute)
    one.nodes.append(node)


def _real_weights(one: WritingOut, place: int, scale: int) -> Array:
    """The weights of DynamicQuantizeLSTM, (directions, inputs, 4 x hidden), as LSTM has them."""
    weights, scales, zeros = one.array(place), one.array(scale), one.array(scale + 1)
    assert weights is not None
    assert scales is not None
    shape = (len(weights), 1, -1)
    offset = np.zeros(1) if zeros is None else zeros.astype(np.float64)
    real = (weights.astype(np.float64) - offset.reshape(*shape)) * scales.astype(np.float64).reshape(*shape)
    return np.ascontiguousarray(real.transpose(0, 2, 1))


def _matmul_nbits(one: WritingOut) -> None:
    rows, columns = int(one.attribute("K", 0)), int(one.attribute("N", 0))
    bits, block = int(one.attribute("bits", 4)), int(one.attribute("block_size", 0))
    packed, scales, zeros, order = (one.array(place) for place in (1, 2, 3, 4))
    assert packed is not None
    assert scales is not None
    blocks = -(-rows // block)
    steps = unpacked(packed.reshape(columns, blocks, -1), bits)[:, :, :block].astype(np.float64)
    offset = np.full((columns, blocks), 2.0 ** (bits - 1))
    if zeros is not None:
        whole = zeros.dtype == np.uint8
        read = unpacked(zeros.reshape(columns, -1), bits)[:, :blocks] if whole else zeros.reshape(columns, blocks)
        offset = read.astype(np.float64)
    factors = scales.reshape(columns, blocks).astype(np.float64)
    if order is None:
        real = ((steps - offset[..., None]) * factors[..., None]).reshape(columns, -1)[:, :rows]
    else:  # the block of each row is said
        of = order[:rows].astype(np.int64)
        real = (steps.reshape(columns, -1)[:, :rows] - offset[:, of]) * factors[:, of]
    _plus(one, one.call("MatMul", one.input(0), one.constant(np.ascontiguousarray(real.T))), 5)


def unpacked(packed: Array, bits: int) -> NDArray[np.uint8]:
    """Return the unsigned integers of `bits` bits in bytes, the lowest bits first, along the last dimension."""
    if bits == 8:
        return packed.astype(np.uint8)
    places = np.unpackbits(packed.astype(np.uint8), axis=-1, bitorder="little")
    count = places.shape[-1] // bits
    grouped = places[..., : count * bits].reshape(*packed.shape[:-1], count, bits)
    weights = (1 << np.arange(bits)).astype(np.uint8)
    found: NDArray[np.uint8] = (grouped * weights).sum(-1, dtype=np.uint8)
    return found


def _gather_block_quantized(one: WritingOut) -> None:
    data, scales, zeros = (one.array(place) for place in (0, 2, 3))
    assert data is not None
    assert scales is not None
    bits, block = int(one.attribute("bits", 4)), int(one.attribute("block_size", 128))
    axis = int(one.attribute("quantize_axis", 1)) % data.ndim
    is_packed = data.dtype == np.uint8
    if is_packed and axis != data.ndim - 1:
        raise NotFixedError
    steps = (unpacked(data, bits) if is_packed else data).astype(np.float64)
    offset: Array = np.full(scales.shape, 2.0 ** (bits - 1) if is_packed else 0.0)
    if zeros is not None:
        read = unpacked(zeros, bits) if is_packed else zeros
        offset = read.astype(np.float64)[..., : scales.shape[-1]]
    along = [
        np.repeat(part.astype(np.float64), block, axis=axis).take(np.arange(steps.shape[axis]), axis)
        for part in (scales, offset)
    ]
    table = one.constant((steps - along[1]) * along[0])
    one.call("Gather", table, one.input(1), output=one.node.output[0], axis=int(one.attribute("gather_axis", 0)))


def _as_standard(one: WritingOut) -> None:
    one.same(one.node.op_type, *one.node.input, output=one.node.output[0])


STANDARD = {"QLinearConv", "QLinearMatMul", "MatMulInteger", "ConvInteger", "SimplifiedLayerNormalization"}
"""Operators in ONNX's own domain, where ONNX Runtime puts one of its own too; all others are in ONNX Runtime's."""
WRITTEN: dict[str, Callable[[WritingOut], None]] = {
    "QLinearConv": _qlinear_conv,
    "QLinearMatMul": _qlinear_matmul,
    "MatMulInteger": _matmul_integer,
    "ConvInteger": _conv_integer,
    "QLinearAdd": _qlinear_pair("Add"),
    "QLinearMul": _qlinear_pair("Mul"),
    "QLinearSigmoid": _qlinear("Sigmoid"),
    "QLinearLeakyRelu": _qlinear("LeakyRelu"),
    "QLinearSoftmax": _qlinear("Softmax"),
    "QLinearGlobalAveragePool": _qlinear("GlobalAveragePool"),
    "QLinearAveragePool": _qlinear("AveragePool"),
    "QLinearWhere": _qlinear_where,
    "QLinearConcat": _qlinear_concat,
    "QGemm": _qgemm,
    "MatMulIntegerToFloat": _matmul_integer_to_float,
    "DynamicQuantizeMatMul": _dynamic_quantize_matmul,
    "DynamicQuantizeLSTM": _dynamic_quantize_lstm,
    "MatMulNBits": _matmul_nbits,
    "GatherBlockQuantized": _gather_block_quantized,
    "QuantizeLinear": _as_standard,
    "DequantizeLinear": _as_standard,
    **FUSED,
}
"""The function that writes out each operator. It adds no nodes for one that it cannot write out."""
