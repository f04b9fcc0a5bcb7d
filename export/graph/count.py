"""Operations and bytes of an ONNX graph at one batch size, by shape inference.

`assay.records.roofline.GraphWork` says what each count includes. A node whose inputs are all constants is computed once
and not in each call, so it costs nothing and its outputs are constants too.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from assay.errors import ArtifactError
from assay.export.graph.shapes import at_batch
from assay.records.roofline import GraphWork, LayerWork

if TYPE_CHECKING:
    import onnx

Shape = tuple[int, ...]
VIEWS = {"Reshape", "Flatten", "Squeeze", "Unsqueeze", "Identity", "Dropout"}
MOVES = {"Transpose", "Concat", "Slice", "Gather", "Split", "Pad", "Expand", "Cast", "Tile", "CastLike"}
PARTIAL_READS = {"Slice", "Gather"}
SHAPES = {"Shape", "Size", "ConstantOfShape"}
LOOPS = {"If", "Loop", "Scan", "LSTM", "GRU", "RNN", "Attention", "MultiHeadAttention"}
CONVOLUTIONS = {"Conv", "FusedConv", "ConvInteger", "QLinearConv"}
REDUCTIONS = {"GlobalAveragePool", "GlobalMaxPool", "Softmax", "LogSoftmax", "LayerNormalization", "ArgMax"}
POOLS = {"MaxPool", "AveragePool", "LpPool"}


@dataclass(frozen=True)
class CountedTensor:
    """A value's shape and the bytes of one element; `constant` if it is the same in every call."""

    shape: Shape
    width: int
    constant: bool
    indices: bool

    @property
    def elements(self) -> int:
        return math.prod(self.shape)

    @property
    def bytes(self) -> int:
        """The bytes of the value; zero for int64, which is used for shapes and axes."""
        return 0 if self.indices else self.elements * self.width


@dataclass(frozen=True)
class _Node:
    """One node with the values it reads and writes."""

    proto: onnx.NodeProto
    inputs: tuple[CountedTensor, ...]
    outputs: tuple[CountedTensor, ...]

    def number(self, name: str) -> int:
        """Return an attribute that is one number; 0 if it is missing."""
        return next((entry.i for entry in self.proto.attribute if entry.name == name), 0)

    def numbers(self, name: str) -> list[int]:
        """Return an attribute that is a list of numbers; empty if it is missing."""
        return next((list(entry.ints) for entry in self.proto.attribute if entry.name == name), [])

    def text(self, name: str) -> str:
        """Return an attribute that is text; "" if it is missing."""
        return next((entry.s.decode() for entry in self.proto.attribute if entry.name == name), "")


def count(model: onnx.ModelProto, batch: int, *, architecture: str, size: int, exporter: str) -> GraphWork:
    """Count one graph.

    Raises:
        ArtifactError: the shape of a value does not follow from the input's.
    """
    static = at_batch(model, batch)
    nodes, tensors = _nodes(static)
    working = [node for node in nodes if not all(tensor.constant for tensor in node.outputs)]
    layers, elementwise, uncounted = [], 0, Counter[str]()
    for node in working:
        flops = _matrix_flops(node)
        elementwise += 0 if flops else _elementwise(node)
        if flops:
            layers.append(_layer(node, flops))
        elif flops is None:
            uncounted[node.proto.op_type] += 1
    weights = {
        name: tensors[name]
        for node in working
        for name in node.proto.input
        if name and tensors[name].constant and node.proto.op_type not in SHAPES
    }
    initialisers = {entry.name for entry in static.graph.initializer}
    return GraphWork(
        architecture=architecture,
        size=size,
        exporter=exporter,
        batch=batch,
        flops=sum(layer.flops for layer in layers),
        least_flops=sum(layer.least_flops for layer in layers),
        elementwise=elementwise,
        weight_bytes=sum(tensor.bytes for tensor in weights.values()),
        input_bytes=sum(tensors[entry.name].bytes for entry in static.graph.input if entry.name not in initialisers),
        output_bytes=sum(tensors[entry.name].bytes for entry in static.graph.output),
        traffic_bytes=sum(_traffic(node) for node in working),
        layers=layers,
        uncounted=dict(sorted(uncounted.items())),
    )


def _nodes(model: onnx.ModelProto) -> tuple[list[_Node], dict[str, CountedTensor]]:
    """Return the graph's nodes in order, and all values by name."""
    tensors = _declared(model)
    nodes = []
    for proto in model.graph.node:
        inputs = tuple(tensors[name] for name in proto.input if name)
        folded = all(tensor.constant for tensor in inputs) or proto.op_type in SHAPES
        for name in proto.output:
            if name and name not in tensors:
                raise ArtifactError(
                    f"The shape of '{name}', which {proto.op_type} '{proto.name}' writes, cannot be inferred",
                    remedy="Export the model with fixed shapes except for the batch",
                )
            if name and folded:
                tensors[name] = CountedTensor(tensors[name].shape, tensors[name].width, True, tensors[name].indices)
        nodes.append(_Node(proto, inputs, tuple(tensors[name] for name in proto.output if name)))
    return nodes, tensors


def _declared(model: onnx.ModelProto) -> dict[str, CountedTensor]:
    """Return every value whose type and whole shape are known."""
    found = {}
    graph = model.graph
    for entry in (*graph.input, *graph.value_info, *graph.output):
        tensor = entry.type.tensor_type
        dims = tensor.shape.dim
        if tensor.HasField("shape") and all(dim.HasField("dim_value") for dim in dims):
            found[entry.name] = _tensor(tuple(dim.dim_value for dim in dims), tensor.elem_type, constant=False)
    for initialiser in graph.initializer:
        found[initialiser.name] = _tensor(tuple(initialiser.dims), initialiser.data_type, constant=True)
    return found


