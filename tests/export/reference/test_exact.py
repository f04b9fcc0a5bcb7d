"""The float64 reference of a file comes from two evaluators, with workarounds for known faults of onnx's."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import ModelProto, NodeProto, TensorProto, helper, numpy_helper
from onnx.reference import ReferenceEvaluator

from assay.errors import InputError
from assay.export.checking.on_onnx_deciders import undefined_outputs
from assay.export.localise.on_onnx_runners import run_in
from assay.export.probing.probe import NATIVE_FILE, RECORDS_FILE, probe
from assay.export.reference import on_onnx_exact
from assay.export.reference.double_job import DoubleRequest, double
from assay.export.reference.on_onnx_double import run_double, to_double
from assay.export.reference.on_onnx_exact import EVALUATOR, KERNELS, exact_of, relative_difference
from tests.onnx_files import onnx_model
from tests.user_models import to_probe

FLOAT, INT8 = TensorProto.FLOAT, TensorProto.INT8


def model_of(
    nodes: list[NodeProto], shapes: tuple[list[int], list[int]], opset: int = 18, **constants: np.ndarray
) -> ModelProto:
    return onnx_model(nodes, {"x": shapes[0]}, {"y": shapes[1]}, constants, opset=opset, ir_version=8)


def batch_norm(opset: int) -> ModelProto:
    random = np.random.default_rng(0)
    arrays = {name: random.uniform(0.5, 2, 3).astype(np.float32) for name in ("scale", "bias", "mean", "variance")}
    node = helper.make_node("BatchNormalization", ["x", *arrays], ["y"], name="norm", epsilon=1e-3, momentum=0.9)
    return model_of([node], ([4, 3, 5, 5], [4, 3, 5, 5]), opset, **arrays)


def lrn(size: int, batch: int = 1) -> ModelProto:
    node = helper.make_node("LRN", ["x"], ["y"], name="lrn", size=size, alpha=0.05, beta=0.75, bias=1.0)
    return model_of([node], ([batch, 8, 4, 4], [batch, 8, 4, 4]))


def dequantized(opset: int) -> ModelProto:
    arrays = {
        "q": np.arange(-6, 6, dtype=np.int8).reshape(4, 3),
        "s": np.array([0.1, 0.2, 0.7], np.float32),
        "z": np.array([1, 0, -2], np.int8),
    }
    nodes = [
        helper.make_node("DequantizeLinear", ["q", "s", "z"], ["w"], axis=1),
        helper.make_node("MatMul", ["x", "w"], ["y"]),
    ]
    return model_of(nodes, ([2, 4], [2, 3]), opset, **arrays)


def loop_without_a_condition() -> ModelProto:
    body = helper.make_graph(
        [
            helper.make_node("Identity", ["go"], ["on"]),
            helper.make_node("Mul", ["v", "half"], ["w"]),
        ],
        "body",
        [
            helper.make_tensor_value_info("i", TensorProto.INT64, []),
            helper.make_tensor_value_info("go", TensorProto.BOOL, []),
            helper.make_tensor_value_info("v", FLOAT, [3]),
        ],
        [helper.make_tensor_value_info("on", TensorProto.BOOL, []), helper.make_tensor_value_info("w", FLOAT, [3])],
    )
    node = helper.make_node("Loop", ["times", "", "x"], ["y"], body=body)
    return model_of([node], ([3], [3]), times=np.array(3, np.int64), half=np.float32(0.5) * np.ones(1, np.float32))


def sparse_weights(places: list[int] | list[list[int]]) -> ModelProto:
    model = model_of([helper.make_node("MatMul", ["x", "w"], ["y"])], ([2, 4], [2, 3]))
    kept = helper.make_tensor("w", FLOAT, [3], [1.5, -2.0, 0.1])
    indices = numpy_helper.from_array(np.array(places, np.int64), "places")
    model.graph.sparse_initializer.append(helper.make_sparse_tensor(kept, indices, [4, 3]))
    return model


def gathered(data: list[int], indices: list[int], axis: int) -> ModelProto:
    """Places from both ends."""
    many = data[axis]
    places = np.random.default_rng(2).integers(-many, many, indices)
    node = helper.make_node("GatherElements", ["x", "places"], ["y"], axis=axis)
    return model_of([node], (data, indices), places=places)


def padded(pads: list[int], found: list[int], opset: int = 18, **more: np.ndarray) -> ModelProto:
    """Padding of [2, 5, 6]; before opset 11 with attributes."""
    if opset < 11:
        node = helper.make_node("Pad", ["x"], ["y"], pads=pads, value=0.5)
        return model_of([node], ([2, 5, 6], found), opset)
    named = ["value" if "value" in more else "", *(["axes"] if "axes" in more else [])]
    node = helper.make_node("Pad", ["x", "pads", *named], ["y"])
    return model_of([node], ([2, 5, 6], found), opset, pads=np.array(pads), **more)


def distinct(**more: int) -> ModelProto:
    """Rounded numbers of a matrix, so that many are alike, as they first appear."""
    nodes = [
        helper.make_node("Round", ["x"], ["whole"]),
        helper.make_node("Unique", ["whole"], ["y", "first", "again", "counts"], sorted=0, **more),
    ]
    return onnx_model(nodes, {"x": [4, 5]}, {"y": None}, ir_version=8)


WORKED_AROUND = {
    "Unique": distinct(),
    "Unique rows": distinct(axis=0),
    "Pad that takes away": padded([0, -1, 2, 0, 1, -3], [2, 5, 5], value=np.float32(3)),
    "Pad of some axes": padded([-1, 1, 2, -2], [2, 4, 7], axes=np.array([2, -2])),
    "Pad of opset 10": padded([0, -2, 1, 0, 0, -1], [2, 3, 6], 10),
    **{f"BatchNormalization of opset {opset}": batch_norm(opset) for opset in (7, 8, 9, 13, 14, 15)},
    **{f"LRN of {size}": lrn(size) for size in (3, 5, 7)},
    "LRN of more images than channels": lrn(5, batch=9),
    **{f"DequantizeLinear of opset {opset}": dequantized(opset) for opset in (13, 18, 19, 21)},
    "GatherElements among 130 rows": gathered([130, 4], [7, 4], 0),
    "GatherElements among 130 columns": gathered([4, 130], [4, 9], -1),
    "GatherElements in the middle": gathered([2, 70, 3], [2, 5, 3], 1),
    "GatherElements from a part": gathered([130, 4], [3, 2], 0),
    "Loop": loop_without_a_condition(),
    "sparse weights by place": sparse_weights([0, 5, 11]),
    "sparse weights by row and column": sparse_weights([[0, 0], [1, 2], [3, 2]]),
}


@pytest.mark.parametrize("name", WORKED_AROUND)
def test_faults_of_the_evaluator_are_worked_around(name: str, tmp_path: Path) -> None:
    model = WORKED_AROUND[name]
    shape = [one.dim_value for one in model.graph.input[0].type.tensor_type.shape.dim]
    feeds = {"x": np.random.default_rng(1).normal(size=shape).astype(np.float32)}
    onnx.save(model, tmp_path / "model.onnx")
    right = run_in("no-opt", tmp_path / "model.onnx", feeds)["y"]
    found = run_double(model, feeds, "it")["y"]
    assert found.dtype == np.float64
    assert relative_difference(right, found) < 1e-6
    assert exact_of(model, feeds, "it").by == EVALUATOR


def test_the_faults_are_still_there() -> None:
    """When one has gone from onnx, its workaround can go too."""
    feeds = {"x": np.random.default_rng(1).normal(size=(1, 8, 4, 4)).astype(np.float32)}
    assert (
        relative_difference(ReferenceEvaluator(lrn(5)).run(None, feeds)[0], run_double(lrn(5), feeds, "it")["y"]) > 0.01
    )
    many = {"x": np.zeros((2, 70, 3), np.float32)}
    with pytest.raises(ValueError, match="64"):
        ReferenceEvaluator(gathered([2, 70, 3], [2, 5, 3], 1)).run(None, many)
    with pytest.raises(IndexError):
        ReferenceEvaluator(distinct()).run(None, {"x": np.arange(20, dtype=np.float32).reshape(4, 5)})
    with pytest.raises(ValueError, match="negative"):
        ReferenceEvaluator(padded([0, -1, 0, 0, 0, 0], [2, 4, 6])).run(None, {"x": np.zeros((2, 5, 6), np.float32)})


def gemm() -> tuple[ModelProto, dict[str, np.ndarray]]:
    weight = np.random.default_rng(0).normal(size=(8, 5)).astype(np.float32)
    model = model_of([helper.make_node("MatMul", ["x", "w"], ["y"], name="product")], ([4, 8], [4, 5]), w=weight)
    return model, {"x": np.random.default_rng(1).normal(size=(4, 8)).astype(np.float32)}


def test_two_evaluators_that_agree_say_how_far() -> None:
    found = exact_of(*gemm(), "it")
    assert found.by == EVALUATOR
    assert found.apart is not None
    assert found.apart < 1e-12


@pytest.mark.parametrize("by", [10.0, 100.0])
def test_evaluators_may_differ_in_numbers_that_a_type_does_not_hold(by: float) -> None:
    """ONNX Runtime in double and onnx's evaluator may cast 300 to any number of int8, and 30 to 30 alone."""
    nodes = [helper.make_node("Mul", ["x", "by"], ["y"]), helper.make_node("Cast", ["y"], ["small"], to=INT8)]
    outputs = {"y": [3], "small": (INT8, [3])}
    model = onnx_model(nodes, {"x": [3]}, outputs, {"by": np.float32(by)}, ir_version=8)
    feeds = {"x": np.array([3.0, -1, 0.5], np.float32)}
    found = exact_of(model, feeds, "it")
    np.testing.assert_array_equal(found.outputs["y"], feeds["x"] * by)
    wide = {name: value.astype(np.float64) for name, value in feeds.items()}
    assert undefined_outputs(to_double(model), wide, "it") == ({"small"} if by > 50 else set())


