"""Pairs of ONNX files and inputs that cannot be audited: one message each, exit 2, and no older record is lost."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from assay.bench.auditing.pairs.pair import PairRequest, audit_pair
from assay.errors import AssayError, InputError
from assay.export.pairs.pair_inputs import OnnxValue, check_same, draw_inputs, read_inputs
from tests.bench.cli.test_cli import one_line_error
from tests.command import command
from tests.export.pairs.pair_models import WIDTH, save_classifier

IMAGE = OnnxValue("image", "float32", ("batch", WIDTH))


def truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:200])


def remove(path: Path) -> None:
    path.unlink()


def rename_the_input(path: Path) -> None:
    save_classifier(path, image="picture")


def rename_the_output(path: Path) -> None:
    save_classifier(path, logits="scores")


def widen_the_input(path: Path) -> None:
    model = onnx.load(path)
    model.graph.input[0].type.tensor_type.shape.dim[1].dim_value = WIDTH + 1
    onnx.save(model, path)


def halve_the_type(path: Path) -> None:
    model = onnx.load(path)
    model.graph.input[0].type.tensor_type.elem_type = TensorProto.FLOAT16
    onnx.save(model, path)


def add_an_output(path: Path) -> None:
    model = onnx.load(path)
    model.graph.output.append(helper.make_tensor_value_info("c", TensorProto.FLOAT, ["batch", WIDTH]))
    onnx.save(model, path)


def external_data_elsewhere(path: Path) -> None:
    model = onnx.load(path)
    tensor = model.graph.initializer[0]
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value="../weights.bin")
    path.write_bytes(model.SerializeToString())


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (truncate, r"candidate\.onnx"),
        (remove, "There is no ONNX file"),
        (rename_the_input, "different inputs"),
        (rename_the_output, "different outputs"),
        (widen_the_input, "differ in input 'image'"),
        (halve_the_type, "differ in input 'image'"),
        (add_an_output, "different outputs"),
        (external_data_elsewhere, r"candidate\.onnx cannot be read"),
    ],
)
def test_a_candidate_that_cannot_be_compared_is_refused(
    spoil: Callable[[Path], None], words: str, tmp_path: Path
) -> None:
    reference = save_classifier(tmp_path / "reference.onnx")
    candidate = save_classifier(tmp_path / "candidate.onnx")
    spoil(candidate)
    with pytest.raises(AssayError, match=words) as caught:
        audit_pair(PairRequest(reference, candidate, None, {}))
    assert caught.value.exit_code == 2


def test_a_candidate_that_does_not_run_fails_the_audit(tmp_path: Path) -> None:
    reference = save_classifier(tmp_path / "reference.onnx")
    model = onnx.load(save_classifier(tmp_path / "candidate.onnx"))
    model.graph.node[0].op_type = "NoSuchOperator"
    onnx.save(model, tmp_path / "candidate.onnx")
    found = audit_pair(PairRequest(reference, tmp_path / "candidate.onnx", None, {}))
    assert not found.passed
    assert any(
        "was not audited: " in reason and "has the operator NoSuchOperator, which is not part of ONNX" in reason
        for reason in found.reasons
    )


@pytest.mark.parametrize(
    ("arrays", "words"),
    [
        ({}, "does not hold the model's inputs"),
        ({"picture": np.zeros((2, WIDTH), np.float32)}, "does not hold the model's inputs"),
        ({"image": np.zeros((0, WIDTH), np.float32)}, "has an empty array for input 'image'"),
        ({"image": np.zeros((2, WIDTH))}, "does not fit"),
        ({"image": np.zeros((2, WIDTH + 1), np.float32)}, "does not fit"),
        ({"image": np.zeros((2, WIDTH, 1), np.float32)}, "does not fit"),
    ],
)
def test_inputs_that_do_not_fit_are_refused(arrays: dict[str, np.ndarray], words: str, tmp_path: Path) -> None:
    path = tmp_path / "inputs.npz"
    np.savez(path, **arrays)
    with pytest.raises(InputError, match=words):
        read_inputs(path, [IMAGE])


@pytest.mark.parametrize("content", [b"", b"no archive", b"PK\x03\x04", b"\x93NUMPY\x01\x00"])
def test_a_damaged_file_of_inputs_is_named(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "inputs.npz"
    path.write_bytes(content)
    with pytest.raises(InputError, match=r"inputs\.npz"):
        read_inputs(path, [IMAGE])


def test_nan_in_the_inputs_leaves_no_reference(tmp_path: Path) -> None:
    reference = save_classifier(tmp_path / "reference.onnx")
    np.savez(tmp_path / "inputs.npz", image=np.full((2, WIDTH), np.nan, np.float32))
    with pytest.raises(InputError, match=r"'logits' is infinite or NaN throughout.*Give other inputs"):
        audit_pair(PairRequest(reference, reference, tmp_path / "inputs.npz", {}))


def test_a_dimension_without_a_size_is_asked_for() -> None:
    value = OnnxValue("image", "float32", ("batch", "width"))
    with pytest.raises(InputError, match="--dimension width=64"):
        draw_inputs([value], {})
    assert draw_inputs([value], {"width": 5, "batch": 2})["image"].shape == (2, 5)
    assert draw_inputs([value], {"width": 5})["image"].shape == (8, 5)


def test_a_type_that_cannot_be_drawn_is_refused() -> None:
    with pytest.raises(InputError, match="--inputs"):
        draw_inputs([OnnxValue("image", "complex64", (2,))], {})


def test_files_without_inputs_or_outputs_are_refused() -> None:
    with pytest.raises(InputError, match="without outputs"):
        check_same("output", [], [])


@pytest.mark.parametrize(
    "arguments",
    [
        (),
        ("--reference", "a.onnx"),
        ("study.toml", "--reference", "a.onnx", "--candidate", "b.onnx"),
        ("--reference", "a.onnx", "--candidate", "b.onnx", "--dimension", "batch"),
        ("--reference", "a.onnx", "--candidate", "b.onnx", "--dimension", "batch=0"),
    ],
)
def test_wrong_usage_exits_with_two(arguments: tuple[str, ...], tmp_path: Path) -> None:
    done = command("audit", *arguments, folder=tmp_path)
    assert done.returncode == 2
    one_line_error(done, 2)


def test_bad_input_keeps_an_older_record(tmp_path: Path) -> None:
    save_classifier(tmp_path / "a.onnx")
    pair = ("audit", "--reference", "a.onnx", "--candidate", "b.onnx", "--out", "out")
    save_classifier(tmp_path / "b.onnx")
    assert command(*pair, folder=tmp_path).returncode == 0
    record = tmp_path / "out" / "audit-b" / "audit.json"
    before = record.read_bytes()
    truncate(tmp_path / "b.onnx")
    one_line_error(command(*pair, folder=tmp_path), 2, "b.onnx")
    assert record.read_bytes() == before


def test_an_audit_record_is_not_a_model(tmp_path: Path) -> None:
    (tmp_path / "audit.onnx").write_text('{"schema_version": 1}')
    reference = save_classifier(tmp_path / "reference.onnx")
    with pytest.raises(InputError, match=r"audit\.onnx"):
        audit_pair(PairRequest(reference, tmp_path / "audit.onnx", None, {}))
