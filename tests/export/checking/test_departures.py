"""If only a runtime is wrong, its first wrong operator is found: two real runtimes, one with a spoiled file."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import helper

from assay.export.localise.on_onnx_runtimes import RuntimeOnFile, departures
from tests.export.pairs.pair_models import WIDTH, Weights, save_classifier, swapped_class, transposed, wrong_sign

pytest.importorskip("openvino")
FEEDS = {"image": np.random.default_rng(0).normal(size=(8, WIDTH)).astype(np.float32)}
RUNTIMES = [("openvino", "no-opt"), ("all", "openvino")]


@pytest.mark.parametrize(("wrong", "right"), RUNTIMES)
@pytest.mark.parametrize(
    ("change", "node"), [(wrong_sign, "add"), (transposed, "second_matmul"), (swapped_class, "second_matmul")]
)
def test_the_first_operator_that_departs_is_named_with_its_runtime(
    change: Callable[[Weights], None], node: str, wrong: str, right: str, tmp_path: Path
) -> None:
    sound, spoiled = save_classifier(tmp_path / "sound.onnx"), save_classifier(tmp_path / "spoiled.onnx", change)
    (found,) = departures(RuntimeOnFile(wrong, spoiled), RuntimeOnFile(right, sound), FEEDS, tmp_path)
    assert found.node == node
    assert found.error_before < 1e-6
    assert found.error_after is not None
    assert found.error_after > 0.01
    assert found.right_error is not None
    assert found.right_error < 1e-6
    assert found.together == []
    assert f"the file is right and {found.runtime} goes wrong at node '{node}'" in str(found)
    assert f"{found.right_runtime} is right there" in str(found)


@pytest.mark.parametrize(("wrong", "right"), RUNTIMES)
def test_runtimes_that_agree_depart_nowhere(wrong: str, right: str, tmp_path: Path) -> None:
    file = save_classifier(tmp_path / "sound.onnx")
    assert departures(RuntimeOnFile(wrong, file), RuntimeOnFile(right, file), FEEDS, tmp_path) == []


def fused(path: Path) -> Path:
    """The classifier with its first product and sum as one operator, as a compiler makes them, with a wrong sign."""
    save_classifier(path, wrong_sign)
    model = onnx.load(path)
    del model.graph.node[:2]
    model.graph.node.insert(0, helper.make_node("Gemm", ["image", "first", "offset"], ["b"], name="gemm"))
    onnx.save(model, path)
    return path


@pytest.mark.parametrize(("wrong", "right"), RUNTIMES)
def test_what_a_runtime_computes_as_one_is_named_as_one(wrong: str, right: str, tmp_path: Path) -> None:
    """It returns no intermediate values, so it is asked for one value after the other."""
    sound = save_classifier(tmp_path / "sound.onnx")
    (found,) = departures(
        RuntimeOnFile(wrong, fused(tmp_path / "fused.onnx")), RuntimeOnFile(right, sound), FEEDS, tmp_path
    )
    assert (found.node, found.together) == ("add", ["first_matmul"])
    assert "may fuse with 'first_matmul'" in str(found)


def test_a_runtime_that_does_not_run_the_file_cannot_be_followed(tmp_path: Path) -> None:
    sound = save_classifier(tmp_path / "sound.onnx")
    (tmp_path / "broken.onnx").write_bytes(sound.read_bytes()[:100])
    assert (
        departures(RuntimeOnFile("all", tmp_path / "broken.onnx"), RuntimeOnFile("no-opt", sound), FEEDS, tmp_path)
        == []
    )
