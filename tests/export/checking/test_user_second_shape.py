"""A file with open dimensions other than its batch is called at a second size too."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort
from onnx import helper

from assay.export.checking.second_shape import second_shape
from assay.train.brought.arrays import record_type
from tests.onnx_files import save_onnx
from tests.user_models import tensor, user_model

STEPS = 6
MODEL = user_model((tensor("x", STEPS),), (tensor("y", STEPS),))


def saved(path: Path, node: onnx.NodeProto, steps: int | str = "steps") -> Path:
    return save_onnx(
        path,
        [node],
        {"x": ["batch", steps]},
        {"y": ["batch", steps]},
        {"six": np.array([1, STEPS]), "two": np.float32(2)},
    )


def session(path: Path) -> ort.InferenceSession:
    options = ort.SessionOptions()
    options.log_severity_level = 4
    return ort.InferenceSession(path, options, providers=["CPUExecutionProvider"])


def records() -> np.ndarray:
    found = np.zeros(4, record_type(MODEL.inputs))
    found["x"] = np.random.default_rng(0).normal(size=(4, STEPS))
    return found


def test_open_sizes_are_one_larger_and_every_level_is_compared_with_the_first(tmp_path: Path) -> None:
    doubled = saved(tmp_path / "doubled.onnx", helper.make_node("Mul", ["x", "two"], ["y"]))
    second = second_shape(doubled, MODEL, records())
    assert (second.sizes, second.feeds["x"].shape) == ("steps=7", (2, 7))
    assert second.judged(session(doubled), "given at level disable_all") == []
    (same,) = second.judged(session(doubled), "given at level all")
    assert (same.passed, same.subject) == (True, "given at level all, steps=7")
    other = saved(tmp_path / "other.onnx", helper.make_node("Add", ["x", "two"], ["y"]))
    (wrong,) = second.judged(session(other), "given at level all")
    assert "output 'y' differs by" in wrong.reason
    frozen = saved(tmp_path / "frozen.onnx", helper.make_node("Expand", ["x", "six"], ["y"]))
    (refused,) = second.judged(session(frozen), "given at level all")
    assert "it does not run: " in refused.reason


def test_nothing_is_asked_where_the_file_takes_no_second_size(tmp_path: Path) -> None:
    frozen = saved(tmp_path / "frozen.onnx", helper.make_node("Expand", ["x", "six"], ["y"]))
    second = second_shape(frozen, MODEL, records())
    assert second.judged(session(frozen), "given at level disable_all") == []
    assert second.judged(session(frozen), "given at level all") == []
    fixed = saved(tmp_path / "fixed.onnx", helper.make_node("Mul", ["x", "two"], ["y"]), STEPS)
    assert second_shape(fixed, MODEL, records()).judged(session(fixed), "given at level all") == []