def _tensor(shape: Shape, kind: int, *, constant: bool) -> CountedTensor:
    import onnx  # noqa: PLC0415

    try:
        width = int(onnx.helper.tensor_dtype_to_np_dtype(kind).itemsize)
    except (KeyError, ValueError):  # text, and values that are not tensors
        width = 0
    return CountedTensor(shape, width, constant, kind == onnx.TensorProto.INT64)


def _matrix_flops(node: _Node) -> int | None:
    """Return the operations of a matrix product or convolution; 0 for other nodes, None if they are unknown."""
    kind = node.proto.op_type
    if kind in LOOPS:
        return None
    rule = RULES.get(kind)
    return rule(node) if rule else 0


def _convolution(node: _Node) -> int:
    """Return the operations of a convolution, where each output is a sum over the kernel's (channels in a group,
    *window); padding is counted as if it were computed.
    """
    return 2 * node.outputs[0].elements * math.prod(_weight_of(node).shape[1:])


def least_flops(node: _Node, flops: int) -> int:
    """Return the operations of a convolution that read no padding; other operators have no padding."""
    if node.proto.op_type not in CONVOLUTIONS:
        return flops
    weight = _weight_of(node)
    window, image, out = weight.shape[2:], node.inputs[0].shape[2:], node.outputs[0].shape[2:]
    axes = len(window)
    strides = node.numbers("strides") or [1] * axes
    dilations = node.numbers("dilations") or [1] * axes
    reached = 1
    for axis in range(axes):
        place = -_padding_before(node, axis, (window[axis], image[axis], out[axis]), strides[axis], dilations[axis])
        reached *= sum(
            0 <= place + output * strides[axis] + tap * dilations[axis] < image[axis]
            for output in range(out[axis])
            for tap in range(window[axis])
        )
    return 2 * math.prod(node.outputs[0].shape[:2]) * weight.shape[1] * reached


def _padding_before(node: _Node, axis: int, lengths: Shape, stride: int, dilation: int) -> int:
    """Return the zeros before the first element along one axis, given the lengths of window, input and output."""
    window, image, out = lengths
    rule = node.text("auto_pad") or "NOTSET"
    if rule == "NOTSET":
        pads = node.numbers("pads")
        return pads[axis] if pads else 0
    whole = max(0, (out - 1) * stride + (window - 1) * dilation + 1 - image)
    return {"VALID": 0, "SAME_UPPER": whole // 2, "SAME_LOWER": whole - whole // 2}[rule]


def _weight_of(convolution: _Node) -> CountedTensor:
    return convolution.inputs[3] if convolution.proto.op_type == "QLinearConv" else convolution.inputs[1]


def _transposed_convolution(node: _Node) -> int:
    return 2 * node.inputs[0].elements * math.prod(node.inputs[1].shape[1:])


def _gemm(node: _Node) -> int:
    depth = node.inputs[0].shape[0 if node.number("transA") else 1]
    return 2 * node.outputs[0].elements * depth


def _matrix_product(node: _Node) -> int:
    return 2 * node.outputs[0].elements * node.inputs[0].shape[-1]


def _einsum(node: _Node) -> int | None:
    """Count one multiply-add for every combination of indices; None with an ellipsis or more than two operands."""
    equation = node.text("equation").replace(" ", "")
    terms = equation.split("->")[0].split(",")
    if "." in equation or len(terms) > 2:
        return None
    extent = {
        letter: length
        for term, tensor in zip(terms, node.inputs, strict=True)
        for letter, length in zip(term, tensor.shape, strict=True)
    }
    return 2 * math.prod(extent.values()) if len(terms) == 2 else 0


RULES: dict[str, Callable[[_Node], int | None]] = {
    **dict.fromkeys(CONVOLUTIONS, _convolution),
    "ConvTranspose": _transposed_convolution,
    "Gemm": _gemm,
    "FusedGemm": _gemm,
    "MatMul": _matrix_product,
    "FusedMatMul": _matrix_product,
    "MatMulInteger": _matrix_product,
    "QLinearMatMul": _matrix_product,
    "Einsum": _einsum,
}


def _elementwise(node: _Node) -> int:
    kind = node.proto.op_type
    if kind in VIEWS | MOVES | SHAPES | LOOPS:
        return 0
    if kind in POOLS:
        return node.outputs[0].elements * math.prod(node.numbers("kernel_shape"))
    if kind in REDUCTIONS or kind.startswith("Reduce"):
        return node.inputs[0].elements
    return sum(tensor.elements for tensor in node.outputs if not tensor.indices)


def _traffic(node: _Node) -> int:
    """Return the bytes read and written; a view moves nothing, and an operator that takes a part reads only that
    part.
    """
    kind = node.proto.op_type
    if kind in VIEWS | SHAPES:
        return 0
    written = sum(tensor.bytes for tensor in node.outputs)
    return 2 * written if kind in PARTIAL_READS else written + sum(tensor.bytes for tensor in node.inputs)


def _layer(node: _Node, flops: int) -> LayerWork:
    weights = sum(tensor.bytes for tensor in node.inputs if tensor.constant)
    return LayerWork(
        name=node.proto.name or (node.proto.output[0] if node.proto.output else ""),
        operator=node.proto.op_type,
        flops=flops,
        least_flops=least_flops(node, flops),
        weight_bytes=weights,
        activation_bytes=_traffic(node) - weights,
    )
