"""The check of an exported file, on a minimal one: the mean of each channel and a matrix, 12 by 12 pixels."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from assay.errors import ExportFailedError
from assay.export.checking.check import BATCHES, check_agreement, check_structure, level_names, others_on
from assay.numerics.agreement import JudgeOfImages
from assay.spec import ModelSpec
from tests.onnx_files import onnx_model

SPEC = ModelSpec("bloodnet", 12, 5)
IMAGES = np.random.default_rng(0).uniform(-1, 1, (40, 12, 12, 3)).astype(np.float32)
WEIGHTS = np.random.default_rng(1).normal(0, 2, (3, 5)).astype(np.float32)
EXACT = IMAGES.astype(np.float64).mean(axis=(1, 2)) @ WEIGHTS.astype(np.float64)
JUDGE = JudgeOfImages(EXACT, {"numpy": EXACT.astype(np.float32)})
TURNED = np.ascontiguousarray(IMAGES.transpose(0, 3, 1, 2))
"""They are laid out as the file takes them: nothing is transposed."""


def model(
    layout: str = "NCHW",
    weights: np.ndarray = WEIGHTS,
    inputs: tuple[str, int, list[object]] = ("image", TensorProto.FLOAT, ["batch", 3, 12, 12]),
    outputs: tuple[str, int, list[object]] = ("logits", TensorProto.FLOAT, ["batch", 5]),
) -> onnx.ModelProto:
    axes = [2, 3] if layout == "NCHW" else [1, 2]
    nodes = [
        helper.make_node("ReduceMean", [inputs[0]], ["mean"], axes=axes, keepdims=0),
        helper.make_node("MatMul", ["mean", "weights"], [outputs[0]]),
    ]
    return onnx_model(
        nodes,
        [helper.make_tensor_value_info(*inputs)],
        [helper.make_tensor_value_info(*outputs)],
        {"weights": weights},
        opset=17,
        ir_version=8,
    )


def saved(made: onnx.ModelProto, folder: Path) -> Path:
    path = folder / "model.onnx"
    onnx.save(made, path)
    return path


NHWC = ("image", TensorProto.FLOAT, ["batch", 12, 12, 3])


@pytest.mark.parametrize("layout", ["NCHW", "NHWC"])
def test_a_right_file_passes_at_every_level_and_batch(layout: str, tmp_path: Path) -> None:
    path = saved(model(layout, inputs=NHWC) if layout == "NHWC" else model(), tmp_path)
    check_structure(path, SPEC, layout)
    levels = check_agreement(path, layout, IMAGES, JUDGE, "it")
    names = ["disable_all", "enable_basic", "enable_extended", "enable_layout", "enable_all"]
    assert level_names() == names
    assert [(one.subject, one.images) for one in levels.agreements] == [
        (f"it at level {name}, batch {batch}", batch) for name in names for batch in BATCHES
    ]
    assert all(one.passed for one in levels.agreements)
    assert set(levels.outcomes.values()) == {"agrees"}
    assert levels.agreements[0].tolerance == JUDGE.tolerance.value


def test_images_are_32_or_more(tmp_path: Path) -> None:
    path = saved(model(), tmp_path)
    assert max(one.images for one in check_agreement(path, "NCHW", IMAGES[:32], JUDGE, "it").agreements) == 32
    with pytest.raises(ExportFailedError, match="cannot be compared: expected 32 images or more, found 31"):
        check_agreement(path, "NCHW", IMAGES[:31], JUDGE, "it")


def test_numbers_beyond_rounding_fail_wherever_they_are_computed(tmp_path: Path) -> None:
    path = saved(model(weights=WEIGHTS * np.float32(1.001)), tmp_path)
    found = check_agreement(path, "NCHW", IMAGES, JUDGE, "it").agreements
    assert found
    assert not any(one.passed for one in found)
    assert not any(one.passed for one in check_agreement(path, "NHWC", TURNED, JUDGE, "it").agreements)


def test_images_are_turned_for_the_one_layout_alone(tmp_path: Path) -> None:
    path = saved(model(), tmp_path)
    assert all(one.passed for one in check_agreement(path, "NHWC", TURNED, JUDGE, "it").agreements)
    with pytest.raises(ExportFailedError, match="batch 1 does not run"):
        check_agreement(path, "NHWC", IMAGES, JUDGE, "it")


def test_less_than_fp32_is_judged_by_its_own_policy(tmp_path: Path) -> None:
    path = saved(model(weights=WEIGHTS * np.float32(1.001)), tmp_path)
    assert all(one.passed for one in check_agreement(path, "NCHW", IMAGES, JUDGE, "it", "fp16").agreements)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"inputs": ("x", TensorProto.FLOAT, ["batch", 3, 12, 12])}, r"The input .* found 'x', type 1, \[batch, 3"),
        ({"inputs": ("image", TensorProto.FLOAT, [7, 3, 12, 12])}, r"The input .*found 'image', type 1, \[7, 3, 12"),
        ({"inputs": ("image", TensorProto.FLOAT, ["batch", 3, 12, "w"])}, r"The input .* \[batch, 3, 12, w\]"),
        ({"inputs": ("image", TensorProto.FLOAT, ["batch", 3, 12, 13])}, "The input"),
        ({"inputs": ("image", TensorProto.FLOAT, ["batch", 3, 12, None])}, r"The input .* \[batch, 3, 12, \?\]"),
        ({"outputs": ("y", TensorProto.FLOAT, ["batch", 5])}, "The output"),
        ({"outputs": ("logits", TensorProto.FLOAT, [None, 5])}, r"The output .* found 'logits', type 1, \[\?, 5\]"),
        ({"outputs": ("logits", TensorProto.FLOAT, ["batch", "classes"])}, "The output"),
    ],
)
def test_another_signature_is_refused_and_described(
    changes: dict[str, tuple[str, int, list[object]]], words: str, tmp_path: Path
) -> None:
    with pytest.raises(ExportFailedError, match=words):
        check_structure(saved(model(**changes), tmp_path), SPEC, "NCHW")  # type: ignore[arg-type]


def test_the_agreed_signature_is_described_in_the_files_own_layout(tmp_path: Path) -> None:
    with pytest.raises(ExportFailedError, match=r"expected one input 'image', float32, \[batch, 12, 12, 3\]"):
        check_structure(saved(model(), tmp_path), SPEC, "NHWC")
    with pytest.raises(ExportFailedError, match=r"expected one input 'image', float32, \[batch, 3, 12, 12\]"):
        check_structure(saved(model("NHWC", inputs=NHWC), tmp_path), SPEC, "NCHW")
    with pytest.raises(ExportFailedError, match=r"expected one output 'logits', float32, \[batch, 6\]"):
        check_structure(saved(model(), tmp_path), replace(SPEC, classes=6), "NCHW")


def second_output(made: onnx.ModelProto) -> None:
    made.graph.output.append(helper.make_tensor_value_info("mean", TensorProto.FLOAT, ["batch", 3]))


def no_output(made: onnx.ModelProto) -> None:
    del made.graph.output[:]


def doubles(made: onnx.ModelProto) -> None:
    made.graph.input[0].type.tensor_type.elem_type = TensorProto.DOUBLE
    made.graph.node.insert(0, helper.make_node("Cast", ["image"], ["single"], to=TensorProto.FLOAT))
    made.graph.node[1].input[0] = "single"


def own_operator(made: onnx.ModelProto) -> None:
    made.graph.node[1].domain = "com.example"
    made.opset_import.append(helper.make_opsetid("com.example", 1))


def unknown_operator(made: onnx.ModelProto) -> None:
    made.graph.node[1].op_type = "MatMull"


def contradiction(made: onnx.ModelProto) -> None:
    """The mean of three channels is declared to be four."""
    made.graph.value_info.append(helper.make_tensor_value_info("mean", TensorProto.FLOAT, ["batch", 4]))


def unknown_rank(made: onnx.ModelProto) -> None:
    """A reshape to a shape whose length is unknown before it runs."""
    made.graph.initializer.append(numpy_helper.from_array(np.array([1, 1, 0], np.int64), "which"))
    made.graph.initializer.append(numpy_helper.from_array(np.array([[-1, 3]], np.int64), "shapes"))
    made.graph.node[0].output[0] = "plain"
    for place, node in enumerate([
        helper.make_node("NonZero", ["which"], ["found"]),
        helper.make_node("Squeeze", ["found"], ["places"]),
        helper.make_node("Squeeze", ["shapes"], ["shape"]),
        helper.make_node("Gather", ["shape", "places"], ["chosen"]),
        helper.make_node("Reshape", ["plain", "chosen"], ["mean"]),
    ]):  # fmt: skip
        made.graph.node.insert(1 + place, node)


@pytest.mark.parametrize(
    ("defect", "words"),
    [
        (second_output, r"The output .*found 'logits', type 1, \[batch, 5\]; 'mean', type 1, \[batch, 3\]"),
        (no_output, "The output differs from the specification"),
        (doubles, "The input .*found 'image', type 11"),
        (own_operator, r"operators that are not part of ONNX.*com\.example:MatMul"),
        (unknown_operator, "checker refuses the file.*MatMull"),
        (contradiction, "checker refuses the file"),
        (unknown_rank, r"leaves tensors of unknown rank.*found \d+, the first is 'places'"),
    ],
)
def test_another_graph_is_refused(defect: Callable[[onnx.ModelProto], None], words: str, tmp_path: Path) -> None:
    made = model()
    defect(made)
    with pytest.raises(ExportFailedError, match=words):
        check_structure(saved(made, tmp_path), SPEC, "NCHW")


def test_a_batch_that_is_fixed_within_the_graph_does_not_run(tmp_path: Path) -> None:
    made = model()
    made.graph.initializer.append(numpy_helper.from_array(np.array([1, 3], np.int64), "one image"))
    made.graph.node[0].output[0] = "plain"
    made.graph.node.insert(1, helper.make_node("Reshape", ["plain", "one image"], ["mean"]))
    with pytest.raises(ExportFailedError, match="it at level disable_all, batch 3 does not run"):
        check_agreement(saved(made, tmp_path), "NCHW", IMAGES, JUDGE, "it")


def test_what_does_not_load_says_at_which_level(tmp_path: Path) -> None:
    four = np.ones((4, 5), np.float32)
    with pytest.raises(ExportFailedError, match="it does not load in ONNX Runtime at level disable_all"):
        check_agreement(saved(model(weights=four), tmp_path), "NCHW", IMAGES, JUDGE, "it")


def test_an_operator_that_no_onnx_has_is_named(tmp_path: Path) -> None:
    made = model()
    unknown_operator(made)
    with pytest.raises(ExportFailedError, match="it has the operator MatMull, which is not part of ONNX"):
        check_agreement(saved(made, tmp_path), "NCHW", IMAGES, JUDGE, "it")


@pytest.mark.parametrize(("factor", "outcome"), [(1.0, "agrees"), (1.001, "differs")])
def test_others_are_heard_on_a_few_images(factor: float, outcome: str, tmp_path: Path) -> None:
    found = others_on(saved(model(weights=WEIGHTS * np.float32(factor)), tmp_path), "NCHW", IMAGES, JUDGE)
    assert "evaluator" in found
    assert set(found.values()) == {outcome}
