"""A pair's files are compared with themselves before a candidate is called wrong."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from onnx import NodeProto, helper

from assay.export.pairs.on_onnx_pair_company import told_of_company
from tests.onnx_files import save_onnx

WIDTH = 8
FEEDS = {"x": np.random.default_rng(0).normal(size=(8, WIDTH)).astype(np.float32)}


def saved(path: Path, *nodes: NodeProto, **tensors: np.ndarray) -> Path:
    return save_onnx(path, nodes, {"x": ["batch", WIDTH]}, {"y": ["batch", WIDTH]}, tensors)


def node(operator: str, inputs: list[str], outputs: list[str], **more: object) -> NodeProto:
    return helper.make_node(operator, inputs, outputs, **more)


def exact(path: Path) -> Path:
    return saved(path, node("Mul", ["x", "two"], ["y"]), two=np.float32(2))


def quantised(path: Path) -> Path:
    return saved(
        path,
        node("DynamicQuantizeLinear", ["x"], ["q", "scale", "zero"]),
        node("DequantizeLinear", ["q", "scale", "zero"], ["d"]),
        node("Mul", ["d", "two"], ["y"]),
        two=np.float32(2),
    )


def rounding(path: Path) -> Path:
    """(x + 2^23) - 2^23: only whole numbers are left of x."""
    large = np.float32(2**23)
    return saved(path, node("Add", ["x", "large"], ["s"]), node("Sub", ["s", "large"], ["y"]), large=large)


def mixing(path: Path) -> Path:
    """x - mean over the rows: rows really depend on each other."""
    mean = node("ReduceMean", ["x", "rows"], ["m"], keepdims=1)
    return saved(path, mean, node("Sub", ["x", "m"], ["y"]), rows=np.array([0]))


def test_a_candidate_that_quantises_each_call_is_reported_with_a_remedy(tmp_path: Path) -> None:
    said = told_of_company(exact(tmp_path / "a.onnx"), quantised(tmp_path / "b.onnx"), FEEDS, drawn=True)
    assert "quantises each call with its own scale (DynamicQuantizeLinear)" in said
    assert "between calls of 8 rows and of one" in said
    assert "Compare it at the batch sizes used" in said
    one = {"x": FEEDS["x"][:1]}
    said = told_of_company(tmp_path / "a.onnx", tmp_path / "b.onnx", one, drawn=True)
    assert "quantises each call" in said
    assert "between calls" not in said, "there is one row"


def normalised(path: Path, *, training: bool) -> Path:
    """With the statistics of the file, or of the call."""
    outputs = ["y", "mean_now", "var_now"] if training else ["y"]
    norm = node("BatchNormalization", ["x", *"sbmv"], outputs, name="norm", training_mode=int(training))
    return saved(path, norm, **{name: np.linspace(0.5, 1, WIDTH, dtype=np.float32) for name in "sbmv"})


def test_a_candidate_exported_in_training_mode_is_reported_with_a_remedy(tmp_path: Path) -> None:
    right, wrong = (normalised(tmp_path / f"{one}.onnx", training=one) for one in (False, True))
    said = told_of_company(right, wrong, FEEDS, drawn=True)
    assert said.startswith("BatchNormalization 'norm' computes as in training, and nothing in the reference file does")
    assert "Export it again in evaluation mode" in said
    assert "training" not in told_of_company(wrong, wrong, FEEDS, drawn=True)
    assert "training" not in told_of_company(wrong, right, FEEDS, drawn=True)


@pytest.mark.parametrize(("drawn", "cure"), [(True, "Give real inputs with --inputs"), (False, "Give other inputs")])
def test_inputs_of_which_fp32_makes_rounding_tell_nothing(*, drawn: bool, cure: str, tmp_path: Path) -> None:
    file = rounding(tmp_path / "a.onnx")
    said = told_of_company(file, exact(tmp_path / "b.onnx"), FEEDS, drawn=drawn)
    assert said.startswith("these inputs show nothing")
    assert "from its own float64" in said
    assert cure in said


def test_wrong_numbers_are_not_excused(tmp_path: Path) -> None:
    files = [exact(tmp_path / "a.onnx"), mixing(tmp_path / "b.onnx")]
    assert told_of_company(files[0], files[1], FEEDS, drawn=True) == ""
    assert told_of_company(files[1], files[0], FEEDS, drawn=True) == "", "its rows depend on each other in float64 too"
    both = [quantised(tmp_path / "c.onnx"), quantised(tmp_path / "d.onnx")]
    assert "quantises" not in told_of_company(*both, FEEDS, drawn=True), "the reference does it too"
