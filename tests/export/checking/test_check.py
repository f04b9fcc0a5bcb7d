"""Files and models with known defects: each must be refused, with the reason."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
import torch.nn.functional
from onnx import TensorProto, helper, numpy_helper

from assay.errors import ExportFailedError
from assay.export.checking.check import BATCHES, Truth, check_agreement, check_structure, unranked
from assay.export.reference.on_torch import forward
from assay.numerics.agreement import compare
from assay.records.results import Agreement
from assay.spec import ModelSpec
from assay.train.weights import load_weights, save_weights
from tests.export.models import Workspace, workspace

Defect = Callable[[onnx.ModelProto], None]


@pytest.fixture(scope="module")
def resnet(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    return workspace("resnet18", tmp_path_factory)


@pytest.fixture(scope="module")
def truth(resnet: Workspace) -> Truth:
    return truth_of(resnet)


def truth_of(place: Workspace) -> Truth:
    images = np.load(place.folder / "images.npy")
    return Truth(images, place.logits("torch", "float64"), place.logits("torch", "float32"), "torch")


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
def test_a_file_with_wrong_numbers_is_refused(resnet: Workspace, truth: Truth, defect: Defect, tmp_path: Path) -> None:
    path = spoiled(resnet, defect, tmp_path)
    check_structure(path, resnet.spec, "NCHW")  # nothing is wrong with its form
    records = check_agreement(path, "NCHW", truth, "spoiled").agreements
    assert records
    assert not any(record.passed for record in records)
    assert all(record.reason for record in records)


def test_the_good_file_passes(resnet: Workspace, truth: Truth) -> None:
    path = resnet.model("torch-script")
    check_structure(path, resnet.spec, "NCHW")
    records = check_agreement(path, "NCHW", truth, "good").agreements
    levels = ("disable_all", "enable_basic", "enable_extended", "enable_layout", "enable_all")
    assert sorted((record.subject, record.images) for record in records) == sorted(
        (f"good at level {level}, batch {batch}", batch) for level in levels for batch in BATCHES
    )
    assert all(record.passed for record in records)


def rename_the_input(model: onnx.ModelProto) -> None:
    model.graph.input[0].name = "x"
    for node in model.graph.node:
        for place, name in enumerate(node.input):
            if name == "image":
                node.input[place] = "x"


def fix_the_batch(model: onnx.ModelProto) -> None:
    model.graph.input[0].type.tensor_type.shape.dim[0].dim_value = 1


def forget_the_image_size(model: onnx.ModelProto) -> None:
    model.graph.input[0].type.tensor_type.shape.dim[2].dim_param = "height"


def take_doubles(model: onnx.ModelProto) -> None:
    """Valid ONNX of the right names and shapes: only the type that goes in differs."""
    conv = first(model, "Conv")
    model.graph.node.insert(0, helper.make_node("Cast", [conv.input[0]], ["single"], to=TensorProto.FLOAT))
    conv.input[0] = "single"
    model.graph.input[0].type.tensor_type.elem_type = TensorProto.DOUBLE


def hide_a_rank(model: onnx.ModelProto) -> None:
    """Reshape what the head takes to as many dimensions as a sequence of unknown length says, which is two."""
    gemm = first(model, "Gemm")
    model.graph.initializer.append(numpy_helper.from_array(np.array([1, 1, 0], np.int64), "which"))
    model.graph.initializer.append(numpy_helper.from_array(np.array([[-1, 512]], np.int64), "shapes"))
    nodes = [
        helper.make_node("NonZero", ["which"], ["found"]),
        helper.make_node("Squeeze", ["found"], ["places"]),
        helper.make_node("Squeeze", ["shapes"], ["shape"]),
        helper.make_node("Gather", ["shape", "places"], ["chosen"]),
        helper.make_node("Reshape", [gemm.input[0], "chosen"], ["of some rank"]),
    ]
    place = list(model.graph.node).index(gemm)
    gemm.input[0] = "of some rank"
    for node in reversed(nodes):
        model.graph.node.insert(place, node)


def add_an_output(model: onnx.ModelProto) -> None:
    name = first(model, "ReduceMean").output[0]
    model.graph.output.append(helper.make_tensor_value_info(name, TensorProto.FLOAT, ["batch", 512]))


def use_an_operator_of_its_own(model: onnx.ModelProto) -> None:
    first(model, "Relu").domain = "com.example"
    model.opset_import.append(helper.make_opsetid("com.example", 1))


def use_an_operator_that_does_not_exist(model: onnx.ModelProto) -> None:
    first(model, "Relu").op_type = "Erfc"


def contradict_a_shape(model: onnx.ModelProto) -> None:
    name = first(model, "Gemm").output[0]
    model.graph.output[0].type.tensor_type.shape.dim[1].dim_value = 9
    assert name == model.graph.output[0].name


@pytest.mark.parametrize(
    ("defect", "words"),
    [
        (rename_the_input, "expected one input 'image', float32, .batch, 3, 28, 28.*found 'x'"),
        (fix_the_batch, "The input is not what was agreed"),
        (forget_the_image_size, "The input is not what was agreed"),
        (take_doubles, "The input is not what was agreed.*found 'image', type 11"),
        (hide_a_rank, "unknown rank.*'places'"),
        (add_an_output, "The output is not what was agreed"),
        (use_an_operator_of_its_own, r"not ONNX's.*com\.example:Relu"),
        (use_an_operator_that_does_not_exist, "checker refuses.*Erfc"),
        (contradict_a_shape, "checker refuses|Shape inference"),
    ],
)
def test_a_file_of_another_form_is_refused(resnet: Workspace, defect: Defect, words: str, tmp_path: Path) -> None:
    with pytest.raises(ExportFailedError, match=words):
        check_structure(spoiled(resnet, defect, tmp_path), resnet.spec, "NCHW")


def test_other_classes_or_another_layout_are_refused(resnet: Workspace) -> None:
    path = resnet.model("torch-script")
    with pytest.raises(ExportFailedError, match="output"):
        check_structure(path, ModelSpec("resnet18", 28, 10), "NCHW")
    with pytest.raises(ExportFailedError, match="input"):
        check_structure(path, resnet.spec, "NHWC")


def test_a_batch_of_one_inside_the_graph_is_found(resnet: Workspace, truth: Truth, tmp_path: Path) -> None:
    def flatten_to_one_image(model: onnx.ModelProto) -> None:
        gemm = first(model, "Gemm")
        shape = numpy_helper.from_array(np.array([1, 512], np.int64), "one_image")
        model.graph.initializer.append(shape)
        node = helper.make_node("Reshape", [gemm.input[0], "one_image"], ["flat"])
        gemm.input[0] = "flat"
        model.graph.node.insert(list(model.graph.node).index(gemm), node)

    with pytest.raises(ExportFailedError, match="batch 3 does not run"):
        check_agreement(spoiled(resnet, flatten_to_one_image, tmp_path), "NCHW", truth, "one image")


def test_too_few_images_compare_nothing(resnet: Workspace, truth: Truth) -> None:
    few = Truth(truth.images[:31], truth.reference[:31], truth.native[:31], "torch")
    with pytest.raises(ExportFailedError, match="32 images"):
        check_agreement(resnet.model("torch-script"), "NCHW", few, "few")


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


def refused(place: Workspace, logits: np.ndarray) -> Agreement:
    truth = truth_of(place)
    agreement = compare("defect", logits, truth.reference, truth.tolerance())
    assert not agreement.passed
    return agreement


def test_an_approximate_gelu_is_refused(
    tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = workspace("vit-tiny", tmp_path_factory)
    gelu = torch.nn.functional.gelu
    monkeypatch.setattr(torch.nn.functional, "gelu", lambda x: gelu(x, approximate="tanh"))
    run = forward(place.spec, place.folder / "weights" / "weights.safetensors", "float32")
    refused(place, run(truth_of(place).images))


def test_another_batchnorm_epsilon_is_refused(resnet: Workspace, truth: Truth, tmp_path: Path) -> None:
    weights = load_weights(resnet.folder / "weights" / "weights.safetensors")
    for name, array in weights.items():
        if name.endswith(".variance"):
            weights[name] = array + np.float32(1e-3 - 1e-5)
    save_weights(tmp_path / "other.safetensors", weights)
    refused(resnet, forward(resnet.spec, tmp_path / "other.safetensors", "float32")(truth.images))


def test_half_precision_is_refused(resnet: Workspace, truth: Truth) -> None:
    """Rounding the logits alone to bf16; a run in bf16 is further off."""
    bits = truth.native.astype(np.float32).view(np.uint32) & np.uint32(0xFFFF0000)
    refused(resnet, bits.view(np.float32))
