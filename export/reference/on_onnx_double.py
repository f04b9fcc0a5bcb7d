"""An ONNX file computed in float64 by onnx's reference evaluator: the reference for files without our weights.

The file is rewritten first: initialisers, constants, casts to floating point and everything that follows from them
become float64. Large weights stay as they are stored, and each is cast before the first node that reads it, so that an
evaluation holds those of one node in float64. Every floating-point value is then checked: one operator that fell back
to float32 would reduce the whole reference to float32.
"""

from __future__ import annotations

import gc
import math
from collections.abc import Callable, Collection, Iterable, Mapping

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import AttributeProto, GraphProto, ModelProto, NodeProto, TensorProto, helper, numpy_helper

from assay.errors import InputError
from assay.export.graph.inspect import one_line
from assay.export.graph.on_onnx_order import names_read
from assay.export.graph.saved import bytes_of, with_initialisers
from assay.export.reference.memory import TooLargeError, in_words
from assay.export.reference.on_onnx_evaluator import evaluable, evaluator_of
from assay.export.reference.on_onnx_sparing import LARGEST_SHAPE, Watch, run_sparingly
from assay.export.reference.on_onnx_written_out import written_out
from assay.files.arrays import most_bytes

Array = NDArray[np.generic]

FLOATS = {TensorProto.FLOAT, TensorProto.FLOAT16, TensorProto.BFLOAT16}
RANDOM = {"RandomNormal", "RandomNormalLike", "RandomUniform", "RandomUniformLike", "Bernoulli", "Multinomial"}
STORED_SUFFIX = "_as_stored"
COPIES_AS_STORED, COPIES_IN_FLOAT64, BYTES_OF_FLOAT64 = 3, 4, 8
"""How many copies of weights are in memory. As they are stored: in the rewritten file, in the evaluator, and on the way
from one to the other. In float64, of the largest weight, or of all where the rewritten file holds them: in the file, in
the evaluator, and in the source of each of the two.
"""
MOST_UNCOLLECTED = 64 << 20
"""The most bytes of weights that an evaluation may leave to the garbage collector's own time."""
SHARE_FOR_WEIGHTS = 0.7
"""The share of the free memory for weights; values computed with them come on top."""
ALWAYS_FLOAT32 = {"OneHotEncoder"}
"""Operators whose result is float32 whatever they are given, and exact."""
EXACT_SUFFIX = "_exact_in_float32"
TYPE_ATTRIBUTES = {"to", "dtype", "output_datatype"}


def run_double(
    model: ModelProto,
    feeds: Mapping[str, Array],
    name: str,
    at_most: int | None = None,
    wide: Callable[[], ModelProto] | None = None,
) -> dict[str, Array]:
    """Return the outputs of a model with float64 throughout, by name.

    Args:
        feeds: inputs by name; floating-point ones are widened.
        name: name of the model in messages.
        at_most: limit on the bytes of values; a share of the free memory by default.
        wide: returns the model in float64, where that is made for several calls.

    Raises:
        TooLargeError: memory does not hold them.
        InputError: the evaluator lacks an operator, an operator is random or leaves float64, or it does not run.
    """
    random = sorted({node.op_type for node in model.graph.node} & RANDOM)
    if random:
        raise InputError(f"{name} has no reference: its result is random", found=", ".join(random))
    given = {key: widened(array) for key, array in feeds.items()}

    def watch(key: str, value: Array) -> None:
        if _is_floating(value) and value.dtype != np.float64 and not key.endswith(EXACT_SUFFIX):
            raise InputError(
                f"{name} cannot be computed in float64 by onnx's reference evaluator",
                found=f"'{key}' in {value.dtype}",
                remedy="Name another reference, or a file without that operator",
            )

    for key, value in given.items():
        watch(key, value)
    outputs = [output.name for output in model.graph.output]
    values = evaluate(wide() if wide else to_double(model), given, name, outputs, watch, at_most)
    return {output: values[output] for output in outputs}


def evaluate(
    model: ModelProto,
    feeds: Mapping[str, Array],
    name: str,
    wanted: Collection[str] | None = None,
    watch: Watch | None = None,
    at_most: int | None = None,
) -> dict[str, Array]:
    """Return values that onnx's reference evaluator computes, by name; see `run_sparingly`.

    Args:
        wanted: names of values; None for every one.

    Raises:
        TooLargeError: memory does not hold them.
        InputError: the evaluator lacks an operator, or the model does not run.
    """
    try:
        found = run_sparingly(evaluator_of(model), evaluable(model), feeds, wanted, watch, at_most)
        if sum(map(bytes_of, model.graph.initializer)) > MOST_UNCOLLECTED:
            gc.collect()  # the evaluator and its nodes hold each other, the model, and a copy of the weights
    except InputError:
        raise
    except Exception as error:  # the evaluator and numpy may raise anything
        raise InputError(
            f"onnx's reference evaluator cannot run {name}",
            found=one_line(error) or type(error).__name__,
            remedy="Without that operator there is no reference to compare with",
        ) from error
    return {key: np.asarray(value) for key, value in found.items() if isinstance(value, np.ndarray | np.generic)}


