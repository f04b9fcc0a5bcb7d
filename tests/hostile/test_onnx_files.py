"""Damaged or hostile ONNX files: one clear error each, and nothing is read from elsewhere."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from onnx import TensorProto, helper, numpy_helper

from assay.errors import ArtifactError, InputError
from assay.export.graph.inspect import inspect, inspect_file, read_model, render
from assay.export.pairs.pair_inputs import OnnxValue, draw_inputs
from assay.export.probing.inputs import Form, records_of
from assay.train.brought.model import Tensor


@pytest.fixture
def good(tmp_path: Path) -> Path:
    """A small model with a weight of 16 KiB."""
    weight = numpy_helper.from_array(np.ones((64, 64), np.float32), "weight")
    graph = helper.make_graph(
        [helper.make_node("MatMul", ["image", "weight"], ["logits"])],
        "small",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, ["batch", 64])],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["batch", 64])],
        [weight],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
    path = tmp_path / "model.onnx"
    onnx.save(model, path)
    return path


def with_external_data(good: Path, location: str) -> Path:
    """The same model with its weight declared to be in another file."""
    model = onnx.load(good)
    tensor = model.graph.initializer[0]
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value=location)
    tensor.external_data.add(key="length", value=str(64 * 64 * 4))
    good.write_bytes(model.SerializeToString())
    return good


def test_the_good_file_is_described(good: Path) -> None:
    found = inspect_file(good)
    assert found == inspect(good)
    assert (found.parameters, found.nodes, found.opsets) == (4096, 1, {"": 18})
    assert "image: float [batch, 64]" in render(found)


def test_external_data_beside_the_file_counts(good: Path) -> None:
    path = with_external_data(good, "weights.bin")
    (path.parent / "weights.bin").write_bytes(np.ones((64, 64), np.float32).tobytes())
    found = inspect(path)
    assert found.parameters == 4096
    assert found.file_bytes > 64 * 64 * 4


@pytest.mark.parametrize("keep", [0, 1, 100, 10_000, 16_000])
def test_a_truncated_file_is_named(good: Path, keep: int) -> None:
    good.write_bytes(good.read_bytes()[:keep])
    with pytest.raises(ArtifactError, match=r"model\.onnx"):
        inspect(good)


@pytest.mark.parametrize("content", [b"not ONNX at all\n", b"\x89PNG\r\n\x1a\n", b"{}", b"\0" * 4096])
def test_a_file_of_another_kind_is_named(good: Path, content: bytes) -> None:
    good.write_bytes(content)
    with pytest.raises(ArtifactError, match=r"model\.onnx"):
        inspect(good)


@given(content=st.binary(max_size=300))
@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_random_bytes_give_one_of_our_errors(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "random.onnx"
    path.write_bytes(content)
    with pytest.raises(ArtifactError):
        read_model(path)


def test_a_missing_file_and_a_folder_are_named(tmp_path: Path) -> None:
    with pytest.raises(ArtifactError, match="found nothing"):
        inspect(tmp_path / "absent.onnx")
    with pytest.raises(ArtifactError, match="found a folder"):
        inspect(tmp_path)


def test_missing_external_data_is_named(good: Path) -> None:
    with pytest.raises(ArtifactError, match=r"weights\.bin"):
        inspect(with_external_data(good, "weights.bin"))


def test_external_data_that_is_too_short_is_refused(good: Path) -> None:
    path = with_external_data(good, "weights.bin")
    (path.parent / "weights.bin").write_bytes(b"\0" * 100)
    with pytest.raises(ArtifactError, match=r"model\.onnx"):
        inspect(path)


@pytest.mark.parametrize("outside", ["../secret.bin", "absolute", "link.bin"])
def test_external_data_outside_its_folder_is_refused(good: Path, tmp_path: Path, outside: str) -> None:
    secret = tmp_path / "secret.bin"
    secret.write_bytes(np.ones((64, 64), np.float32).tobytes())
    folder = tmp_path / "folder"
    folder.mkdir()
    path = folder / "model.onnx"
    path.write_bytes(good.read_bytes())
    (folder / "link.bin").symlink_to(secret)
    with pytest.raises(ArtifactError, match=r"model\.onnx"):
        inspect(with_external_data(path, str(secret) if outside == "absolute" else outside))


def test_a_file_that_may_not_be_read_is_named(good: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(13, os.strerror(13))

    monkeypatch.setattr(onnx, "load", refuse)
    with pytest.raises(ArtifactError, match="Permission denied"):
        inspect(good)


def test_what_onnxruntime_refuses_is_still_described(good: Path) -> None:
    model = onnx.load(good)
    model.graph.node[0].op_type = "Erfc"
    onnx.save(model, good)
    found = inspect(good)
    assert found.optimised is None
    assert found.operators == {"Erfc": 1}
    assert "ONNX Runtime refuses it" in render(found)


def test_the_process_of_its_own_reports_the_same_error(good: Path) -> None:
    good.write_bytes(b"not ONNX")
    with pytest.raises(Exception, match=r"model\.onnx cannot be read") as caught:
        inspect_file(good)
    assert getattr(caught.value, "exit_code", None) == 2


def _shape(model: onnx.ModelProto, operator: str, *values: int | list[int]) -> onnx.ModelProto:
    """The model with a node whose output is as large as constants specify."""
    names = []
    for place, value in enumerate(values):
        array = np.array(value, np.int64)
        names.append(f"size_{place}")
        model.graph.initializer.append(numpy_helper.from_array(array.reshape(-1) if array.ndim else array, names[-1]))
    if operator in {"Expand", "Tile"}:
        names = [model.graph.input[0].name, *names]
    model.graph.node.append(helper.make_node(operator, names, ["enormous"]))
    return model


def _declared(model: onnx.ModelProto, name: str, dims: list[int]) -> onnx.ModelProto:
    model.graph.initializer.append(onnx.TensorProto(name=name, data_type=1, dims=dims, raw_data=b"\0" * 4))
    return model


ENORMOUS: dict[str, Callable[[onnx.ModelProto], onnx.ModelProto]] = {
    "a weight of 10^10": lambda model: _declared(model, "w", [10**10]),
    "a weight of 10^30": lambda model: _declared(model, "w", [10**10, 10**10, 10**10]),
    "a weight that is too short": lambda model: _declared(model, "w", [1000]),
    "a negative weight": lambda model: _declared(model, "w", [-1]),
    "ConstantOfShape": lambda model: _shape(model, "ConstantOfShape", [10**10]),
    "Expand": lambda model: _shape(model, "Expand", [10**5, 10**6]),
    "Tile": lambda model: _shape(model, "Tile", [10**5, 10**6]),
    "Range": lambda model: _shape(model, "Range", 0, 10**12, 1),
}


@pytest.mark.parametrize("what", ENORMOUS)
def test_what_memory_cannot_hold_is_named(what: str, good: Path) -> None:
    onnx.save(ENORMOUS[what](onnx.load(good)), good)
    with pytest.raises(ArtifactError, match=r"model\.onnx has (a tensor|an operator)"):
        read_model(good)


@pytest.mark.parametrize("operator", ["EPContext", "PythonOp"])
def test_an_operator_that_loads_another_program_is_refused(operator: str, good: Path) -> None:
    model = onnx.load(good)
    model.graph.node.append(helper.make_node(operator, [], ["y2"], domain="com.microsoft"))
    onnx.save(model, good)
    with pytest.raises(ArtifactError, match=f"another program, {operator}"):
        read_model(good)


def test_an_unknown_operator_is_refused_by_the_runtime_and_not_looked_for(good: Path) -> None:
    model = onnx.load(good)
    model.graph.node[0].domain = "com.example"
    model.opset_import.append(helper.make_opsetid("com.example", 1))
    onnx.save(model, good)
    assert inspect(good).optimised is None


def test_graphs_inside_graphs_have_an_end(good: Path) -> None:
    inner = onnx.load(good).graph
    for _ in range(25):
        node = helper.make_node("If", ["c"], ["y"], then_branch=inner, else_branch=onnx.GraphProto())
        inner = helper.make_graph([node], "g", [], [])
    model = onnx.load(good)
    model.graph.node.append(helper.make_node("If", ["c"], ["y"], then_branch=inner))
    onnx.save(model, good)
    with pytest.raises(ArtifactError, match=r"model\.onnx"):
        read_model(good)


def test_an_input_that_memory_cannot_hold_is_named() -> None:
    values = [OnnxValue("x", "float32", (10**5, 10**6)), OnnxValue("y", "float32", (1,))]
    with pytest.raises(InputError, match=r"'x'.*100000 x 1000000"):
        draw_inputs(values, {})
    form = Form((Tensor(name="x", dtype="float32", shape=(10**10,)),), whole=True, batch=None)
    with pytest.raises(InputError, match=r"'x'.*10000000000"):
        records_of(form, {}, 1)
