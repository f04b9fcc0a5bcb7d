"""The audit of a whole small study through the installed command."""

from __future__ import annotations

from pathlib import Path

import pytest

from assay.bench.tasks.classification.audit_page import MOST_SHOWN
from assay.records.audit import Audit, read_audit
from assay.store import file_sha256
from tests.bench.cli.test_cli import assay
from tests.small_study import small_study

STUDY = small_study(
    limit=128,
    train={"frameworks": ["torch"], "batch_size": 32, "parity_steps": 0},
    export={"exporters": ["torch-script"]},
    bench={"runtimes": ["torch.eager", "jax.jit", "ort.cpu", "null"]},
)
LEVELS = {f"ort.cpu{level}@torch-script" for level in ("", ".no-opt", ".basic", ".extended")}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("audit")
    (made / "small.toml").write_text(STUDY)
    return made


@pytest.fixture(scope="module")
def audit(folder: Path) -> Audit:
    done = assay("audit", "small.toml", "--images", "40", "--json", folder=folder)
    assert done.returncode in (0, 1), done.stderr
    return Audit.model_validate_json(done.stdout)


@pytest.mark.slow
def test_every_runtime_and_level_agrees_on_every_input(audit: Audit) -> None:
    (model,) = audit.models
    assert [one.name for one in model.inputs] == ["test", "hard", "extreme", "boundary", "special"]
    assert (model.inputs[0].images, model.inputs[0].sampled_from) == (40, 128)
    assert {one.subject for one in model.comparisons} == {"torch.eager", "jax.jit", *LEVELS}
    assert [one.reason for one in model.comparisons if not one.passed] == []
    assert {one.delivered for one in model.comparisons} == {"fp32"}
    assert model.missing == {}
    assert {one.subject for one in model.ran} == {one.subject for one in model.comparisons}
    asked = {(one.asked_device, one.asked_precision) for one in model.ran}
    assert {(one.device, one.precision) for one in model.ran} == asked == {("cpu", "fp32")}
    assert {one.unseen for one in model.ran} == {""}
    assert model.split is not None  # 40 of 128 images were run in fp32; the reference is known on all
    assert (model.split.images, len(model.split.narrow)) == (128, 32)
    assert [one.margin for one in model.split.narrow] == sorted(one.margin for one in model.split.narrow)
    assert model.reference_check is not None
    assert model.reference_check <= 1e-12


@pytest.mark.slow
def test_special_values_and_determinism_are_on_record_for_all(audit: Audit) -> None:
    (model,) = audit.models
    subjects = {one.subject for one in model.comparisons}
    assert {one.subject for one in model.propagation} == subjects
    assert {one.subject for one in model.determinism} == subjects
    assert next(one for one in model.propagation if one.subject == "torch.eager").passed
    losing = [one for one in model.propagation if not one.passed]
    assert all(one.is_the_runtimes_own for one in losing)
    assert len(audit.findings) >= len(losing)
    assert (audit.verdict, audit.reasons) == ("passed", [])
    assert model.failures(strict_nan=True) == [str(one) for one in losing]


@pytest.mark.slow
def test_every_flip_has_its_image_and_the_page_is_beside_the_record(audit: Audit, folder: Path) -> None:
    (model,) = audit.models
    flips = {
        (one.inputs, flip.image)
        for one in model.comparisons
        if one.measured and one.measured.classes
        for flip in one.measured.classes.flips
    }
    assert {(one.inputs, one.image) for one in model.flipped} == flips
    page = (folder / "artifacts" / "small" / "audit.html").read_text()
    assert page.count("data:image/png;base64,") == min(len(flips), MOST_SHOWN)
    assert audit.notice in page


@pytest.mark.slow
def test_it_names_files_by_hash_and_no_path_of_this_machine(audit: Audit, folder: Path) -> None:
    (model,) = audit.models
    weights = folder / "artifacts" / "small" / "weights" / "bloodnet-28-torch-s0" / "weights.safetensors"
    assert model.models["weights"] == file_sha256(weights)
    assert str(folder) not in audit.model_dump_json()
    assert audit.command == "assay audit small.toml --images 40"


@pytest.mark.slow
def test_the_same_artifacts_give_the_same_verdict(audit: Audit, folder: Path) -> None:
    done = assay("audit", "small.toml", "--images", "40", folder=folder)
    again = read_audit(folder / "artifacts" / "small" / "audit.json")
    assert (again.verdict, again.reasons) == (audit.verdict, audit.reasons)
    assert [one.sha256 for one in again.models[0].inputs] == [one.sha256 for one in audit.models[0].inputs]
    assert f"Verdict: {again.verdict}" in done.stdout


@pytest.mark.slow
def test_a_changed_onnx_file_is_refused(audit: Audit, folder: Path) -> None:
    (file,) = (folder / "artifacts" / "small" / "onnx").glob("*/model.onnx")
    before = file.read_bytes()
    file.write_bytes(before[:-1] + bytes([before[-1] ^ 1]))
    try:
        done = assay("audit", "small.toml", folder=folder)
    finally:
        file.write_bytes(before)
    assert done.returncode == 2
    assert "is not the file that was written" in done.stderr
    assert read_audit(folder / "artifacts" / "small" / "audit.json").models[0].name == audit.models[0].name
