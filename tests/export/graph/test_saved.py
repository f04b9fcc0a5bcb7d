"""Models written with their weights beside them, and copied without their weights."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import ModelProto, TensorProto, helper, numpy_helper

from assay.export.graph import saved
from assay.export.graph.saved import is_large, save_in_two, with_initialisers

FLOAT = TensorProto.FLOAT


def model() -> ModelProto:
    weights = np.arange(12, dtype=np.float32).reshape(4, 3)
    graph = helper.make_graph(
        [helper.make_node("MatMul", ["x", "w"], ["m"]), helper.make_node("Add", ["m", "b"], ["y"])],
        "named",
        [helper.make_tensor_value_info("x", FLOAT, ["batch", 4])],
        [helper.make_tensor_value_info("y", FLOAT, ["batch", 3])],
        [numpy_helper.from_array(weights, "w"), helper.make_tensor("b", FLOAT, [3], [1, 2, 3])],
        doc_string="kept",
    )
    found = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
    helper.set_model_props(found, {"by": "hand"})
    return found


def test_a_model_in_two_files_is_the_model(tmp_path: Path) -> None:
    save_in_two(model(), tmp_path / "model.onnx")
    assert (tmp_path / "model.onnx.data").stat().st_size == 4 * 12  # b has its numbers in another field
    found = onnx.load(tmp_path / "model.onnx")
    for one in found.graph.initializer:
        one.ClearField("data_location")
    assert found.SerializeToString(deterministic=True) == model().SerializeToString(deterministic=True)


def test_a_copy_has_everything_but_the_initialisers() -> None:
    bare = with_initialisers(model(), ())
    assert not bare.graph.initializer
    bare.graph.initializer.extend(model().graph.initializer)
    assert bare.SerializeToString(deterministic=True) == model().SerializeToString(deterministic=True)


def test_the_size_of_a_model_is_known_without_writing_it(monkeypatch: pytest.MonkeyPatch) -> None:
    size = model().ByteSize()
    monkeypatch.setattr(saved, "MOST_BYTES", size + 1)
    assert not is_large(model())
    monkeypatch.setattr(saved, "MOST_BYTES", size - 30)  # the names and shapes of two tensors
    assert is_large(model())
