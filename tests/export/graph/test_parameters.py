"""Learned parameters are counted in any type: int8 files have the weights they were made from."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from assay.export.graph.inspect import inspect
from assay.export.variants.quantize import Int8Settings, quantise_int8

RANDOM = np.random.default_rng(0)
WEIGHTS = {
    "w": RANDOM.standard_normal((4, 3, 3, 3)).astype(np.float32),
    "b": RANDOM.standard_normal(4).astype(np.float32),
}
LEARNED = 4 * 3 * 3 * 3 + 4
IMAGES = RANDOM.standard_normal((8, 3, 8, 8)).astype(np.float32)


def saved(path: Path, nodes: list[onnx.NodeProto], arrays: dict[str, np.ndarray]) -> Path:
    graph = helper.make_graph(
        nodes,
        "net",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["batch", 3, 8, 8])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)],
        [numpy_helper.from_array(array, name) for name, array in arrays.items()],
    )
    opsets = [helper.make_opsetid("", 18), helper.make_opsetid("com.microsoft", 1)]
    onnx.save(helper.make_model(graph, opset_imports=opsets, ir_version=9), path)
    return path


@pytest.fixture
def plain(tmp_path: Path) -> Path:
    axes = {"shape": np.array([0, -1], np.int64)}
    nodes = [
        helper.make_node("Conv", ["x", "w", "b"], ["made"]),
        helper.make_node("Reshape", ["made", "shape"], ["y"]),
    ]
    return saved(tmp_path / "plain.onnx", nodes, WEIGHTS | axes)


def test_an_int8_file_has_the_parameters_of_the_one_it_was_made_of(plain: Path, tmp_path: Path) -> None:
    feeds = [{"x": IMAGES[place : place + 1]} for place in range(8)]
    quantise_int8(plain, tmp_path / "int8.onnx", feeds, Int8Settings(100))
    kept = {one.data_type for one in onnx.load(tmp_path / "int8.onnx").graph.initializer}
    assert kept & {TensorProto.INT8, TensorProto.UINT8}
    assert inspect(plain).parameters == inspect(tmp_path / "int8.onnx").parameters == LEARNED


def test_scales_of_a_norm_are_parameters_and_those_of_integers_are_not(tmp_path: Path) -> None:
    nodes = [
        helper.make_node("BatchNormalization", ["x", "norm_scale", "b3", "b3", "v3"], ["normal"]),
        helper.make_node("DynamicQuantizeLinear", ["normal"], ["small", "s", "z"]),
        helper.make_node("ConvInteger", ["small", "w8", "z", "w_zero"], ["whole"]),
        helper.make_node("Cast", ["whole"], ["y"], to=TensorProto.FLOAT),
    ]
    three = np.ones(3, np.float32)
    arrays = {
        "norm_scale": three,
        "b3": three * 0,
        "v3": three,
        "w8": np.ones((4, 3, 3, 3), np.int8),
        "w_zero": np.zeros((), np.int8),
    }
    assert inspect(saved(tmp_path / "net.onnx", nodes, arrays)).parameters == 3 * 3 + 4 * 3 * 3 * 3
