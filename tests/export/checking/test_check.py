"""Exports and models with known defects: each must be refused, with the reason. Files of another form are made
by hand.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
import torch.nn.functional
from onnx import TensorProto, helper, numpy_helper

from assay.export.checking.check import BATCHES, check_agreement, check_structure, unranked
from assay.export.reference.on_torch import forward
from assay.numerics.agreement import JudgeOfImages, compare
from assay.records.results import Agreement
from assay.train.weights import load_weights, save_weights
from tests.export.models import Workspace, workspace

Defect = Callable[[onnx.ModelProto], None]


@pytest.fixture(scope="module")
def resnet(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    return workspace("resnet18", tmp_path_factory)


@pytest.fixture(scope="module")
def judge(resnet: Workspace) -> JudgeOfImages:
    return judge_of(resnet)


def judge_of(place: Workspace) -> JudgeOfImages:
    return JudgeOfImages(logits_of(place, "float64"), {"torch": logits_of(place, "float32")})


def logits_of(place: Workspace, dtype: str, weights: Path | None = None) -> np.ndarray:
    file = weights or place.folder / "weights" / "weights.safetensors"
    return forward(place.spec, file, dtype)(images_of(place))


def images_of(place: Workspace) -> np.ndarray:
    return np.asarray(np.load(place.folder / "images.npy"))


def spoiled(place: Workspace, defect: Defect, folder: Path) -> Path:
    """A copy of a good export with one thing changed."""
    model = onnx.load(place.model("torch-script"))
    defect(model)
    path = folder / "spoiled.onnx"
    onnx.save(model, path)
    return path


def first(model: onnx.ModelProto, operator: str) -> onnx.NodeProto:
    return next(node for node in model.graph.node if node.op_type == operator)


def drop_the_padding_of_the_max_pool(model: onnx.ModelProto) -> None:
    next(a for a in first(model, "MaxPool").attribute if a.name == "pads").ints[:] = [0, 0, 0, 0]


def perturb_a_kernel(model: onnx.ModelProto) -> None:
    tensor = max(model.graph.initializer, key=lambda one: len(one.raw_data))
    tensor.raw_data = (numpy_helper.to_array(tensor) * np.float32(1.001)).tobytes()


def lose_one_bias(model: onnx.ModelProto) -> None:
    bias = next(t for t in model.graph.initializer if t.name == first(model, "Gemm").input[2])
    bias.raw_data = np.zeros(bias.dims, np.float32).tobytes()


def put_a_nan_into_the_head(model: onnx.ModelProto) -> None:
    bias = next(t for t in model.graph.initializer if t.name == first(model, "Gemm").input[2])
    values = numpy_helper.to_array(bias).copy()
    values[0] = np.nan
    bias.raw_data = values.tobytes()


@pytest.mark.parametrize(
    "defect",
    [
        drop_the_padding_of_the_max_pool,
        perturb_a_kernel,
        lose_one_bias,
        put_a_nan_into_the_head,
    ],
)
def test_a_file_with_wrong_numbers_is_refused(
    resnet: Workspace, judge: JudgeOfImages, defect: Defect, tmp_path: Path
) -> None:
    path = spoiled(resnet, defect, tmp_path)
    check_structure(path, resnet.spec, "NCHW")  # nothing is wrong with its form
    records = check_agreement(path, "NCHW", images_of(resnet), judge, "spoiled").agreements
    assert records
    assert not any(record.passed for record in records)
    assert all(record.reason for record in records)


def test_the_good_file_passes(resnet: Workspace, judge: JudgeOfImages) -> None:
    path = resnet.model("torch-script")
    check_structure(path, resnet.spec, "NCHW")
    records = check_agreement(path, "NCHW", images_of(resnet), judge, "good").agreements
    levels = ("disable_all", "enable_basic", "enable_extended", "enable_layout", "enable_all")
    assert sorted((record.subject, record.images) for record in records) == sorted(
        (f"good at level {level}, batch {batch}", batch) for level in levels for batch in BATCHES
    )
    assert all(record.passed for record in records)


def test_a_tensor_of_unknown_rank_is_named() -> None:
    graph = helper.make_graph(
        [helper.make_node("Reshape", ["x", "shape"], ["y"])],
        "unknown",
        [
            helper.make_tensor_value_info("x", TensorProto.FLOAT, ["batch", 4]),
            helper.make_tensor_value_info("shape", TensorProto.INT64, ["rank"]),
        ],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)])
    assert unranked(model) == ["y"]


def refused(judge: JudgeOfImages, logits: np.ndarray) -> Agreement:
    agreement = compare("defect", logits, judge.reference, judge.tolerance)
    assert not agreement.passed
    return agreement


def test_an_approximate_gelu_is_refused(
    tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = workspace("vit-tiny", tmp_path_factory)
    judge, gelu = judge_of(place), torch.nn.functional.gelu
    monkeypatch.setattr(torch.nn.functional, "gelu", lambda x: gelu(x, approximate="tanh"))
    refused(judge, logits_of(place, "float32"))


def test_another_batchnorm_epsilon_is_refused(resnet: Workspace, judge: JudgeOfImages, tmp_path: Path) -> None:
    weights = load_weights(resnet.folder / "weights" / "weights.safetensors")
    for name, array in weights.items():
        if name.endswith(".variance"):
            weights[name] = array + np.float32(1e-3 - 1e-5)
    save_weights(tmp_path / "other.safetensors", weights)
    refused(judge, logits_of(resnet, "float32", tmp_path / "other.safetensors"))


def test_half_precision_is_refused(judge: JudgeOfImages) -> None:
    """Only the logits are rounded to bf16; a run in bf16 is further off."""
    bits = judge.natives["torch"].astype(np.float32).view(np.uint32) & np.uint32(0xFFFF0000)
    refused(judge, bits.view(np.float32))
