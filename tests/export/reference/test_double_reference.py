"""The float64 references: PyTorch compared with JAX, and onnx's evaluator on files of any kind."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from onnx import ModelProto, NodeProto, TensorProto, helper, numpy_helper

from assay.errors import InputError
from assay.export.reference.on_onnx_double import run_double, to_double, without_initialisers
from assay.export.reference.reference import ReferenceRequest, reference_artifact
from tests.export.models import silent, workspace
from tests.onnx_files import onnx_model

THIRD = 1 / 3


def model(nodes: list[NodeProto], weights: dict[str, np.ndarray], rank: int = 2) -> ModelProto:
    """A model from `x` to `y`, both float32."""
    shape = ["batch", *[4] * (rank - 1)]
    return onnx_model(nodes, {"x": shape}, {"y": None}, weights)


LARGER = tuple(pytest.param(name, marks=pytest.mark.slow) for name in ("resnet18", "vit-tiny"))


@pytest.mark.parametrize("architecture", ["bloodnet", *LARGER])
def test_two_frameworks_agree_in_float64(architecture: str, tmp_path_factory: pytest.TempPathFactory) -> None:
    place = workspace(architecture, tmp_path_factory)
    torch, jax = (place.logits(framework, "float64") for framework in ("torch", "jax"))
    assert jax.dtype == np.float64
    assert np.abs(torch - jax).max() <= 1e-12 * np.abs(torch).max()
    assert (torch != jax).any()


def test_nan_passes_through_the_reference_where_it_is_asked_for(tmp_path_factory: pytest.TempPathFactory) -> None:
    place = workspace("bloodnet", tmp_path_factory)
    images = np.zeros((2, *place.spec.image_shape), np.float32)
    images[1, 3, 3, 0] = np.nan
    path = place.folder / "special.npy"
    np.save(path, images)
    with pytest.raises(InputError, match="not finite"):
        reference_artifact(ReferenceRequest(place.folder / "weights", path), place.references, silent)
    request = ReferenceRequest(place.folder / "weights", path, finite=False)
    logits = np.load(reference_artifact(request, place.references, silent).file("logits.npy"))
    assert np.isfinite(logits[0]).all()
    assert np.isnan(logits[1]).all()


def test_what_an_encoder_of_words_gives_is_exact_and_widened() -> None:
    nodes = [
        helper.make_node("OneHotEncoder", ["word"], ["e"], domain="ai.onnx.ml", cats_strings=["red", "blue"]),
        helper.make_node("MatMul", ["e", "w"], ["y"]),
    ]
    graph = helper.make_graph(
        nodes,
        "words",
        [helper.make_tensor_value_info("word", TensorProto.STRING, ["batch"])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)],
        [numpy_helper.from_array(np.array([[THIRD], [2.0]], np.float32), "w")],
    )
    domains = [helper.make_opsetid("", 18), helper.make_opsetid("ai.onnx.ml", 3)]
    found = run_double(
        helper.make_model(graph, opset_imports=domains, ir_version=10), {"word": np.array(["blue", "red"])}, "it"
    )
    assert found["y"].dtype == np.float64
    assert found["y"].reshape(-1).tolist() == [2.0, float(np.float32(THIRD))]


@pytest.mark.parametrize("architecture", ["bloodnet", LARGER[1]])
def test_a_real_export_gives_the_frameworks_reference(
    architecture: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """The weights of the file are those of the framework, so the evaluator in float64 is a third witness."""
    place = workspace(architecture, tmp_path_factory)
    proto = onnx.load(place.model("torch-script"))
    images = np.load(place.folder / "images.npy")[:4]
    (name,) = [value.name for value in without_initialisers(proto.graph)]
    found = run_double(proto, {name: images.transpose(0, 3, 1, 2)}, "the export")["logits"]
    exact = place.logits("torch", "float64")[:4]
    # Exporters fold BatchNorm and constants in fp32: the file is a slightly other function than the weights.
    assert np.abs(found - exact).max() < 1e-5 * np.abs(exact).max()


def test_constants_casts_and_subgraphs_become_double() -> None:
    then = helper.make_graph(
        [helper.make_node("Constant", [], ["c"], value_float=THIRD), helper.make_node("Mul", ["x", "c"], ["z"])],
        "then",
        [],
        [helper.make_tensor_value_info("z", TensorProto.FLOAT, None)],
    )
    other = helper.make_graph(
        [helper.make_node("Identity", ["x"], ["z"])],
        "else",
        [],
        [helper.make_tensor_value_info("z", TensorProto.FLOAT, None)],
    )
    nodes = [
        helper.make_node("If", ["yes"], ["a"], then_branch=then, else_branch=other),
        helper.make_node("Cast", ["a"], ["b"], to=TensorProto.FLOAT16),
        helper.make_node("ConstantOfShape", ["shape"], ["zero"]),
        helper.make_node("Add", ["b", "zero"], ["y"]),
    ]
    weights = {"yes": np.array(True), "shape": np.array([1], np.int64)}
    images = np.full((2, 4), 1.0 + 2.0**-20, np.float32)
    found = run_double(model(nodes, weights), {"x": images}, "the model")["y"]
    assert found.dtype == np.float64
    # The third itself is a float32 in the file; nothing else is rounded.
    assert found == pytest.approx((1 + 2.0**-20) * float(np.float32(THIRD)), rel=1e-15)


def test_the_file_itself_is_left_as_it_was() -> None:
    proto = model([helper.make_node("MatMul", ["x", "w"], ["y"])], {"w": np.ones((4, 2), np.float32)})
    before = proto.SerializeToString()
    assert to_double(proto).graph.initializer[0].data_type == TensorProto.DOUBLE
    assert proto.SerializeToString() == before


@pytest.mark.parametrize(
    ("nodes", "words"),
    [
        ([helper.make_node("NoSuchOperator", ["x"], ["y"])], "cannot run"),
        ([helper.make_node("MatMul", ["x", "w"], ["y"])], "cannot run"),
        ([helper.make_node("RandomNormalLike", ["x"], ["y"])], "random"),
    ],
)
def test_a_model_without_a_reference_is_refused(nodes: list[NodeProto], words: str) -> None:
    with pytest.raises(InputError, match=words):
        run_double(model(nodes, {"w": np.ones((3, 2), np.float32)}), {"x": np.ones((2, 4), np.float32)}, "the model")


def test_initialisers_among_the_inputs_need_no_value() -> None:
    proto = model([helper.make_node("MatMul", ["x", "w"], ["y"])], {"w": np.ones((4, 2), np.float32)})
    proto.graph.input.append(helper.make_tensor_value_info("w", TensorProto.FLOAT, [4, 2]))
    assert [value.name for value in without_initialisers(proto.graph)] == ["x"]
