"""Nodes that precede their inputs are sorted; some tools leave this to the reader of the file."""

from __future__ import annotations

from pathlib import Path

import onnx
from hypothesis import given
from hypothesis import strategies as st
from onnx import GraphProto, TensorProto, helper

from assay.export.graph.inspect import read_model
from assay.export.graph.on_onnx_order import put_in_order


def chain(order: list[int]) -> GraphProto:
    nodes = [helper.make_node("Relu", [f"v{one}"], [f"v{one + 1}"], name=str(one)) for one in order]
    ends = [helper.make_tensor_value_info(f"v{one}", TensorProto.FLOAT, [2]) for one in (0, len(order))]
    return helper.make_graph(nodes, "chain", ends[:1], ends[1:])


@given(st.permutations(range(6)))
def test_any_order_becomes_the_one_that_can_be_computed(order: list[int]) -> None:
    graph = chain(order)
    put_in_order(graph)
    assert [node.name for node in graph.node] == [str(one) for one in range(6)]


def test_ordered_and_cyclic_graphs_are_left_alone(tmp_path: Path) -> None:
    graph = chain([0, 1, 2])
    graph.node[0].input[0] = "v3"
    before = graph.SerializeToString()
    put_in_order(graph)
    assert graph.SerializeToString() == before
    model = helper.make_model(chain([2, 0, 1]), opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
    onnx.save(model, tmp_path / "model.onnx")
    assert [node.name for node in read_model(tmp_path / "model.onnx").graph.node] == ["0", "1", "2"]
