"""A check of an ONNX file's declared sizes against its content, and against memory, before anything is computed from
it.

A file of 200 bytes may declare a weight of 10^10 numbers, or make one at its first call. Sizes that follow from
constants alone are seen here; sizes that a graph computes at run time are not, and are bounded by the memory of the
process that runs it.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from onnx import AttributeProto, GraphProto, ModelProto, NodeProto, TensorProto, helper, numpy_helper

from assay.errors import ArtifactError
from assay.files.arrays import most_bytes

OF_OTHER_FILES = {"EPContext", "PythonOp", "PythonOpGrad", "ATen"}
"""Operators of ONNX Runtime that load compiled code from a path, or call another program."""
BY_SHAPE = {"ConstantOfShape": 0, "Expand": 1, "Tile": 1, "Range": 0}
"""Operators whose output has a size given by an input, and the place of that input."""
DEEPEST, LONGEST_SHAPE = 16, 64
REMEDY = "Export it again; `assay export` writes files that pass every check"


def check_declared(model: ModelProto, path: Path) -> None:
    """
    Raises:
        ArtifactError: a tensor is not as long as it declares or takes more than the available memory, an operator makes
            one that does, or names another program; the message names it.
    """
    most = most_bytes(1)
    for graph in _graphs(model.graph, path):
        tensors = [*graph.initializer, *_constants(graph)]
        for tensor in tensors:
            _check_tensor(tensor, path, most)
        named = [(one.name, one) for one in graph.initializer]
        named += [(node.output[0], node.attribute[0].t) for node in graph.node if _is_constant(node)]
        small = {name: tensor for name, tensor in named if math.prod(tensor.dims) <= LONGEST_SHAPE}
        for node in graph.node:
            _check_node(node, small, path, most)


def _graphs(graph: GraphProto, path: Path, depth: int = 0) -> Iterator[GraphProto]:
    if depth > DEEPEST:
        raise ArtifactError(f"{path} has too deeply nested graphs", expected=f"at most {DEEPEST} levels", found="more")
    yield graph
    for node in graph.node:
        for attribute in node.attribute:
            for inner in [attribute.g] if attribute.HasField("g") else attribute.graphs:
                yield from _graphs(inner, path, depth + 1)


def _constants(graph: GraphProto) -> Iterator[TensorProto]:
    for node in graph.node:
        for attribute in node.attribute:
            if attribute.type == AttributeProto.TENSOR:
                yield attribute.t
            yield from attribute.tensors
    for sparse in graph.sparse_initializer:
        yield sparse.values
        yield sparse.indices


def _is_constant(node: NodeProto) -> bool:
    attributes = [one.name for one in node.attribute]
    return node.op_type == "Constant" and attributes == ["value"] and len(node.output) == 1


def _check_tensor(tensor: TensorProto, path: Path, most: int) -> None:
    if any(size < 0 for size in tensor.dims):
        raise _refusal(path, f"a tensor of negative size, '{tensor.name:.80}'", str(list(tensor.dims)))
    numbers = math.prod(tensor.dims)
    if tensor.data_type in {TensorProto.UNDEFINED, TensorProto.STRING}:
        return
    try:
        width = np.dtype(helper.tensor_dtype_to_np_dtype(tensor.data_type)).itemsize
    except (KeyError, ValueError, TypeError) as error:
        raise _refusal(path, f"a tensor of an unknown type, '{tensor.name:.80}'", str(tensor.data_type)) from error
    if numbers * width > most:
        raise _refusal(path, f"a tensor that does not fit into memory, '{tensor.name:.80}'", f"{numbers:,} numbers")
    bits = 2 if width == 1 else width * 8  # numbers of less than a byte are packed
    if tensor.HasField("raw_data") and len(tensor.raw_data) * 8 < numbers * bits:
        raise _refusal(path, f"a tensor that is shorter than it declares, '{tensor.name:.80}'", f"{numbers:,} numbers")


def _check_node(node: NodeProto, small: dict[str, TensorProto], path: Path, most: int) -> None:
    if node.op_type in OF_OTHER_FILES and node.domain not in {"", "ai.onnx"}:
        raise _refusal(path, f"an operator that runs another program, {node.op_type}", f"'{node.name:.80}'")
    numbers = _numbers(node, small)
    if numbers * 4 > most:
        raise _refusal(path, f"an operator whose output memory cannot hold, {node.op_type}", f"{numbers:,} numbers")


def _numbers(node: NodeProto, small: dict[str, TensorProto]) -> int:
    """Return the least count of numbers in a node's output, where constants determine it; else 0."""
    place = BY_SHAPE.get(node.op_type)
    if place is None or node.domain not in {"", "ai.onnx"}:
        return 0
    names = list(node.input) if node.op_type == "Range" else list(node.input)[place : place + 1]
    if not names or any(name not in small for name in names):
        return 0
    try:
        values = [numpy_helper.to_array(small[name]).reshape(-1).tolist() for name in names]
        if node.op_type == "Range":
            start, limit, step = (float(one[0]) for one in values[:3])
            return max(0, math.ceil((limit - start) / step))
        return math.prod(max(int(size), 0) for size in values[0])
    except (
        ValueError,
        TypeError,
        IndexError,
        ZeroDivisionError,
        OverflowError,
    ):  # not a shape: the runtime will say so
        return 0


def _refusal(path: Path, what: str, found: str) -> ArtifactError:
    return ArtifactError(f"{path} has {what}", expected="what memory holds", found=found, remedy=REMEDY)