def to_double(model: ModelProto, *, stores: bool = False) -> ModelProto:
    """Return a copy whose floating point is float64 throughout, including subgraphs and local functions.

    Args:
        stores: whether every weight is stored in float64; else a large one is stored as in the file, and cast by a node
            whose result has its name.

    Raises:
        TooLargeError: memory cannot hold its weights as often as an evaluation needs them.
    """
    _check_weights(model, stores=stores)
    written = written_out(evaluable(model))
    wide = with_initialisers(written, ())  # what protobuf copies and then replaces stays in memory
    _widen_graph(wide.graph)
    for function in wide.functions:
        _widen_nodes(function.node)
    large = set[str]()
    for tensor in written.graph.initializer:
        if _is_large(tensor) and not stores:
            large.add(tensor.name)
            wide.graph.initializer.append(tensor)
            wide.graph.initializer[-1].name += STORED_SUFFIX
        else:
            wide.graph.initializer.append(_wide_tensor(tensor) if tensor.data_type in FLOATS else tensor)
    _cast_when_read(wide.graph, large)
    return wide


def _is_large(tensor: TensorProto) -> bool:
    return tensor.data_type in FLOATS and math.prod(tensor.dims) > LARGEST_SHAPE


def _cast_when_read(graph: GraphProto, large: set[str]) -> None:
    """Put a cast of each of these weights before the first node that reads it; an unread one may be an output."""
    nodes, left = list[NodeProto](), set(large)
    for node in graph.node:
        read = left.intersection(names_read(node))
        nodes += [*map(_cast_of, sorted(read)), node]
        left -= read
    nodes += map(_cast_of, sorted(left.intersection(one.name for one in graph.output)))
    given = [one for one in graph.input if one.name not in large]  # old files list their initialisers among the inputs
    for field, values in ((graph.node, nodes), (graph.input, given)):
        del field[:]
        field.extend(values)


def _cast_of(name: str) -> NodeProto:
    return helper.make_node("Cast", [name + STORED_SUFFIX], [name], to=TensorProto.DOUBLE)


def _check_weights(model: ModelProto, *, stores: bool) -> None:
    floats = [one for one in model.graph.initializer if one.data_type in FLOATS]
    numbers = [math.prod(one.dims) for one in floats]
    at_once = sum(map(_packed_numbers, model.graph.node)) + (sum(numbers) if stores else max(numbers, default=0))
    needed = COPIES_IN_FLOAT64 * BYTES_OF_FLOAT64 * at_once
    needed += 0 if stores else COPIES_AS_STORED * sum(map(bytes_of, floats))
    most = most_bytes(SHARE_FOR_WEIGHTS)
    if needed > most:
        raise TooLargeError(
            "Its weights in float64 need more memory than is available",
            expected=f"at most {in_words(most)}",
            found=in_words(needed),
        )


def _packed_numbers(node: NodeProto) -> int:
    """Return how many weights MatMulNBits has, which lie packed in fewer bytes."""
    sizes = {str(one.name): int(one.i) for one in node.attribute}
    return sizes.get("K", 0) * sizes.get("N", 0)


def widened(array: Array) -> Array:
    """Return floating-point numbers in float64, and others as they are."""
    return array.astype(np.float64) if _is_floating(array) else array


def _is_floating(array: Array) -> bool:
    """Return whether an array is floating point; bfloat16 is not a subtype of numpy's floating, and has the kind V."""
    return np.issubdtype(array.dtype, np.floating) or array.dtype.name == "bfloat16"


def _widen_graph(graph: GraphProto) -> None:
    for tensor in graph.initializer:
        _widen_tensor(tensor)
    for value in (*graph.input, *graph.output):
        if value.type.tensor_type.elem_type in FLOATS:
            value.type.tensor_type.elem_type = TensorProto.DOUBLE
    del graph.value_info[:]
    _widen_nodes(graph.node)
    _widen_results(graph)


def _widen_nodes(nodes: Iterable[NodeProto]) -> None:
    for node in nodes:
        for attribute in node.attribute:
            _widen_attribute(node, attribute)
        if node.op_type == "ConstantOfShape" and not node.attribute:  # its default is a zero of fp32
            node.attribute.append(helper.make_attribute("value", numpy_helper.from_array(np.zeros(1))))


def _widen_results(graph: GraphProto) -> None:
    """Cast the results of operators that always give float32."""
    for place, node in reversed(list(enumerate(graph.node))):
        if node.op_type in ALWAYS_FLOAT32 and node.output[0]:
            name = node.output[0]
            node.output[0] = name + EXACT_SUFFIX
            graph.node.insert(place + 1, helper.make_node("Cast", [node.output[0]], [name], to=TensorProto.DOUBLE))


def _widen_attribute(node: NodeProto, attribute: AttributeProto) -> None:
    if attribute.type == AttributeProto.GRAPH:
        _widen_graph(attribute.g)
    elif attribute.type == AttributeProto.TENSOR:
        _widen_tensor(attribute.t)
    elif attribute.name in TYPE_ATTRIBUTES and attribute.i in FLOATS:
        attribute.i = TensorProto.DOUBLE
    elif node.op_type == "Constant" and attribute.name in {"value_float", "value_floats"}:
        value = attribute.f if attribute.name == "value_float" else list(attribute.floats)
        attribute.CopyFrom(helper.make_attribute("value", numpy_helper.from_array(np.asarray(value, np.float64))))


def _widen_tensor(tensor: TensorProto) -> None:
    if tensor.data_type in FLOATS:
        tensor.CopyFrom(_wide_tensor(tensor))


def _wide_tensor(tensor: TensorProto) -> TensorProto:
    return numpy_helper.from_array(numpy_helper.to_array(tensor).astype(np.float64), tensor.name)


def without_initialisers(graph: onnx.GraphProto) -> list[onnx.ValueInfoProto]:
    """Return the inputs that a caller has to give; old files list their initialisers among the inputs."""
    fixed = {tensor.name for tensor in graph.initializer} | {one.values.name for one in graph.sparse_initializer}
    return [value for value in graph.input if value.name not in fixed]