def test_an_evaluator_that_is_wrong_is_outvoted_by_kernels_for_double(monkeypatch: pytest.MonkeyPatch) -> None:
    def wrong(*arguments: object) -> dict[str, np.ndarray]:
        return {name: value * 1.5 for name, value in run_double(*arguments).items()}  # type: ignore[arg-type]

    monkeypatch.setattr(on_onnx_exact, "run_double", wrong)
    model, feeds = gemm()
    found = exact_of(model, feeds, "it")
    assert found.by == KERNELS
    assert "is wrong" in found.note
    np.testing.assert_allclose(found.outputs["y"], run_double(model, feeds, "it")["y"], rtol=1e-12)


def test_an_evaluator_against_two_runtimes_is_not_a_reference(monkeypatch: pytest.MonkeyPatch) -> None:
    """LRN has no kernel for double. The fault is onnx's own, restored here."""
    pytest.importorskip("openvino")
    monkeypatch.setattr("assay.export.reference.on_onnx_evaluator.OPERATORS", [])
    feeds = {"x": np.random.default_rng(1).normal(size=(1, 8, 4, 4)).astype(np.float32)}
    with pytest.raises(InputError, match=r"differ at node 'lrn', LRN\(.*OpenVINO agrees with ONNX Runtime"):
        exact_of(lrn(5), feeds, "it")


