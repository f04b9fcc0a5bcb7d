"""The precision of an ONNX file, by its graph: the types of its products, and integers between quantising nodes.

ONNX Runtime has few fp16 kernels for processors. Where it has none it casts and computes in fp32; the numbers are no
more exact for that, since weights, inputs and outputs are in fp16. The precision on record is the file's; that of the
kernels is recorded besides.
"""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

import onnx
import onnx.inliner
from onnx import TensorProto

from assay.numerics.integers import INTEGER, PACKED, precision_of_packed
from assay.numerics.precisions import is_floating, least_exact, precision_named

ARITHMETIC = {
    "Conv", "ConvTranspose", "DeformConv", "Gemm", "MatMul", "Einsum", "LSTM", "GRU", "RNN", "Attention", "FusedConv",
    "FusedMatMul", "FusedGemm", "MultiHeadAttention", "GroupQueryAttention", "NhwcConv",
}  # fmt: skip
CARRIES = {"Transpose", "Reshape", "Flatten", "Squeeze", "Unsqueeze", "Identity", "Slice", "Pad", "Relu", "Clip"}
"""Operators that pass a value on between a DequantizeLinear and the product that uses it."""


def counts_of_file(path: Path) -> tuple[dict[str, int], dict[str, int]]:
    """Count nodes by precision: a network's arithmetic, and all other nodes on floating-point numbers."""
    model = onnx.load(str(path), load_external_data=False)
    return _counts_of(model)


def _counts_of(model: onnx.ModelProto) -> tuple[dict[str, int], dict[str, int]]:
    """Count the nodes of a model without its external data, like `counts_of_file`."""
    with contextlib.suppress(Exception):  # raised at graphs that a runtime accepts: declared types are enough
        model = onnx.inliner.inline_local_functions(model) if model.functions else model
        model = onnx.shape_inference.infer_shapes(model)
    arithmetic: Counter[str] = Counter()
    others: Counter[str] = Counter()
    for graph in _nested(model.graph):
        types, makers = _types(graph), {name: node for node in graph.node for name in node.output}
        for node in graph.node:
            if node.op_type in INTEGER:
                arithmetic["int8"] += 1
            elif node.op_type in PACKED:
                bits = next((one.i for one in node.attribute if one.name == "bits"), None)
                arithmetic[precision_of_packed(node.op_type, bits)] += 1
            elif node.op_type in ARITHMETIC:
                arithmetic[_of_product(node, types, makers) or "fp32"] += 1
            elif found := least_exact(filter(is_floating, (types.get(name, "") for name in node.input))):
                others[found] += 1
    return dict(arithmetic), dict(others)


def _of_product(node: onnx.NodeProto, types: Mapping[str, str], makers: Mapping[str, onnx.NodeProto]) -> str:
    """Return int8 where both factors were integers a moment before, else the type of the factors."""
    factors = list(node.input[:2])
    if len(factors) == 2 and all(_dequantised(name, makers) for name in factors):
        return "int8"
    return least_exact(filter(is_floating, (types.get(name, "") for name in [*factors, *node.output])))


def _dequantised(name: str, makers: Mapping[str, onnx.NodeProto]) -> bool:
    node = makers.get(name)
    while node is not None and node.op_type in CARRIES and node.input:
        node = makers.get(node.input[0])
    return node is not None and node.op_type == "DequantizeLinear"


def _types(graph: onnx.GraphProto) -> dict[str, str]:
    values = {one.name: one.type.tensor_type.elem_type for one in (*graph.value_info, *graph.input, *graph.output)}
    values |= {one.name: one.data_type for one in graph.initializer}
    return {name: precision_named(TensorProto.DataType.Name(kind)) for name, kind in values.items() if kind}


def _nested(graph: onnx.GraphProto) -> Iterator[onnx.GraphProto]:
    yield graph
    for node in graph.node:
        for attribute in node.attribute:
            inner: Iterable[onnx.GraphProto] = [attribute.g] if attribute.HasField("g") else attribute.graphs
            for one in inner:
                yield from _nested(one)
