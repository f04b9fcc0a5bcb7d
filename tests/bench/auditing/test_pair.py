"""Two ONNX files through the installed command: planted errors fail, rounding passes, and all is on record."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from assay.audit import Audit, read_audit
from assay.store import file_sha256
from bench.auditing.outputs import as_rows
from bench.auditing.pair import PairRequest, audit_pair
from tests.bench.test_cli import assay
from tests.export.pair_models import (
    WIDTH,
    Weights,
    nan_weight,
    one_ulp,
    save_classifier,
    swapped_class,
    to_bf16,
    transposed,
    wrong_sign,
)


def audited(folder: Path, change: Callable[[Weights], None] | None = None, inputs: Path | None = None) -> Audit:
    reference = save_classifier(folder / "reference.onnx")
    candidate = save_classifier(folder / "candidate.onnx", change)
    return audit_pair(PairRequest(reference, candidate, inputs, {}))


@pytest.mark.parametrize("change", [None, one_ulp])
def test_the_same_model_to_rounding_passes(change: Callable[[Weights], None] | None, tmp_path: Path) -> None:
    found = audited(tmp_path, change)
    assert (found.verdict, found.reasons) == ("passed", [])
    (model,) = found.models
    assert {one.subject for one in model.comparisons} == {
        *(f"candidate in onnxruntime, {level}" for level in ("no-opt", "basic", "extended", "all")),
        *(f"reference in onnxruntime, {level}" for level in ("basic", "extended", "all")),
    }
    (tolerance,) = model.tolerances
    assert set(tolerance.native_errors) == {"onnx reference evaluator", "reference in onnxruntime, no-opt"}


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (to_bf16, "no more than bf16 keeps"),
        (transposed, "it is another function"),
        (wrong_sign, "it is another function"),
        (swapped_class, "it is another function"),
        (nan_weight, "not finite"),
    ],
)
def test_a_planted_error_fails_and_is_named(change: Callable[[Weights], None], words: str, tmp_path: Path) -> None:
    found = audited(tmp_path, change)
    assert not found.passed
    assert all("candidate in onnxruntime" in reason and words in reason for reason in found.reasons)
    assert len(found.reasons) == 4


def test_a_failed_candidate_is_localised_and_a_good_one_is_not(tmp_path: Path) -> None:
    (found,) = audited(tmp_path, wrong_sign).models[0].localisations
    assert found.node == "add"
    assert "it goes wrong at node 'add', Add()" in str(found)
    assert audited(tmp_path).models[0].localisations == []


def test_given_inputs_are_used_and_hashed(tmp_path: Path) -> None:
    images = np.random.default_rng(5).normal(size=(50, WIDTH)).astype(np.float32)
    np.savez(tmp_path / "inputs.npz", image=images)
    (tmp_path / "folder").mkdir()
    np.save(tmp_path / "folder" / "image.npy", images)
    first = audited(tmp_path, inputs=tmp_path / "inputs.npz")
    second = audited(tmp_path, inputs=tmp_path / "folder")
    assert first.models[0].comparisons == second.models[0].comparisons
    assert first.models[0].inputs[0].images == 50
    assert first.models[0].models["candidate"] == file_sha256(tmp_path / "candidate.onnx")


def test_the_same_files_give_the_same_verdict_and_measures(tmp_path: Path) -> None:
    assert audited(tmp_path, one_ulp).models == audited(tmp_path, one_ulp).models


def test_the_command_writes_the_record_and_exits_by_the_verdict(tmp_path: Path) -> None:
    save_classifier(tmp_path / "a.onnx")
    save_classifier(tmp_path / "b.onnx", wrong_sign)
    options = ("--out", "out", "--json")
    good = assay("audit", "--reference", "a.onnx", "--candidate", "a.onnx", *options, folder=tmp_path)
    assert good.returncode == 0, good.stderr
    assert Audit.model_validate_json(good.stdout) == read_audit(tmp_path / "out" / "audit-a" / "audit.json")
    bad = assay("audit", "--reference", "a.onnx", "--candidate", "b.onnx", "--out", "out", folder=tmp_path)
    assert bad.returncode == 1
    assert "Verdict: failed" in bad.stdout
    record = read_audit(tmp_path / "out" / "audit-b" / "audit.json")
    assert record.command == "assay audit --reference a.onnx --candidate b.onnx"
    assert str(tmp_path) not in record.model_dump_json()


@pytest.mark.parametrize(
    ("array", "shape"),
    [(np.zeros(()), (1, 1)), (np.zeros(5), (5, 1)), (np.zeros((2, 3, 4)), (2, 12)), (np.zeros((0, 4)), (1, 0))],
)
def test_every_output_has_rows(array: np.ndarray, shape: tuple[int, ...]) -> None:
    assert as_rows(array).shape == shape


def test_two_runtimes_on_one_file_are_compared_with_the_file_in_float64(tmp_path: Path) -> None:
    pytest.importorskip("openvino")
    file = save_classifier(tmp_path / "model.onnx")
    found = audit_pair(PairRequest(file, file, None, {}, runtimes=("all", "openvino")))
    assert {one.subject for one in found.models[0].comparisons} == {
        "candidate in onnxruntime, all",
        "candidate in openvino",
    }
    assert found.passed
    assert "--runtime ort.cpu --runtime openvino" in found.command


def test_a_runtime_in_bf16_is_followed_to_its_first_operator(tmp_path: Path) -> None:
    """A real one: OpenVINO left alone. The file is right, and ONNX Runtime computes it rightly."""
    openvino = pytest.importorskip("openvino")
    if "BF16" not in openvino.Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES"):
        pytest.skip("OpenVINO computes in fp32 on this processor")
    file = save_classifier(tmp_path / "model.onnx")
    found = audit_pair(PairRequest(file, file, None, {}, runtimes=("all", "openvino as it comes")))
    assert all("openvino as it comes" in reason for reason in found.reasons)
    (node,) = found.models[0].localisations
    assert (node.node, node.runtime) == ("first_matmul", "openvino as it comes")
    assert node.right_runtime == "onnxruntime, no-opt"
    (said,) = found.models[0].guilt
    assert said.endswith("OpenVINO as it comes, which computes in less than fp32 (told to use f32 it agrees), is wrong")
    assert "the file is right and openvino as it comes goes wrong at node 'first_matmul'" in str(node)
