"""Nodes in which an exporter fixed a size that should have been open are named."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from assay.export.checking.fixed_sizes import FixedSizesRequest, fixed_sizes

MADE = 16


def saved(folder: Path, shape: list[int], mask: int) -> Path:
    constant = helper.make_node("Constant", [], ["shape"], value=numpy_helper.from_array(np.array(shape)))
    graph = helper.make_graph(
        [
            constant,
            helper.make_node("Add", ["x", "mask"], ["masked"], name="/add"),
            helper.make_node("Reshape", ["masked", "shape"], ["y"], name="/heads"),
            helper.make_node("MatMul", ["y", "weight"], ["z"], name="/out"),
        ],
        "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["batch", "tokens", 8])],
        [helper.make_tensor_value_info("z", TensorProto.FLOAT, None)],
        [
            numpy_helper.from_array(np.zeros((mask, 8), np.float32), "mask"),
            numpy_helper.from_array(np.zeros((MADE, 2), np.float32), "weight"),
        ],
    )
    file = folder / "model.onnx"
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10), file)
    return file


def found(folder: Path, shape: list[int], mask: int) -> list[str]:
    return fixed_sizes(FixedSizesRequest(file=saved(folder, shape, mask), sizes={"tokens": MADE})).nodes


def test_a_reshape_and_a_mask_of_the_size_are_named_and_weights_are_not(tmp_path: Path) -> None:
    assert found(tmp_path, [0, MADE, 2, 4], MADE) == [
        "Add '/add', whose input 'mask' is a constant of shape [16, 8]",
        "Reshape '/heads', whose input 'shape' is the constant [0, 16, 2, 4]",
    ]


def test_an_open_file_has_none(tmp_path: Path) -> None:
    assert found(tmp_path, [0, -1, 2, 4], 1) == []