def inverse() -> ModelProto:
    """An operator that onnx's reference evaluator lacks."""
    model = model_of([helper.make_node("Inverse", ["x"], ["y"], domain="com.microsoft")], ([1, 4, 4], [1, 4, 4]))
    model.opset_import.append(helper.make_opsetid("com.microsoft", 1))
    return model


def test_what_onnx_cannot_evaluate_is_left_to_kernels_for_double() -> None:
    feeds = {"x": np.random.default_rng(1).normal(size=(1, 4, 4)).astype(np.float32)}
    found = exact_of(inverse(), feeds, "it")
    assert found.by == KERNELS
    assert found.outputs["y"].dtype == np.float64


@pytest.mark.parametrize(("file", "by"), [(gemm()[0], EVALUATOR), (inverse(), KERNELS)], ids=["MatMul", "Inverse"])
def test_the_words_for_a_reference_name_the_program_that_computed_it(file: ModelProto, by: str, tmp_path: Path) -> None:
    onnx.save(file, tmp_path / "model.onnx")
    probed = probe(to_probe(tmp_path, tmp_path / "model.onnx"))
    assert probed.reference == f"the file in float64, by {by}"
    request = DoubleRequest(
        model=probed.model,
        file=tmp_path / "model.onnx",
        records=tmp_path / RECORDS_FILE,
        native=tmp_path / NATIVE_FILE,
        out=tmp_path / "double.npy",
    )
    assert double(request).by == by
