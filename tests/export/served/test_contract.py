"""The graph to deploy: pixels in, the export's own answers out, whatever the export's layout."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort
import openvino as ov
import pytest
from onnx import helper

from assay.errors import ArtifactError, ExportFailedError
from assay.export.served.contract import HALF_RANGE, SHIFT, check_contract, deployable, write_deployable
from assay.export.served.contract_job import check_answers, open_served
from assay.export.served.made import ExportContract, serve_made
from assay.numerics.served import ServedTensor
from assay.records.deployment import served_by
from assay.spec import OPENVINO_FILE, ModelSpec
from assay.train.batches import normalise
from tests.onnx_files import onnx_model, save_onnx

SPEC = ModelSpec("bloodnet", 6, 4)
PIXELS = ServedTensor(name="images", datatype="UINT8", shape=[6, 6, 3])
SHARES = ServedTensor(name="probabilities", datatype="FP32", shape=[4])
IMAGE = ServedTensor(name="image", datatype="FP32", shape=[3, 6, 6])
LOGITS = ServedTensor(name="logits", datatype="FP32", shape=[4])


def export(layout: str, *, transposes: bool = False) -> onnx.ModelProto:
    """A linear classifier with the signature of our exports; NHWC ones may begin with a transposition, as TF's do."""
    random = np.random.default_rng(0)
    weights = random.normal(size=(108, 4)).astype(np.float32)
    shape = [3, 6, 6] if layout == "NCHW" else [6, 6, 3]
    nodes = [helper.make_node("Flatten", ["moved" if transposes else "image"], ["flat"], axis=1)]
    nodes.append(helper.make_node("MatMul", ["flat", "weights"], ["logits"]))
    if transposes:
        nodes.insert(0, helper.make_node("Transpose", ["image"], ["moved"], perm=[0, 3, 1, 2]))
    return onnx_model(nodes, {"image": ["batch", *shape]}, {"logits": ["batch", 4]}, {"weights": weights}, ir_version=9)


def pixels(count: int = 5) -> np.ndarray:
    return np.random.default_rng(1).integers(0, 256, (count, 6, 6, 3), np.uint8)


def test_its_normalisation_is_the_one_that_models_are_trained_with() -> None:
    every = np.arange(256, dtype=np.uint8)
    ours = every.astype(np.float32) / np.float32(HALF_RANGE) - np.float32(SHIFT)
    np.testing.assert_array_equal(ours, normalise(every))


@pytest.mark.parametrize(("layout", "transposes"), [("NCHW", False), ("NHWC", False), ("NHWC", True)])
@pytest.mark.parametrize("batch", [1, 5])
def test_its_answers_are_those_of_the_export(layout: str, transposes: bool, batch: int, tmp_path: Path) -> None:
    model = export(layout, transposes=transposes)
    onnx.save(model, tmp_path / "export.onnx")
    write_deployable(tmp_path / "export.onnx", SPEC, layout, tmp_path / "model.onnx")
    images = pixels(batch)
    normalised = normalise(images)
    taken = normalised if layout == "NHWC" else np.ascontiguousarray(normalised.transpose(0, 3, 1, 2))
    logits = ort.InferenceSession(tmp_path / "export.onnx").run(None, {"image": taken})[0]
    session = ort.InferenceSession(tmp_path / "model.onnx")
    assert [(one.name, one.type, one.shape[1:]) for one in session.get_outputs()] == [
        ("probabilities", "tensor(float)", [4]),
        ("label", "tensor(int64)", []),
    ]
    probabilities, label = session.run(None, {"images": images})
    shares = np.exp(logits - logits.max(axis=1, keepdims=True))
    np.testing.assert_allclose(probabilities, shares / shares.sum(axis=1, keepdims=True), atol=1e-6)
    np.testing.assert_array_equal(label, logits.argmax(axis=1))


