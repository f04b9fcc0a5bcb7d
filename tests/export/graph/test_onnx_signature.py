"""Signatures of ONNX files from other tools: open dimensions, types that cannot be compared, omitted outputs."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from onnx import ModelProto, TensorProto, helper, numpy_helper
from onnx.reference import ReferenceEvaluator

from assay.errors import InputError
from assay.export.graph.on_onnx_signature import (
    dimensions_of,
    other_than_numbers,
    refuse_incomparable,
    with_plain_ends,
    without_outputs,
)
from assay.export.probing.undecided import undecided
from tests.onnx_files import onnx_model

MAP = helper.make_map_type_proto(TensorProto.INT64, helper.make_tensor_type_proto(TensorProto.FLOAT, []))


def tensor(shape: list[object] | None, kind: int = TensorProto.FLOAT) -> onnx.ValueInfoProto:
    return helper.make_tensor_value_info("x", kind, shape)


@pytest.mark.parametrize(
    ("shape", "found"),
    [
        (["batch", 3], ("batch", 3)),
        ([-1, 3], ("x.0", 3)),  # as Paddle writes it
        (["?", "?", 3], ("x.0", "x.1", 3)),
        ([None, None], ("x.0", "x.1")),
        (["", 1], ("x.0", 1)),
        ([1, 3], (1, 3)),
        ([], ()),
        (None, None),
    ],
)
def test_what_a_tool_leaves_open_is_open_and_each_is_one_of_its_own(shape: list[object], found: object) -> None:
    assert dimensions_of(tensor(shape)) == found


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        (helper.make_sequence_type_proto(MAP), "a sequence"),
        (MAP, "a map"),
        (helper.make_optional_type_proto(helper.make_tensor_type_proto(TensorProto.FLOAT, [1])), "an optional"),
        (helper.make_tensor_type_proto(TensorProto.STRING, [1]), "text"),
        (helper.make_tensor_type_proto(TensorProto.BFLOAT16, [1]), "a tensor of bfloat16"),
        (helper.make_tensor_type_proto(TensorProto.COMPLEX64, [1]), "a tensor of complex64"),
        (helper.make_tensor_type_proto(TensorProto.FLOAT8E4M3FN, [1]), "a tensor of float8e4m3fn"),
        (helper.make_tensor_type_proto(TensorProto.FLOAT16, [1]), ""),
        (helper.make_tensor_type_proto(TensorProto.BOOL, [1]), ""),
    ],
)
def test_outputs_that_are_not_numbers_are_named_with_the_option_to_leave_them_out(
    kind: onnx.TypeProto, words: str
) -> None:
    value = onnx.ValueInfoProto(name="probabilities", type=kind)
    assert other_than_numbers(value) == words
    if words:
        with pytest.raises(InputError, match=f"'probabilities' is {words}.*--without probabilities"):
            refuse_incomparable([value, tensor([1])], "it")
        with pytest.raises(InputError, match="Export only the part of the model whose outputs are numbers"):
            refuse_incomparable([value], "it")


def two_outputs() -> ModelProto:
    """y = relu(x w); where = NonZero(x), which only the second output needs; the branches read `w` from outside."""
    inside = helper.make_graph([helper.make_node("MatMul", ["x", "w"], ["h_inside"])], "b", [], [tensor(None)])
    inside.output[0].name = "h_inside"
    return onnx_model(
        [
            helper.make_node("Constant", [], ["yes"], value=numpy_helper.from_array(np.array(True))),
            helper.make_node("If", ["yes"], ["h"], name="if", then_branch=inside, else_branch=inside),
            helper.make_node("Relu", ["h"], ["y"], name="relu"),
            helper.make_node("Abs", ["x"], ["size"], name="abs"),
            helper.make_node("NonZero", ["size"], ["where"], name="nonzero"),
        ],
        {"x": ["batch", 4]},
        {"y": ["batch", 3], "where": (TensorProto.INT64, [2, None])},
        {"w": np.ones((4, 3), np.float32)},
    )


def test_an_output_that_is_left_out_goes_with_what_only_it_needs() -> None:
    found = without_outputs(two_outputs(), ["where"], "it")
    assert [value.name for value in found.graph.output] == ["y"]
    assert [node.op_type for node in found.graph.node] == ["Constant", "If", "Relu"]
    onnx.checker.check_model(found)
    other = without_outputs(two_outputs(), ["y"], "it")
    assert [node.op_type for node in other.graph.node] == ["Abs", "NonZero"]


@pytest.mark.parametrize(
    ("names", "words"),
    [(["wher"], "does not name an output of it.*Did you mean 'where'"), (["y", "where"], "is left")],
)
def test_leaving_out_a_missing_output_or_all_outputs_is_refused(names: list[str], words: str) -> None:
    with pytest.raises(InputError, match=words):
        without_outputs(two_outputs(), names, "it")


def scores(kind: int, *, zipmap: bool) -> ModelProto:
    """The logits of a layer, as they are or as maps by class, of x [batch, 2] of a type."""
    made = helper.make_tensor_value_info("scores", kind, ["batch", 3])
    nodes = [helper.make_node("MatMul", ["x", "w"], ["raw" if zipmap else "scores"])]
    if zipmap:
        nodes.append(helper.make_node("ZipMap", ["raw"], ["scores"], domain="ai.onnx.ml", classlabels_int64s=[4, 5, 6]))
        made = onnx.ValueInfoProto(name="scores", type=helper.make_sequence_type_proto(MAP))
    weights = helper.make_tensor("w", kind, [2, 3], np.arange(6, dtype=np.float32).tolist())
    given = [helper.make_tensor_value_info("x", kind, ["batch", 2])]
    graph = helper.make_graph(nodes, "scores", given, [made], [weights])
    domains = [helper.make_opsetid("", 18), helper.make_opsetid("ai.onnx.ml", 3)]
    return helper.make_model(graph, opset_imports=domains, ir_version=10)


def run(model: ModelProto) -> np.ndarray:
    onnx.checker.check_model(model, full_check=True)
    return np.asarray(ReferenceEvaluator(model).run(None, {"x": np.array([[1, 2], [3, 4]], np.float32)})[0])


def test_maps_become_the_tensor_that_they_are_made_of() -> None:
    model = scores(TensorProto.FLOAT, zipmap=True)
    assert "without ZipMap" in with_plain_ends(model)[0]
    assert dimensions_of(model.graph.output[0]) == ("scores.0", 3)
    assert run(model).tolist() == [[6, 9, 12], [12, 19, 26]]


def test_bfloat16_at_the_ends_becomes_float32() -> None:
    model = scores(TensorProto.BFLOAT16, zipmap=False)
    assert [said.split("'")[1] for said in with_plain_ends(model)] == ["x", "scores"]
    assert [one.type.tensor_type.elem_type for one in (*model.graph.input, *model.graph.output)] == [1, 1]
    assert run(model).tolist() == [[6, 9, 12], [12, 19, 26]]


def test_a_file_with_ordinary_ends_stays_as_it_is() -> None:
    model = two_outputs()
    before = model.SerializeToString()
    assert with_plain_ends(model) == []
    assert model.SerializeToString() == before


def test_an_export_in_fp16_beyond_its_rounding_is_not_judged_and_never_called_wrong() -> None:
    assert undecided(5e-4, 4.9e-4, "fp16").startswith("not judged: it computes in fp16")
    assert undecided(5e-2, 4.9e-4, "fp16") == ""  # further away than its precision explains
