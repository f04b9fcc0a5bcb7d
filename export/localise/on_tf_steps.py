"""The steps of a user's TensorFlow model: every tensor of its graph, in float64 where that is possible."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import tensorflow as tf
from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2

from assay.errors import InputError
from assay.export.localise.source import ComputationStep, ExactComputation, Followed
from assay.train.brought.double.on_tf import widened_graph
from assay.train.brought.loaders.loaded import Array
from assay.train.brought.loaders.on_tf import load_forward
from assay.train.brought.model import UserModel

LONGEST_ATTRIBUTE = 40
TELLING = ("strides", "ksize", "padding", "data_format", "axis", "keep_dims", "transpose_a", "transpose_b", "epsilon")
"""Attributes that determine an operator's result; the others are about types."""
WRAPPERS = {"Func", "PartitionedCall", "StatefulPartitionedCall", "input", "output"}
"""Words that tracing and inlining write before the names of a model's own layers."""
ENTERS, LEAVES, BACK = {"Enter", "Switch", "NextIteration"}, {"Exit", "Merge"}, {"Enter", "NextIteration"}
"""Operators that enter and leave loops and branches, whose inside cannot be asked for, and the inputs of a merge that
begins a round of a loop.
"""


def follow(model: UserModel, inputs: Sequence[Array], *, double: bool) -> Followed:
    """Record every operator of the graph of one call, naming each value as TensorFlow names the tensor.

    Args:
        inputs: inputs in the model's order.
        double: whether to compute the graph in float64; else as it is.

    Raises:
        AssayError: the user's code fails, or TensorFlow cannot compute the graph in float64.
    """
    forward, keeps = load_forward(model)
    names = [one.name for one in model.inputs]
    kept: list[str] = []

    def call(*tensors: tf.Tensor) -> list[tf.Tensor]:
        outputs = forward(*tensors)
        kept[:] = outputs
        return [tf.identity(one) for one in outputs.values()]

    try:
        specs = [tf.TensorSpec(one.shape, one.dtype) for one in inputs]
        traced = tf.function(call, autograph=False).get_concrete_function(*specs)
        frozen = convert_variables_to_constants_v2(traced, lower_control_flow=True)
        graph = frozen.graph.as_graph_def()
        return _followed(widened_graph(graph) if double else graph, frozen, (names, inputs), kept)
    except (tf.errors.OpError, ValueError, TypeError) as error:
        raise InputError(
            "The intermediate values of TensorFlow's graph cannot be compared", found=" ".join(str(error).split())[:300]
        ) from error
    finally:
        del keeps


def _followed(
    graph: tf.compat.v1.GraphDef, frozen: object, fed: tuple[Sequence[str], Sequence[Array]], outputs: Sequence[str]
) -> Followed:
    wrapped = tf.compat.v1.wrap_function(lambda: tf.graph_util.import_graph_def(graph, name=""), [])
    feeds = [wrapped.graph.get_tensor_by_name(one.name) for one in frozen.inputs]  # type: ignore[attr-defined]
    results = [wrapped.graph.get_tensor_by_name(one.name) for one in frozen.outputs]  # type: ignore[attr-defined]
    operators = [one for one in _outside_of_loops(wrapped.graph) if one.type != "Placeholder"]
    moving = _depending(operators, {one.ref() for one in feeds})
    asked = [tensor for one in moving for tensor in one.outputs if _is_numbers(tensor)]
    given = [tf.cast(one, to.dtype) for one, to in zip(fed[1], feeds, strict=True)]
    values = wrapped.prune(feeds, [*asked, *results])(*given)
    arrays = [np.asarray(one) for one in values]
    named = {one.ref(): name for one, name in zip(feeds, fed[0], strict=True)}
    named |= {one.ref(): one.name for one in asked}
    found = dict(zip(fed[0], map(np.asarray, given), strict=True))
    found |= {tensor.name: array for tensor, array in zip(asked, arrays, strict=False)}
    source = ExactComputation(found, frozenset(), tuple(_step(one, named) for one in moving))
    return Followed(source, dict(zip(outputs, arrays[len(asked) :], strict=True)))


def _outside_of_loops(graph: tf.Graph) -> list[tf.Operation]:
    inside: set[str] = set()
    found = []
    for one in graph.get_operations():
        enters = one.type in ENTERS or any(tensor.op.name in inside for tensor in one.inputs)
        begins = one.type == "Merge" and any(tensor.op.type in BACK for tensor in one.inputs)
        if begins or (enters and one.type not in LEAVES):
            inside.add(one.name)
        else:
            found.append(one)
    return found


def _depending(operators: Sequence[tf.Operation], fed: set[object]) -> list[tf.Operation]:
    """Return the operators whose results depend on what is fed."""
    reached, found = set(fed), []
    for one in operators:
        if one.type in LEAVES or any(tensor.ref() in reached for tensor in one.inputs):
            reached |= {tensor.ref() for tensor in one.outputs}
            found.append(one)
    return found


def _is_numbers(tensor: tf.Tensor) -> bool:
    return bool(tensor.dtype.is_floating or tensor.dtype.is_integer or tensor.dtype.is_bool)


def _step(one: tf.Operation, named: dict[object, str]) -> ComputationStep:
    known = one.node_def.attr
    told = [f"{name}={_said(one.get_attr(name))}" for name in TELLING if name in known]
    inputs = tuple(named[tensor.ref()] for tensor in one.inputs if tensor.ref() in named)
    outputs = tuple(tensor.name for tensor in one.outputs)
    layer = "/".join(part for part in one.name.split("/")[:-1] if part not in WRAPPERS)
    return ComputationStep(f"{one.type}({', '.join(told)})", inputs, outputs, layer)


def _said(value: object) -> str:
    text = value.decode(errors="replace") if isinstance(value, bytes) else str(value)
    return text[:LONGEST_ATTRIBUTE]
