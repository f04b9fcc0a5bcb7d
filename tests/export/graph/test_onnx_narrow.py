"""Which parts of an ONNX file are computed in fp16 or bf16, and which are only stored in it."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from onnx import ModelProto, NodeProto, TensorProto, helper

from assay.export.graph.on_onnx_narrow import narrow_arithmetic
from tests.onnx_files import onnx_model

HALF, BRAIN, FULL, BOOL = TensorProto.FLOAT16, TensorProto.BFLOAT16, TensorProto.FLOAT, TensorProto.BOOL


def made(*nodes: NodeProto, takes: int = FULL, gives: int = FULL, weights: int = HALF) -> ModelProto:
    x, y = (helper.make_tensor_value_info(name, kind, [None, 4]) for name, kind in (("x", takes), ("y", gives)))
    return onnx_model(nodes, [x], [y], {"w": np.ones((4, 4), helper.tensor_dtype_to_np_dtype(weights))})


def cast(source: str, target: str, to: int) -> NodeProto:
    return helper.make_node("Cast", [source], [target], to=to)


def node(operator: str, *names: str) -> NodeProto:
    return helper.make_node(operator, names[:-1], names[-1:])


INSIDE = helper.make_graph([node("Exp", "h", "e")], "inside", [], [helper.make_tensor_value_info("e", HALF, None)])
IF = helper.make_node("If", ["c"], ["y"], then_branch=INSIDE, else_branch=INSIDE)


@pytest.mark.parametrize(
    ("model", "named"),
    [
        (made(node("MatMul", "x", "w", "y"), takes=HALF, gives=HALF), "fp16"),
        (made(node("MatMul", "x", "w", "y"), takes=BRAIN, gives=BRAIN, weights=BRAIN), "bf16"),
        (made(node("MatMul", "x", "w", "y"), weights=FULL), ""),
        (made(cast("w", "wide", FULL), node("MatMul", "x", "wide", "y")), ""),  # only stored
        (made(cast("x", "h", HALF), node("MatMul", "h", "w", "m"), cast("m", "y", FULL)), "fp16"),
        (made(cast("x", "h", BRAIN), cast("h", "y", FULL)), "bf16"),  # rounded on the way
        (made(cast("x", "h", HALF), node("Less", "h", "w", "c"), cast("c", "y", FULL)), "fp16"),
        (made(node("Gather", "w", "x", "h"), cast("h", "y", FULL), takes=TensorProto.INT64), ""),
        (made(cast("x", "h", HALF), node("Greater", "h", "w", "c"), IF, gives=HALF), "fp16"),
        (made(node("Exp", "x", "y"), takes=TensorProto.DOUBLE, gives=TensorProto.DOUBLE, weights=FULL), ""),
    ],
)
def test_values_rounded_to_a_narrow_type_are_computed_in_it(model: ModelProto, named: str) -> None:
    assert narrow_arithmetic(model) == named


def test_functions_are_looked_into() -> None:
    body = helper.make_function("mine", "Half", ["a"], ["b"], [cast("a", "h", HALF), cast("h", "b", FULL)],
                                [helper.make_opsetid("", 18)])  # fmt: skip
    model = made(helper.make_node("Half", ["x"], ["y"], domain="mine"))
    model.functions.append(body)
    model.opset_import.append(helper.make_opsetid("mine", 1))
    onnx.checker.check_model(model)
    assert narrow_arithmetic(model) == "fp16"
