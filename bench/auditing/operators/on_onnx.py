"""Single operators as ONNX files, run by any runtime of such files, to see how they treat NaN."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import onnx
from onnx import NodeProto, TensorProto, helper, numpy_helper

from assay.bench.auditing.operators.special_job import FUSED, MEAN, POOL, RELU, SHAPE, Operator, kernel
from assay.infer.runtime import Load, ModelFiles
from assay.registry import RUNTIMES
from assay.spec import ModelSpec, Settings
from assay.train.built import BuiltModel

SPEC = ModelSpec("bloodnet", SHAPE[1], classes=SHAPE[-1], channels=SHAPE[-1])
"""A stand-in for a model's specification: only the shape of an image matters here."""
CONVOLUTION = {"pads": [1, 1, 1, 1]}


def operators(runtime: str) -> dict[str, Operator]:
    """Return the operators as this runtime runs them."""
    node = helper.make_node
    nodes = {
        RELU: [node("Relu", ["x"], ["y"])],
        POOL: [node("MaxPool", ["x"], ["y"], kernel_shape=[2, 2], strides=[2, 2])],
        FUSED: [node("Conv", ["x", "w", "b"], ["c"], **CONVOLUTION), node("Relu", ["c"], ["y"])],
        MEAN: [
            node("Conv", ["x", "w"], ["c"], **CONVOLUTION),
            node("Relu", ["c"], ["r"]),
            node("GlobalAveragePool", ["r"], ["y"]),
        ],
    }
    with tempfile.TemporaryDirectory(prefix="assay-special-") as folder:
        return {
            name: _loaded(runtime, made, Path(folder) / f"{number}.onnx")
            for number, (name, made) in enumerate(nodes.items())
        }


def _loaded(runtime: str, nodes: Sequence[NodeProto], path: Path) -> Operator:
    _, height, width, channels = SHAPE
    constants = {"w": np.ascontiguousarray(kernel().transpose(3, 2, 0, 1)), "b": np.ones(channels, np.float32)}
    used = {name for node in nodes for name in node.input}
    graph = helper.make_graph(
        list(nodes),
        "operator",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, channels, height, width])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)],
        [numpy_helper.from_array(array, name) for name, array in constants.items() if name in used],
    )
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10), path)
    load: Load = RUNTIMES[runtime].load()
    session = load(ModelFiles(model=BuiltModel(spec=SPEC), onnx=path, onnx_layout="NCHW"), Settings())
    return lambda images: session.fetch(session.run(session.prepare(images))).astype(np.float32, copy=False)
