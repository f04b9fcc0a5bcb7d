"""Which nodes of a file are on the CPU if its session is on a GPU.

Placements with CUDA are written here as ONNX Runtime reports them; a real session is on the CPU.
"""

from __future__ import annotations

from pathlib import Path

import onnx
import onnxruntime as ort
import pytest
from onnx import TensorProto, helper

from assay.infer.observing.observed import NODES_ON_CPU
from assay.infer.observing.on_ort import RECORD_PLACES, observe, told_of

ON_CUDA = [("Conv", "/conv1/Conv"), ("Gemm", "")]
MIXED = {"CUDAExecutionProvider": ON_CUDA, "CPUExecutionProvider": [("Shape", "/Shape"), ("Gather", "/Gather_1")]}


def test_a_node_on_the_cpu_is_named_where_the_session_is_on_a_gpu() -> None:
    told = told_of(MIXED, "cuda")
    assert told[NODES_ON_CPU] == "Shape /Shape, Gather /Gather_1"
    assert told["nodes of"] == "CPUExecutionProvider (Gather, Shape), CUDAExecutionProvider (Conv, Gemm)"


def test_a_session_on_the_gpu_alone_or_on_the_cpu_has_none_that_stray() -> None:
    assert told_of({"CUDAExecutionProvider": ON_CUDA}, "cuda") == {}
    assert told_of({"CPUExecutionProvider": ON_CUDA}, "cpu") == {}


def test_a_session_that_is_bound_to_a_gpu_and_runs_on_the_cpu_alone_names_its_nodes() -> None:
    assert told_of({"CPUExecutionProvider": ON_CUDA}, "cuda")[NODES_ON_CPU] == "Conv /conv1/Conv, Gemm"


def test_the_first_of_many_are_named_and_the_rest_counted() -> None:
    many = [("Cast", f"n{number}") for number in range(20)]
    assert told_of({"CPUExecutionProvider": many}, "cuda")[NODES_ON_CPU].endswith("Cast n7 and 12 more")


@pytest.mark.skipif(not hasattr(ort.InferenceSession, "get_provider_graph_assignment_info"), reason="an older runtime")
def test_a_real_session_tells_its_nodes_by_name(tmp_path: Path) -> None:
    ends = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [2, 2]) for name in "xy"]
    graph = helper.make_graph([helper.make_node("MatMul", ["x", "x"], ["y"], "product")], "g", ends[:1], ends[1:])
    file = tmp_path / "model.onnx"
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), file)
    options = ort.SessionOptions()
    options.add_session_config_entry(RECORD_PLACES, "1")
    session = ort.InferenceSession(file, options, providers=["CPUExecutionProvider"])
    (part,) = session.get_provider_graph_assignment_info()
    assert [(part.ep_name, node.name, node.op_type) for node in part.get_nodes()] == [
        ("CPUExecutionProvider", "product", "MatMul")
    ]
    seen = observe(file, session, {})
    assert (seen.device, NODES_ON_CPU in seen.facts) == ("cpu", False)
