"""Operations and bytes of graphs: by hand on small ones, compared with PyTorch's own counter on whole models."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import onnx.helper as make
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import TensorProto
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from assay.errors import ArtifactError
from assay.export.graph.count import count
from assay.export.graph.count_job import count_files
from assay.export.graph.inspect import read_model
from assay.records.results import Export
from assay.records.roofline import GraphWork
from assay.registry import ARCHITECTURES, EXPORTERS
from tests.export.models import Workspace, workspace
from tests.onnx_files import onnx_model


def graph(nodes: list[onnx.NodeProto], shape: tuple[int | str, ...], **constants: np.ndarray) -> onnx.ModelProto:
    """A model from "x" to "y"."""
    return onnx_model(nodes, {"x": ["batch", *shape]}, {"y": None}, constants, ir_version=9)


def counted(model: onnx.ModelProto, batch: int = 1) -> GraphWork:
    return count(model, batch, architecture="small", size=8, exporter="by hand")


def ones(*shape: int) -> np.ndarray:
    return np.ones(shape, np.float32)


def test_a_dense_layer_by_hand() -> None:
    found = counted(graph([make.make_node("Gemm", ["x", "w", "b"], ["y"])], (5,), w=ones(5, 3), b=ones(3)), 4)
    assert found.flops == found.least_flops == 2 * 4 * 5 * 3
    assert (found.weight_bytes, found.input_bytes, found.output_bytes) == (4 * 18, 4 * 20, 4 * 12)
    assert found.traffic_bytes == 4 * (18 + 20 + 12)
    assert found.elementwise == 0


def test_a_transposed_gemm_sums_over_its_rows() -> None:
    node = make.make_node("Gemm", ["x", "w"], ["y"], transA=1)
    assert counted(graph([node], (5,), w=ones(4, 3)), 4).flops == 2 * 5 * 4 * 3


def test_each_operator_moves_what_it_touches_and_views_move_nothing() -> None:
    nodes = [
        make.make_node("Relu", ["x"], ["a"]),
        make.make_node("Flatten", ["a"], ["b"]),
        make.make_node("MatMul", ["b", "w"], ["y"]),
    ]
    found = counted(graph(nodes, (2, 3), w=ones(6, 7)))
    assert found.elementwise == 6
    assert found.flops == 2 * 6 * 7
    assert found.traffic_bytes == 4 * ((6 + 6) + (6 + 42 + 7))
    assert [layer.operator for layer in found.layers] == ["MatMul"]


def test_values_made_only_of_constants_cost_nothing_and_are_weights() -> None:
    nodes = [make.make_node("Transpose", ["w"], ["t"]), make.make_node("MatMul", ["x", "t"], ["y"])]
    found = counted(graph(nodes, (5,), w=ones(3, 5)))
    assert (found.flops, found.weight_bytes, found.traffic_bytes) == (30, 60, 4 * (5 + 15 + 3))


def test_einsum_is_a_product_over_all_its_indices() -> None:
    node = make.make_node("Einsum", ["x", "w"], ["y"], equation="bij,jk->bik")
    assert counted(graph([node], (2, 3), w=ones(3, 4)), 5).flops == 2 * 5 * 2 * 3 * 4


def test_operators_with_loops_are_said_to_be_uncounted() -> None:
    node = make.make_node("LSTM", ["x", "w", "r"], ["y"], hidden_size=2)
    found = counted(graph([node], (3, 4), w=ones(1, 8, 4), r=ones(1, 8, 2)))
    assert found.uncounted == {"LSTM": 1}


@settings(max_examples=60)
@given(
    image=st.tuples(st.integers(5, 9), st.integers(5, 9)),
    window=st.tuples(st.integers(1, 3), st.integers(1, 3)),
    stride=st.integers(1, 3),
    dilation=st.integers(1, 2),
    padding=st.one_of(
        st.sampled_from(["SAME_UPPER", "SAME_LOWER", "VALID"]), st.lists(st.integers(0, 2), min_size=4, max_size=4)
    ),
    groups=st.sampled_from([1, 2]),
    batch=st.integers(1, 3),
)
def test_a_convolution_against_one_that_counts_itself(
    image: tuple[int, int],
    window: tuple[int, int],
    stride: int,
    dilation: int,
    padding: str | list[int],
    groups: int,
    batch: int,
) -> None:
    """With ones everywhere, each output is the number of multiply-adds on the real inputs it depends on."""
    how = {"auto_pad": padding} if isinstance(padding, str) else {"pads": padding}
    if isinstance(padding, str) and padding != "VALID" and dilation > 1:
        dilation = 1  # ONNX Runtime refuses dilated convolutions with automatic padding
    node = make.make_node(
        "Conv", ["x", "w"], ["y"], strides=[stride] * 2, dilations=[dilation] * 2, group=groups, **how
    )
    model = graph([node], (4, *image), w=ones(6, 4 // groups, *window))
    out = _run(model, ones(batch, 4, *image))
    found = counted(model, batch)
    assert found.least_flops == 2 * int(out.sum())
    assert found.flops == 2 * out.size * (4 // groups) * window[0] * window[1]


def _run(model: onnx.ModelProto, image: np.ndarray) -> np.ndarray:
    import onnxruntime  # noqa: PLC0415

    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    out = session.run(None, {"x": image})[0]
    assert isinstance(out, np.ndarray)
    return out


def test_a_shape_that_does_not_follow_is_refused_in_words() -> None:
    reshape = graph([make.make_node("Reshape", ["x", "s"], ["y"])], (4,))
    reshape.graph.input.append(make.make_tensor_value_info("s", TensorProto.INT64, [2]))
    with pytest.raises(ArtifactError, match=r"does not follow|cannot be inferred"):
        counted(reshape)


def test_a_file_that_is_not_a_model_gives_a_reason_for_every_batch(tmp_path: Path) -> None:
    (tmp_path / "model.onnx").write_bytes(b"nothing of the kind")
    export = Export(
        architecture="bloodnet", size=28, exporter="tf2onnx", status="ok", weights="", opset_asked=18, seconds=0
    )
    found = count_files([(tmp_path / "model.onnx", export)], (1, 32))
    assert [(one.batch, one.flops) for one in found] == [(1, 0), (32, 0)]
    assert all("model.onnx" in one.reason for one in found)


@pytest.fixture(scope="module")
def bloodnet(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    return workspace("bloodnet", tmp_path_factory)


def test_shapes_follow_through_arithmetic_that_onnx_does_not_follow() -> None:
    """As tf2onnx flattens: the product of some dimensions, by ReduceProd."""
    nodes = [
        make.make_node("Shape", ["x"], ["shape"]),
        make.make_node("Gather", ["shape", "last"], ["sizes"]),
        make.make_node("ReduceProd", ["sizes"], ["size"], keepdims=1),
        make.make_node("Concat", ["rest", "size"], ["wanted"], axis=0),
        make.make_node("Reshape", ["x", "wanted"], ["flat"]),
        make.make_node("MatMul", ["flat", "w"], ["y"]),
    ]
    constants = {"last": np.array([1, 2]), "rest": np.array([-1]), "w": ones(6, 4)}
    assert counted(graph(nodes, (2, 3), **constants), 5).flops == 2 * 5 * 6 * 4


def test_work_grows_with_the_batch_and_weights_do_not(bloodnet: Workspace) -> None:
    model = read_model(bloodnet.model("torch-script"))
    one, five = counted(model, 1), counted(model, 5)
    assert (five.flops, five.least_flops) == (5 * one.flops, 5 * one.least_flops)
    assert (five.input_bytes, five.output_bytes) == (5 * one.input_bytes, 5 * one.output_bytes)
    assert five.weight_bytes == one.weight_bytes
    activations = one.traffic_bytes - one.weight_bytes
    assert five.traffic_bytes - five.weight_bytes == 5 * activations
    assert one.least_flops < one.flops


def test_a_whole_model_against_pytorchs_own_counter(bloodnet: Workspace) -> None:
    assert counted(read_model(bloodnet.model("torch-script")), 3).flops == flops_by_pytorch(bloodnet, 3)


@pytest.mark.slow
@pytest.mark.parametrize("exporter", sorted(EXPORTERS))
@pytest.mark.parametrize("architecture", sorted(ARCHITECTURES))
def test_every_route_against_pytorchs_own_counter(
    architecture: str, exporter: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    place = workspace(architecture, tmp_path_factory)
    if place.export(exporter).status != "ok":
        pytest.skip("this route gives no file for this architecture, which its own tests are about")
    found = counted(read_model(place.model(exporter)), 3)
    assert not found.uncounted
    assert found.flops == flops_by_pytorch(place, 3)


def flops_by_pytorch(place: Workspace, batch: int) -> int:
    """The count of `torch.utils.flop_counter` while the model runs."""
    from assay.train.models.on_torch import build  # noqa: PLC0415

    model = build(place.spec).eval()
    images = torch.zeros(batch, place.spec.channels, place.spec.size, place.spec.size)
    # Attention in its parts: the counter knows the matrix products, not the fused operator for processors.
    with sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False) as counter, torch.no_grad():
        model(images)
    return int(counter.get_total_flops())
