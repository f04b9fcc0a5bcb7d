"""ONNX files whose ends are of every kind: what is compared, in which form, and what is left out by name."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import NodeProto, TensorProto, ValueInfoProto, helper, numpy_helper

from assay.errors import InputError
from assay.export.checking.records import Against, check_records
from assay.export.job import RouteRequest, work
from assay.export.probing.probe import NATIVE_FILE, RECORDS_FILE, REFERENCE_FILE, Probed, probe
from assay.registry import GIVEN
from tests.user_models import to_probe

FLOAT, BF16, TEXT, INT = TensorProto.FLOAT, TensorProto.BFLOAT16, TensorProto.STRING, TensorProto.INT64
X = helper.make_tensor_value_info("x", FLOAT, ["batch", 4])
PRODUCT = helper.make_node("MatMul", ["x", "w"], ["y"])
Y = helper.make_tensor_value_info("y", FLOAT, ["batch", 3])


def numbers(name: str, *shape: int) -> TensorProto:
    return numpy_helper.from_array(np.random.default_rng(0).standard_normal(shape).astype(np.float32), name)


WEIGHTS = numbers("w", 4, 3)


def probed(
    folder: Path,
    nodes: list[NodeProto],
    inputs: list[ValueInfoProto],
    outputs: list[ValueInfoProto],
    *constants: TensorProto,
) -> Probed:
    """Write a file, probe it, and make sure that its copy agrees at every level of ONNX Runtime."""
    graph = helper.make_graph(nodes, "ends", inputs, outputs, list(constants))
    domains = [helper.make_opsetid("", 18), helper.make_opsetid("ai.onnx.ml", 3)]
    onnx.save(helper.make_model(graph, opset_imports=domains, ir_version=10), folder / "model.onnx")
    found = probe(to_probe(folder, folder / "model.onnx"))
    (folder / "export").mkdir()
    work(RouteRequest(model=found.model, exporter=GIVEN, opset=18, key="key", folder=folder / "export"))
    files = {"records": RECORDS_FILE, "native": NATIVE_FILE, "reference": REFERENCE_FILE}
    against = Against(**{name: folder / file for name, file in files.items()})
    judged = check_records(folder / "export" / "model.onnx", found.model, against, GIVEN)
    assert not judged.reason
    assert judged.agreement
    return found


def test_what_is_not_zero_is_compared_at_any_size(tmp_path: Path) -> None:
    nodes = [PRODUCT, helper.make_node("Relu", ["y"], ["r"]), helper.make_node("NonZero", ["r"], ["where"])]
    found = probed(tmp_path, nodes, [X], [Y, helper.make_tensor_value_info("where", INT, [2, None])], WEIGHTS)
    assert [one.varying for one in found.model.outputs] == [(), (1,)]
    assert (found.model.whole, found.model.inputs[0].shape) == (True, (1, 4))
    assert "The size of 'where' depends on the values" in found.told[0]


def test_the_boxes_of_a_detector_are_a_set(tmp_path: Path) -> None:
    nodes = [
        helper.make_node("MatMul", ["x", "wb"], ["b"]),
        helper.make_node("Sigmoid", ["b"], ["b1"]),
        helper.make_node("Reshape", ["b1", "of_boxes"], ["boxes"]),
        helper.make_node("MatMul", ["x", "ws"], ["s"]),
        helper.make_node("Sigmoid", ["s"], ["s1"]),
        helper.make_node("Reshape", ["s1", "of_scores"], ["scores"]),
        helper.make_node("NonMaxSuppression", ["boxes", "scores", "most", "iou", "least"], ["chosen"]),
        helper.make_node("Gather", ["chosen", "two"], ["places"], axis=1),
        helper.make_node("Squeeze", ["boxes", "first"], ["flat"]),
        helper.make_node("Gather", ["flat", "places"], ["kept"], axis=0),
    ]
    constants = {
        "of_boxes": [1, 20, 4], "of_scores": [1, 1, 20], "most": [20], "iou": np.float32([0.5]),
        "least": np.float32([0.6]), "two": 2, "first": [0],
    }  # fmt: skip
    made = [numpy_helper.from_array(np.asarray(value), name) for name, value in constants.items()]
    outputs = [
        helper.make_tensor_value_info("kept", FLOAT, [None, 4]),
        helper.make_tensor_value_info("chosen", INT, [None, 3]),
    ]
    given = [helper.make_tensor_value_info("x", FLOAT, [1, 4])]
    found = probed(tmp_path, nodes, given, outputs, *made, numbers("wb", 4, 80), numbers("ws", 4, 20))
    assert [one.varying for one in found.model.outputs] == [(0,), (0,)]


def test_words_are_those_of_the_encoder(tmp_path: Path) -> None:
    nodes = [
        helper.make_node("OneHotEncoder", ["word"], ["e"], domain="ai.onnx.ml", cats_strings=["red", "blue"], zeros=0),
        helper.make_node("Reshape", ["e", "flat"], ["x"]),
        helper.make_node("MatMul", ["x", "w"], ["y"]),
    ]
    word = helper.make_tensor_value_info("word", TEXT, ["batch", 1])
    flat = numpy_helper.from_array(np.array([-1, 2]), "flat")
    found = probed(tmp_path, nodes, [word], [Y], numbers("w", 2, 3), flat)
    assert found.model.inputs[0].dtype == "<U4"
    assert set(np.load(tmp_path / RECORDS_FILE)["word"].reshape(-1)) == {"red", "blue"}
    assert found.reference


def test_text_beside_numbers_is_left_out_and_alone_refused(tmp_path: Path) -> None:
    nodes = [
        PRODUCT,
        helper.make_node("ArgMax", ["y"], ["a"], axis=1, keepdims=0),
        helper.make_node(
            "LabelEncoder", ["a"], ["label"], domain="ai.onnx.ml", keys_int64s=[0, 1, 2], values_strings=list("abc")
        ),
    ]
    label = helper.make_tensor_value_info("label", TEXT, ["batch"])
    found = probed(tmp_path, nodes, [X], [label, Y], WEIGHTS)
    assert [one.name for one in found.model.outputs] == ["y"]
    assert (found.model.without, found.told) == (("label",), ["Output 'label' is left out, since it is text."])
    other = tmp_path / "other"
    other.mkdir()
    with pytest.raises(InputError, match="Export only the part of the model whose outputs are numbers"):
        probed(other, nodes, [X], [label], WEIGHTS)


def test_an_output_without_rows_is_named_with_the_option_that_leaves_it_out(tmp_path: Path) -> None:
    nodes = [PRODUCT, helper.make_node("Identity", ["w"], ["fixed"])]
    fixed = helper.make_tensor_value_info("fixed", FLOAT, [4, 3])
    with pytest.raises(InputError, match=r"found 'fixed' \[4, 3\].*--dimension batch=4.*--without fixed"):
        probed(tmp_path, nodes, [X], [Y, fixed], WEIGHTS)


def test_numbers_in_bfloat16_are_rounded_before_and_compared_exactly(tmp_path: Path) -> None:
    nodes = [helper.make_node("Cast", ["x"], ["wide"], to=FLOAT), helper.make_node("MatMul", ["wide", "w"], ["y"])]
    found = probed(tmp_path, nodes, [helper.make_tensor_value_info("x", BF16, ["batch", 4])], [Y], WEIGHTS)
    assert found.model.narrow == ("x",)
    assert found.model.arithmetic == "fp32"
    drawn = np.load(tmp_path / RECORDS_FILE)["x"]
    assert not (np.ascontiguousarray(drawn).view(np.uint32) & 0xFFFF).any()


def test_an_optional_input_is_given_and_a_sequence_left_out(tmp_path: Path) -> None:
    kind = helper.make_optional_type_proto(helper.make_tensor_type_proto(FLOAT, [4]))
    pieces = helper.make_sequence_type_proto(helper.make_tensor_type_proto(FLOAT, None))
    nodes = [
        helper.make_node("OptionalGetElement", ["more"], ["m"]),
        helper.make_node("Add", ["x", "m"], ["z"]),
        helper.make_node("SplitToSequence", ["z"], ["pieces"], axis=1),
    ]
    outputs = [helper.make_tensor_value_info("z", FLOAT, ["batch", 4]), ValueInfoProto(name="pieces", type=pieces)]
    found = probed(tmp_path, nodes, [X, ValueInfoProto(name="more", type=kind)], outputs)
    assert [one.name for one in found.model.inputs] == ["x", "more"]
    assert found.told == ["Output 'pieces' is left out, since it is a sequence."]


def lost(value: float) -> list[NodeProto]:
    """Nodes whose `lost` is infinite or NaN in every place; `none` is zero there."""
    return [
        helper.make_node("Sub", ["y", "y"], ["none"]),
        helper.make_node("Constant", [], ["number"], value_float=value),
        helper.make_node("Add", ["none", "number"], ["lost"]),
    ]


@pytest.mark.parametrize("value", [float("inf"), float("-inf"), float("nan")])
def test_an_output_without_a_number_is_left_out_by_name_and_alone_refused(value: float, tmp_path: Path) -> None:
    gone = helper.make_tensor_value_info("lost", FLOAT, ["batch", 3])
    found = probed(tmp_path, [PRODUCT, *lost(value)], [X], [gone, Y], WEIGHTS)
    assert [one.name for one in found.model.outputs] == ["y"]
    assert found.told == ["Output 'lost' is left out, since it is infinite or NaN throughout for all 8 inputs."]
    other = tmp_path / "other"
    other.mkdir()
    with pytest.raises(InputError, match=r"'lost' is infinite or NaN throughout.*--inputs FILE or --range"):
        probed(other, [PRODUCT, *lost(value)], [X], [gone], WEIGHTS)


def test_an_output_that_is_the_same_for_all_inputs_is_named(tmp_path: Path) -> None:
    nodes = [PRODUCT, *lost(2.5)]
    found = probed(tmp_path, nodes, [X], [helper.make_tensor_value_info("lost", FLOAT, ["batch", 3]), Y], WEIGHTS)
    assert [one.name for one in found.model.outputs] == ["lost", "y"]
    assert found.told == ["'lost' is the same for all 32 inputs, so that its agreement shows little."]
