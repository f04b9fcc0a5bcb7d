"""Whether an ONNX file is quantised: whether it computes in integers, or with weights packed in a few bits."""

from __future__ import annotations

from onnx import ModelProto, NodeProto, TensorProto

from assay.export.graph.on_onnx_narrow import narrow_arithmetic
from assay.export.graph.on_onnx_random import nodes_of
from assay.numerics.integers import INTEGER, PACKED, QUANTISING, precision_of_packed
from assay.numerics.precisions import least_exact

FEW_BITS = {TensorProto.INT4, TensorProto.UINT4}


def arithmetic_of(model: ModelProto) -> str:
    """Return the least exact precision below fp32 that a file computes in: "int4" or "int8" where it is quantised,
    "fp16" or "bf16", or "".
    """
    return _quantised_arithmetic(model) or narrow_arithmetic(model)


def _quantised_arithmetic(model: ModelProto) -> str:
    """Return "int8" or "int4" of a file that rounds values to steps of a scale while it runs, or has weights packed in
    blocks; "" of all others.

    Weights in int8 that are widened before anything is computed with them, one scale for each channel, are stored and
    not computed with. Blocks of a few entries are: ONNX Runtime makes MatMulNBits of those and rounds the other side.
    """
    stored = {one.name: one.data_type for one in model.graph.initializer}
    return least_exact(_precision(node, stored) for node in nodes_of(model))


def _precision(node: NodeProto, stored: dict[str, int]) -> str:
    numbers = {one.name: one.i for one in node.attribute}
    if node.op_type in PACKED:
        return precision_of_packed(node.op_type, numbers.get("bits"))
    if node.op_type in INTEGER or node.op_type in QUANTISING:
        return "int8"
    if node.op_type == "DequantizeLinear" and (numbers.get("block_size") or stored.get(node.input[0]) in FEW_BITS):
        return "int4" if stored.get(node.input[0]) in FEW_BITS else "int8"
    return ""
