"""The node at which a file goes wrong is found, despite renamed values and moved dimensions."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import helper

from assay.export.localise.on_onnx_localize import localise
from tests.export.models import Workspace, workspace
from tests.export.pairs.pair_models import (
    WIDTH,
    Weights,
    one_ulp,
    save_classifier,
    swapped_class,
    to_bf16,
    transposed,
    wrong_sign,
)
from tests.onnx_files import save_onnx


@pytest.fixture
def inputs(tmp_path: Path) -> Path:
    np.savez(tmp_path / "inputs.npz", image=np.random.default_rng(0).normal(size=(8, WIDTH)).astype(np.float32))
    return tmp_path / "inputs.npz"


@pytest.mark.parametrize(
    ("change", "node"),
    [(transposed, "second_matmul"), (wrong_sign, "add"), (swapped_class, "second_matmul"), (to_bf16, "first_matmul")],
)
def test_a_wrong_weight_is_found_at_its_node(
    change: Callable[[Weights], None], node: str, inputs: Path, tmp_path: Path
) -> None:
    reference = save_classifier(tmp_path / "reference.onnx")
    (found,) = localise(reference, save_classifier(tmp_path / "candidate.onnx", change), inputs)
    assert found.node == node
    assert found.error_before < 1e-9
    assert found.reference_nodes == [f"{found.operator}()"]


@pytest.mark.parametrize("change", [None, one_ulp])
def test_a_right_file_goes_wrong_nowhere(
    change: Callable[[Weights], None] | None, inputs: Path, tmp_path: Path
) -> None:
    reference = save_classifier(tmp_path / "reference.onnx")
    assert localise(reference, save_classifier(tmp_path / "candidate.onnx", change), inputs) == []


def pool_model(path: Path, pads: list[int], *, moved: bool) -> Path:
    """A convolution, Relu, max-pool and mean; `moved` takes and pools the image with its dimensions permuted."""
    weight = np.random.default_rng(1).normal(0, 0.3, (4, 3, 3, 3)).astype(np.float32)
    moves = [helper.make_node("Transpose", ["image"], ["nchw"], perm=[0, 3, 1, 2])]
    pooled = helper.make_node("MaxPool", ["r"], ["p"], name="pool", kernel_shape=[3, 3], strides=[2, 2], pads=pads)
    again = [
        helper.make_node("Transpose", ["r"], ["s"], perm=[0, 1, 3, 2]),
        helper.make_node("Transpose", ["s"], ["t"], perm=[0, 1, 3, 2]),
    ]
    if moved:
        pooled.input[0] = "t"
    return save_onnx(
        path,
        [
            *moves,
            helper.make_node("Conv", ["nchw", "w"], ["c"], pads=[1, 1, 1, 1]),
            helper.make_node("Relu", ["c"], ["r"]),
            *(again if moved else []),
            pooled,
            helper.make_node("GlobalAveragePool", ["p"], ["logits"]),
        ],
        {"image": ["batch", 9, 9, 3]},
        {"logits": None},
        {"w": weight},
    )


def test_a_lost_padding_is_found_behind_moved_dimensions(tmp_path: Path) -> None:
    """The defect of jax2onnx 0.17.1 in explicitly padded max-pools."""
    images = np.random.default_rng(0).normal(size=(4, 9, 9, 3)).astype(np.float32)
    np.savez(tmp_path / "inputs.npz", image=images)
    reference = pool_model(tmp_path / "reference.onnx", [1, 1, 1, 1], moved=False)
    candidate = pool_model(tmp_path / "candidate.onnx", [0, 0, 0, 0], moved=True)
    (found,) = localise(reference, candidate, tmp_path / "inputs.npz")
    assert (found.node, found.operator) == ("pool", "MaxPool")
    assert found.attributes["pads"] == "[0, 0, 0, 0]"
    assert "pads=[1, 1, 1, 1]" in found.reference_nodes[0]


def test_a_file_that_does_not_run_is_followed_to_the_node_that_refuses(inputs: Path, tmp_path: Path) -> None:
    reference = save_classifier(tmp_path / "reference.onnx")
    model = onnx.load(reference)
    model.graph.node.insert(3, helper.make_node("Transpose", ["c"], ["turned"], perm=[1, 0]))
    model.graph.node[4].input[0] = "turned"
    onnx.save(model, tmp_path / "candidate.onnx")
    (found,) = localise(reference, tmp_path / "candidate.onnx", inputs)
    assert (found.node, found.runs, found.error_after) == ("second_matmul", False, None)
    assert "no result after it" in str(found)


@pytest.fixture(scope="module")
def resnet(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    return workspace("resnet18", tmp_path_factory)


def test_a_spoiled_export_is_found_against_another_route(resnet: Workspace, tmp_path: Path) -> None:
    model = onnx.load(resnet.model("torch-script"))
    pool = next(node for node in model.graph.node if node.op_type == "MaxPool")
    next(one for one in pool.attribute if one.name == "pads").ints[:] = [0, 0, 1, 1]
    onnx.save(model, tmp_path / "spoiled.onnx")
    name = model.graph.input[0].name
    images = np.load(resnet.folder / "images.npy")[:2].transpose(0, 3, 1, 2)
    np.savez(tmp_path / "inputs.npz", **{name: np.ascontiguousarray(images)})
    found = localise(resnet.model("torch-dynamo"), tmp_path / "spoiled.onnx", tmp_path / "inputs.npz")
    assert [one.node for one in found] == [pool.name]
