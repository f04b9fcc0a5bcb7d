"""ONNX files that are damaged or mean harm: one clear error each, and nothing is read that lies elsewhere."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import onnx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from onnx import TensorProto, helper, numpy_helper

from assay.errors import ArtifactError
from export.inspect import inspect, inspect_file, read_model, render


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
    """The same model, its weight said to lie in another file."""
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
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
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
