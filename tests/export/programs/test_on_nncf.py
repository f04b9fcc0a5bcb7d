"""int8 by NNCF: OpenVINO computes it in integers, or it is refused; accuracy control ends in time and reports how."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import onnx
import openvino as ov
import pytest
from onnx import TensorProto, helper, numpy_helper

from assay.errors import ArtifactError, InputError
from assay.export.programs import on_nncf
from assay.export.programs.request import ProgramRequest
from assay.infer.runtime import ModelFiles
from assay.infer.runtimes.on_openvino import load_int8
from assay.spec import OPENVINO_FILE, Settings
from assay.train.brought.arrays import record_type
from assay.train.brought.model import Tensor
from tests.onnx_files import save_onnx
from tests.user_models import tensor, user_model

RANDOM = np.random.default_rng(0)
MODEL = user_model((tensor("rows", 3, 8, 8), tensor("more", 4, 6, 6)), (tensor("sum", 4, 6, 6),), path=Path("net.onnx"))
RECORDS = np.zeros(16, record_type(MODEL.inputs))
for one in MODEL.inputs:
    RECORDS[one.name] = RANDOM.standard_normal((16, *one.shape))


@pytest.fixture(scope="module")
def request_(tmp_path_factory: pytest.TempPathFactory) -> ProgramRequest:
    place = tmp_path_factory.mktemp("nncf")
    weights = RANDOM.standard_normal((4, 3, 3, 3)).astype(np.float32)
    save_onnx(
        place / "net.onnx",
        [helper.make_node("Conv", ["rows", "w"], ["made"]), helper.make_node("Add", ["made", "more"], ["sum"])],
        {"rows": ["batch", 3, 8, 8], "more": ["batch", 4, 6, 6]},
        {"sum": ["batch", 4, 6, 6]},
        {"w": weights},
        ir_version=9,
    )
    np.save(place / "records.npy", RECORDS)
    (place / "program").mkdir()
    return ProgramRequest(
        runtime="openvino.nncf",
        model=MODEL,
        onnx=place / "net.onnx",
        calibration=place / "records.npy",
        folder=place / "program",
    )


def files_of(asked: ProgramRequest, folder: Path) -> ModelFiles:
    return ModelFiles(model=MODEL, onnx=asked.onnx, program=folder)


def test_it_is_computed_in_integers_and_fp32_that_is_called_so_is_refused(
    request_: ProgramRequest, tmp_path: Path
) -> None:
    told = on_nncf.make_int8(request_)
    assert told["calibrated on"] == "16 calls"
    session = load_int8(files_of(request_, request_.folder), Settings())
    native = session.prepare(RECORDS[:3])
    found = session.fetch(session.run(native))
    assert session.precision == session.observe(native).precision == "int8"
    exact = ov.Core().compile_model(request_.onnx, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    right = exact({name: RECORDS[name][:3] for name in ("rows", "more")})[0].reshape(3, -1)
    error = np.linalg.norm(found - right) / np.linalg.norm(right)
    assert 1e-4 < error < 0.1
    ov.save_model(ov.Core().read_model(request_.onnx), tmp_path / OPENVINO_FILE, compress_to_fp16=False)
    with pytest.raises(ArtifactError, match=r"does not compute model.xml in int8.*found fp32 \(1 operation\)"):
        load_int8(files_of(request_, tmp_path), Settings())
    (tmp_path / OPENVINO_FILE).write_text("<net/>")
    with pytest.raises(ArtifactError, match=r"OpenVINO cannot load model.xml"):
        load_int8(files_of(request_, tmp_path), Settings())


def test_what_it_cannot_be_calibrated_with_is_said(request_: ProgramRequest, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="there are no inputs"):
        on_nncf.make_int8(request_.model_copy(update={"calibration": None}))
    np.save(tmp_path / "other.npy", np.zeros((4, 3), np.float32))
    with pytest.raises(InputError, match=r"does not fit net.onnx"):
        on_nncf.make_int8(request_.model_copy(update={"calibration": tmp_path / "other.npy"}))


def test_ranges_hold_what_every_row_has(tmp_path: Path) -> None:
    """A mean over rows of their greatest values cuts off what most rows hold: the error was 30 % here."""
    weights = [RANDOM.standard_normal(shape).astype(np.float32) / 8 for shape in ((8, 64), (64, 64))]
    graph = helper.make_graph(
        [
            helper.make_node("MatMul", ["rows", "first"], ["between"]),
            helper.make_node("Relu", ["between"], ["positive"]),
            helper.make_node("MatMul", ["positive", "second"], ["scores"]),
        ],
        "net",
        [helper.make_tensor_value_info("rows", TensorProto.FLOAT, ["batch", 8])],
        [helper.make_tensor_value_info("scores", TensorProto.FLOAT, ["batch", 64])],
        [numpy_helper.from_array(one, name) for one, name in zip(weights, ("first", "second"), strict=True)],
    )
    file = tmp_path / "net.onnx"
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9), file)
    taken = Tensor(name="rows", dtype="float32", shape=(8,))
    model = MODEL.model_copy(
        update={"inputs": (taken,), "outputs": (Tensor(name="scores", dtype="float32", shape=(64,)),)}
    )
    records = np.zeros(64, record_type(model.inputs))
    records["rows"] = RANDOM.standard_normal((64, 8)) * RANDOM.uniform(0.1, 3, (64, 1))
    np.save(tmp_path / "records.npy", records)
    asked = ProgramRequest(
        runtime="openvino.nncf", model=model, onnx=file, calibration=tmp_path / "records.npy", folder=tmp_path
    )
    on_nncf.make_int8(asked)
    found, right = (
        ov.Core().compile_model(one, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})(records["rows"])[0]
        for one in (tmp_path / OPENVINO_FILE, file)
    )
    assert np.linalg.norm(found - right) / np.linalg.norm(right) < 0.03


def answering(value: float) -> ov.CompiledModel:
    """A model that adds a constant to its input."""
    parameter = ov.opset13.parameter([1, 2], np.float32)
    added = ov.opset13.add(parameter, ov.opset13.constant(np.full((1, 2), value, np.float32)))
    return ov.Core().compile_model(ov.Model([added], [parameter], "adds"), "CPU")


def test_accuracy_control_says_what_was_measured_when_its_time_is_over() -> None:
    calls = [{0: np.ones((1, 2), np.float32)}, {0: np.full((1, 2), 3, np.float32)}]
    control = on_nncf.Control(0.02, deadline=math.inf)
    assert control.likeness(answering(0), calls) == (1.0, [1.0, 1.0])
    mean, each = control.likeness(answering(0.3), calls)
    assert (mean, each) == (pytest.approx(0.8), [pytest.approx(0.7), pytest.approx(0.9)])
    assert "no further layer could be restored: an error of 20.00%" in control.told["accuracy control"]
    control.deadline = 0.0
    assert control.likeness(answering(0.1), calls) == (1.0, [1.0, 1.0])
    told = control.told["accuracy control"]
    assert told.startswith("its time was over: an error of 6.67%")
    assert told.endswith("2% was requested, after 2 tries")


def test_accuracy_is_that_of_the_worst_output() -> None:
    """A large output does not hide a small one that is wrong."""

    def two(wrong: float) -> ov.CompiledModel:
        parameter = ov.opset13.parameter([1, 2], np.float32)
        large = ov.opset13.multiply(parameter, ov.opset13.constant(np.full((1, 2), 100, np.float32)))
        small = ov.opset13.multiply(parameter, ov.opset13.constant(np.full((1, 2), wrong, np.float32)))
        return ov.Core().compile_model(ov.Model([large, small], [parameter], "two"), "CPU")

    calls = [{0: np.ones((1, 2), np.float32)}]
    control = on_nncf.Control(0.02, deadline=math.inf)
    control.likeness(two(1.0), calls)
    assert control.likeness(two(0.5), calls)[0] == pytest.approx(0.5)


def test_errors_are_relative_to_the_right_values() -> None:
    zeros, ones = np.zeros(2, np.float32), np.ones(2, np.float32)
    assert on_nncf.relative_errors([zeros, ones, zeros, ones * 9], [zeros, zeros, ones, ones]) == [0, 1, 1, 1]
