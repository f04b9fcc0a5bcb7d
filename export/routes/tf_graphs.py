"""TensorFlow functions to ONNX by tf2onnx; shared by the routes from TensorFlow and from JAX through jax2tf.

It also runs in the tool environment of jax2tf, so it imports nothing that is missing there.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import tensorflow
    from tf2onnx.graph import Graph, Node

MOST_BYTES = (2 << 30) - 1
"""The largest graph of TensorFlow, which is one protobuf message."""
NEWEST_OPSET = 18
"""The newest opset that tf2onnx 1.17 writes."""
ERFC_TRANSFORM = "erfc(x), which ONNX lacks, written as 1 - erf(x)"


def write_function(
    function: Callable[..., Mapping[str, tensorflow.Tensor]],
    inputs: Sequence[tuple[str, str, tuple[int | None, ...]]],
    output: Path,
    opset: int,
) -> tuple[str, ...]:
    """Convert a function of tensors to an ONNX file with the given names.

    Args:
        function: a function from tensors by position to tensors by name.
        inputs: name, type and shape of each; None is a dimension of any size.

    Returns:
        The transforms that were needed.

    Raises:
        ValueError: the weights are more than one protobuf message can hold.
    """
    import tensorflow as tf  # noqa: PLC0415  only the process that converts loads it
    import tf2onnx  # noqa: PLC0415

    signature = [tf.TensorSpec(shape, dtype, name=name) for name, dtype, shape in inputs]
    named = tf.function(function, signature, autograph=False)
    traced = named.get_concrete_function()
    _check_size([*traced.variables, *(one for one in traced.captured_inputs if one.dtype != tf.resource)])
    operators = {node.type for node in traced.graph.get_operations()}
    tf2onnx.convert.from_function(
        _without_captures(named, traced, signature),
        input_signature=signature,
        opset=min(opset, NEWEST_OPSET),
        custom_op_handlers={"Erfc": (_write_erfc, [])},
        output_path=str(output),
    )
    return (ERFC_TRANSFORM,) if "Erfc" in operators else ()


def _without_captures(
    named: tensorflow.types.experimental.PolymorphicFunction,
    traced: tensorflow.types.experimental.ConcreteFunction,
    signature: Sequence[tensorflow.TensorSpec],
) -> tensorflow.types.experimental.PolymorphicFunction:
    """Return the function, with constants in place of tensors from outside that are no variables, such as the mean of
    Keras' Normalization: tf2onnx takes these for inputs.
    """
    import tensorflow as tf  # noqa: PLC0415
    from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2  # noqa: PLC0415

    if all(one.dtype == tf.resource for one in traced.captured_inputs):
        return named
    frozen = convert_variables_to_constants_v2(traced, lower_control_flow=False)
    if len(frozen.inputs) != len(signature):  # a table is no constant
        return named
    names = sorted(traced.structured_outputs)  # as TensorFlow flattens a dictionary

    def constant(*tensors: tensorflow.Tensor) -> dict[str, tensorflow.Tensor]:
        return dict(zip(names, frozen(*tensors), strict=True))

    return tf.function(constant, signature, autograph=False)


def _check_size(weights: Sequence[tensorflow.Tensor | tensorflow.Variable]) -> None:
    """Refuse large models early: tf2onnx takes nine times their size before it fails, and as much with its
    `large_model`.
    """
    size = sum(int(np.prod(one.shape)) * one.dtype.size for one in weights)
    if size > MOST_BYTES:
        raise ValueError(f"The graph is larger than 2GB: its weights alone are {size / 2**30:.1f} GiB")


def _write_erfc(graph: Graph, node: Node, name: str, arguments: list[str]) -> None:
    """Write erfc, which tf2onnx lacks a rule for: exact GELU is x/2 erfc(-x/sqrt 2) in Keras and JAX."""
    del arguments
    shapes, types = node.output_shapes, node.output_dtypes
    graph.remove_node(node.name)
    one = graph.make_const(f"{name}_one", np.array(1, np.float32))
    erf = graph.make_node("Erf", node.input, shapes=shapes, dtypes=types)
    graph.make_node("Sub", [one.output[0], erf.output[0]], name=name, outputs=node.output, shapes=shapes, dtypes=types)