def quantised(path: Path) -> Path:
    """Write a convolution in int8 whose image is quantised to 256 levels of -1.0075 to 0.9997, as NNCF does."""
    random = np.random.default_rng(0)
    step = np.float32(2.0072 / 255)
    kernels = random.integers(-127, 128, (8, 3, 3, 3), np.int8)
    nodes = [
        helper.make_node("QuantizeLinear", ["image", "step", "zero"], ["levels"]),
        helper.make_node("DequantizeLinear", ["levels", "step", "zero"], ["on_levels"]),
        helper.make_node("DequantizeLinear", ["kernels", "kernel_step", "kernel_zero"], ["w"]),
        helper.make_node("Conv", ["on_levels", "w"], ["features"]),
        helper.make_node("GlobalAveragePool", ["features"], ["pooled"]),
        helper.make_node("Flatten", ["pooled"], ["flat"]),
        helper.make_node("MatMul", ["flat", "weights"], ["logits"]),
    ]
    constants = {
        "step": step,
        "zero": np.uint8(128),
        "kernels": kernels,
        "kernel_step": np.float32(0.01),
        "kernel_zero": np.int8(0),
        "weights": random.normal(size=(8, 4)).astype(np.float32),
    }
    return save_onnx(path, nodes, {"image": ["batch", 3, 6, 6]}, {"logits": ["batch", 4]}, constants, ir_version=9)


@pytest.mark.parametrize("runtime", ["ort.cpu", "openvino", "openvino.nncf"])
def test_an_int8_model_keeps_its_first_quantisation(runtime: str, tmp_path: Path) -> None:
    source = quantised(tmp_path / "export.onnx")
    served = tmp_path / "served" / served_by(runtime).file
    served.parent.mkdir()
    contract = ExportContract(spec=SPEC, layout="NCHW")
    if runtime == "openvino.nncf":
        ov.save_model(ov.Core().read_model(source), tmp_path / OPENVINO_FILE, compress_to_fp16=False)
        source = tmp_path / OPENVINO_FILE
        serve_made(runtime, source, contract, served)
    else:
        write_deployable(source, SPEC, contract.layout, served)
    options = served_by(runtime).options_of(1, decides=True)
    images = pixels(16)
    normalised = np.ascontiguousarray(normalise(images).transpose(0, 3, 1, 2))
    timed = open_served(runtime, source, options, [IMAGE], [LOGITS])({"image": normalised}, ["logits"])[0]
    answered = open_served(runtime, served, options, [PIXELS], [SHARES])({"images": images}, ["probabilities"])[0]
    shares = np.exp(timed - timed.max(axis=1, keepdims=True))
    np.testing.assert_allclose(answered, shares / shares.sum(axis=1, keepdims=True), atol=1e-6)


def test_a_transposition_at_the_beginning_moves_to_the_pixels() -> None:
    made = deployable(export("NHWC", transposes=True), SPEC, "NHWC")
    kinds = [node.op_type for node in made.graph.node]
    assert kinds.count("Transpose") == 1
    assert kinds[0] == "Transpose"
    assert made.graph.node[0].input[0] == "images"


def test_another_signature_is_refused() -> None:
    model = export("NCHW")
    model.graph.input[0].name = "pictures"
    with pytest.raises(ExportFailedError, match="one input 'image'"):
        deployable(model, SPEC, "NCHW")


def test_a_name_that_the_contract_needs_is_refused() -> None:
    model = export("NCHW")
    model.graph.node[0].output[0] = model.graph.node[1].input[0] = "probabilities"
    with pytest.raises(ExportFailedError, match="probabilities"):
        deployable(model, SPEC, "NCHW")


def test_a_file_with_another_contract_is_refused(tmp_path: Path) -> None:
    onnx.save(export("NCHW"), tmp_path / "model.onnx")
    with pytest.raises(ExportFailedError, match="'images' of type 2"):
        check_contract(tmp_path / "model.onnx", SPEC)
    (tmp_path / "model.onnx").write_bytes(b"no model")
    with pytest.raises(ArtifactError):
        check_contract(tmp_path / "model.onnx", SPEC)


@pytest.mark.parametrize(
    ("probabilities", "label"),
    [([[0.5, 0.4]], [0]), ([[np.nan, 1]], [1]), ([[1.5, -0.5]], [0]), ([[0.2, 0.8]], [0])],
)
def test_answers_that_are_not_probabilities_are_refused(probabilities: list[list[float]], label: list[int]) -> None:
    with pytest.raises(ExportFailedError):
        check_answers(np.array(probabilities, np.float32), np.array(label))
