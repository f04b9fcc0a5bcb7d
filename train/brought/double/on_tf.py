"""TensorFlow in float64: the graph of a model with every floating-point operator and constant rewritten to float64.

The graph is TensorFlow's own, traced from the model, and TensorFlow computes it, so the reference owes nothing to any
exporter. A model with operators that TensorFlow lacks in float64 has no such reference.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import tensorflow as tf
from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2

from assay.errors import InputError
from assay.foreign import said_by
from assay.train.brought.loaders.loaded import Array, Compute

Outputs = dict[str, tf.Tensor]
WIDE = tf.float64.as_datatype_enum
WIDENED = {
    **dict.fromkeys((one.as_datatype_enum for one in (tf.float32, tf.float16, tf.bfloat16)), WIDE),
    tf.complex64.as_datatype_enum: tf.complex128.as_datatype_enum,
}
REINTERPRETS = {"Bitcast"}
NORMS = {"FusedBatchNorm", "FusedBatchNormV2", "FusedBatchNormV3"}
"""Norms without a kernel in float64, which are written out as arithmetic."""


def double_of(call: Callable[..., Outputs]) -> Compute:
    """Return a function of tensors by position in float64, whose graph is made once for inputs of the same shapes.

    Calling it raises InputError where TensorFlow cannot compute the graph in float64.
    """
    made: dict[tuple[tuple[int, ...], ...], Compute] = {}

    def compute(inputs: Sequence[Array]) -> dict[str, Array]:
        shapes = tuple(one.shape for one in inputs)
        try:
            if shapes not in made:
                made[shapes] = _program(call, inputs)
            return made[shapes](inputs)
        except (tf.errors.OpError, ValueError, TypeError) as error:
            raise InputError("TensorFlow cannot compute the model's graph in float64", found=said_by(error)) from error

    return compute


def _program(call: Callable[..., Outputs], like: Sequence[Array]) -> Compute:
    """Return the graph in float64 as a function of inputs with these shapes and types."""
    specs = [tf.TensorSpec(one.shape, one.dtype) for one in like]
    names: list[str] = []

    def kept(*tensors: tf.Tensor) -> list[tf.Tensor]:
        """Make each output a node of its own, even if it is an input or appears twice."""
        outputs = call(*tensors)
        names[:] = outputs
        return [tf.identity(value) for value in outputs.values()]

    traced = tf.function(kept, autograph=False).get_concrete_function(*specs)
    frozen = convert_variables_to_constants_v2(traced, lower_control_flow=True)
    if len(frozen.inputs) != len(specs):
        raise InputError("It keeps a table, or another thing that is neither an input nor a number")
    graph = widened_graph(frozen.graph.as_graph_def())
    wrapped = tf.compat.v1.wrap_function(lambda: tf.graph_util.import_graph_def(graph, name=""), [])
    feeds = [wrapped.graph.get_tensor_by_name(one.name) for one in frozen.inputs]
    fetches = [wrapped.graph.get_tensor_by_name(one.name) for one in frozen.outputs]
    pruned = wrapped.prune(feeds, fetches)

    def compute(inputs: Sequence[Array]) -> dict[str, Array]:
        found = pruned(*(tf.cast(one, to.dtype) for one, to in zip(inputs, feeds, strict=True)))
        return {name: value.numpy() for name, value in zip(names, tf.nest.flatten(found), strict=True)}

    return compute


def widened_graph(graph: tf.compat.v1.GraphDef) -> tf.compat.v1.GraphDef:
    """Return a copy in float64.

    Raises:
        InputError: a node reads the bits of a number, or normalises with the statistics of its batch.
    """
    found = tf.compat.v1.GraphDef()
    found.versions.CopyFrom(graph.versions)
    found.library.CopyFrom(graph.library)
    for node in graph.node:
        if node.op in REINTERPRETS:
            raise InputError("It reads the bits of numbers, which are different in float64", found=node.name)
        if node.op in NORMS:
            _write_norm(found, node)
            continue
        wide = found.node.add()
        wide.CopyFrom(node)
        for attribute in wide.attr.values():
            _widen(attribute)
    return found


def _widen(attribute: tf.compat.v1.AttrValue) -> None:
    kind = attribute.WhichOneof("value")
    if kind == "type":
        attribute.type = WIDENED.get(attribute.type, attribute.type)
    elif kind == "list":
        attribute.list.type[:] = [WIDENED.get(one, one) for one in attribute.list.type]
    elif kind == "tensor" and attribute.tensor.dtype in WIDENED:
        wide = tf.dtypes.as_dtype(WIDENED[attribute.tensor.dtype])
        value = tf.make_ndarray(attribute.tensor).astype(wide.as_numpy_dtype)
        attribute.tensor.CopyFrom(tf.make_tensor_proto(value, wide, value.shape))


def _write_norm(graph: tf.compat.v1.GraphDef, node: tf.compat.v1.NodeDef) -> None:
    """Write a norm as (x - mean) * (scale / sqrt(variance + epsilon)) + offset, over the last dimension."""
    if node.attr["is_training"].b or (node.attr["data_format"].s or b"NHWC") != b"NHWC":
        raise InputError(
            "It normalises with the statistics of its batch, or over other axes than the channels", found=node.name
        )
    values, scale, offset, mean, variance = (name for name in node.input if not name.startswith("^"))
    epsilon = graph.node.add(name=f"{node.name}/epsilon", op="Const")
    epsilon.attr["dtype"].type = WIDE
    epsilon.attr["value"].tensor.CopyFrom(tf.make_tensor_proto(float(node.attr["epsilon"].f), tf.float64, ()))

    def add(name: str, operator: str, *inputs: str) -> str:
        made = graph.node.add(name=name, op=operator, input=inputs)
        made.attr["T"].type = WIDE
        return name

    inside = node.name
    safe = add(f"{inside}/safe", "AddV2", variance, epsilon.name)
    factor = add(f"{inside}/factor", "Mul", scale, add(f"{inside}/rsqrt", "Rsqrt", safe))
    centred = add(f"{inside}/centred", "Sub", values, mean)
    add(inside, "AddV2", add(f"{inside}/scaled", "Mul", centred, factor), offset)
