"""ONNX files that tests make, of which a test says only the nodes, the ends and the constants."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import GraphProto, ModelProto, NodeProto, TensorProto, ValueInfoProto, helper, numpy_helper

Ends = Mapping[str, Any] | Sequence[ValueInfoProto]
"""Shapes of float32 tensors by name, or their types and shapes; None for any shape."""
Constants = Mapping[str, Any] | Sequence[TensorProto]


def onnx_graph(
    nodes: Sequence[NodeProto], inputs: Ends, outputs: Ends, constants: Constants = (), name: str = "made"
) -> GraphProto:
    """A graph."""
    if isinstance(constants, Mapping):
        constants = [numpy_helper.from_array(np.asarray(value), key) for key, value in constants.items()]
    return helper.make_graph(list(nodes), name, _values(inputs), _values(outputs), list(constants))


def onnx_model(
    nodes: Sequence[NodeProto],
    inputs: Ends,
    outputs: Ends,
    constants: Constants = (),
    *,
    opset: int = 18,
    ir_version: int = 10,
    **domains: int,
) -> ModelProto:
    """A model of one graph.

    Args:
        domains: versions of further domains, with "_" for ".".
    """
    sets = [helper.make_opsetid("", opset)]
    sets += [helper.make_opsetid(name.replace("_", "."), version) for name, version in domains.items()]
    graph = onnx_graph(nodes, inputs, outputs, constants)
    return helper.make_model(graph, opset_imports=sets, ir_version=ir_version)


def save_onnx(path: Path, *graph: Any, **versions: int) -> Path:
    """Write a model, see `onnx_model`, and return its path."""
    onnx.save(onnx_model(*graph, **versions), path)
    return path


def _values(ends: Ends) -> list[ValueInfoProto]:
    if not isinstance(ends, Mapping):
        return list(ends)
    typed = {name: end if isinstance(end, tuple) else (TensorProto.FLOAT, end) for name, end in ends.items()}
    return [helper.make_tensor_value_info(name, kind, shape) for name, (kind, shape) in typed.items()]
