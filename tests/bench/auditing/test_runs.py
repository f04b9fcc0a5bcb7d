"""The device and precision of an audit's subject are observed in a call and compared with what was requested."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from assay.bench.auditing.runs import AuditPlan, Inputs, ran_of, run_subjects
from assay.bench.machine.host import LOCAL
from assay.bench.timing.workers import Candidate
from assay.infer.commands import NOT_OBSERVED, SessionObserved
from assay.infer.runtime import ModelFiles
from assay.spec import ModelSpec
from assay.train.built import BuiltModel

MODEL = ModelFiles(model=BuiltModel(spec=ModelSpec("bloodnet", 28, 8)))


def seen(device: str = "cpu", precision: str = "fp32", computed: str = "", **facts: str) -> SessionObserved:
    return SessionObserved(device=device, precision=precision, computed=computed, model="", facts=facts)


@pytest.mark.parametrize(
    ("candidate", "device", "shown", "otherwise"),
    [
        (Candidate("torch.eager", "", MODEL), "cpu", seen(), []),
        (Candidate("torch.eager", "", MODEL), "cpu", seen(precision="bf16"), ["computed in bf16: fp32 was requested"]),
        (Candidate("jax.jit", "", MODEL), "cuda", seen("cuda", "tf32"), ["computed in tf32: fp32 was requested"]),
        (Candidate("torch.eager", "", MODEL), "cuda", seen("cpu"), ["ran on cpu: cuda was requested"]),
        (Candidate("ort.cpu", "tf2onnx", MODEL), "cuda", seen("cpu"), []),  # it runs on the CPU alone
        (Candidate("openvino.default", "tf2onnx", MODEL), "cpu", seen(precision="bf16"), []),  # it chooses by itself
        (
            Candidate("ort.cpu", "tf2onnx", MODEL.model_copy(update={"precision": "fp16"})),
            "cpu",
            seen(precision="fp16", computed="fp32"),
            [],
        ),
    ],
)
def test_a_run_that_differs_from_the_request_is_reported(
    candidate: Candidate, device: str, shown: SessionObserved, otherwise: list[str]
) -> None:
    ran = ran_of(candidate, device, "fp32", shown)
    assert ran.otherwise == otherwise
    assert (ran.device, ran.precision, ran.computed_in) == (shown.device, shown.precision, shown.computed)
    assert ran.asked_device == candidate.asked_device(device)
    assert ran.asked_precision == candidate.asked_precision


def test_a_runtimes_own_statement_counts_if_nothing_was_observed_and_is_compared_with_the_request() -> None:
    candidate = Candidate("torch.eager", "", MODEL)
    ran = ran_of(candidate, "cpu", "fp32", "it crashed")
    assert (ran.precision, ran.device, ran.unseen, ran.otherwise) == ("fp32", "", "it crashed", [])
    assert ran_of(candidate, "cpu", "bf16", "it crashed").otherwise == ["computed in bf16: fp32 was requested"]
    assert ran_of(candidate, "cpu", "fp32", seen("", "", **{NOT_OBSERVED: "ValueError"})).unseen == "ValueError"


def test_a_subject_of_an_audit_is_watched_in_a_call(tmp_path: Path) -> None:
    """The null runtime, which needs no framework, in a separate process."""
    np.save(tmp_path / "images.npy", np.zeros((5, 28, 28, 3), np.float32))
    inputs = Inputs("test", tmp_path / "images.npy", 5)
    plan = AuditPlan((inputs,), Inputs("special", tmp_path / "images.npy", 5), 4, "cpu", 60, host=LOCAL)
    outputs, failed, _ = run_subjects([Candidate("null", "", MODEL)], plan, tmp_path / "out", lambda *_: None)
    assert failed == {}
    [one] = outputs
    assert (one.ran.device, one.ran.precision, one.ran.unseen) == ("cpu", "fp32", "")
