"""The record of an audit: an empty comparison fails, and only records of this version are read."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from assay.errors import ArtifactError
from assay.numerics.numbers import measure
from assay.records.audit import Audit, Comparison, ModelAudit, Propagation, read_audit, reasons_of
from assay.registry import TASK_OF_ARCHITECTURES
from tests.bench.cli.test_cli import GOLDEN


def comparison(*, passed: bool = True) -> Comparison:
    return Comparison(
        subject="ort.cpu@tf2onnx",
        inputs="test",
        batch=32,
        threads=1,
        images=2,
        measured=measure(np.eye(2), np.eye(2)),
        tolerance=1e-5,
        delivered="fp32",
        passed=passed,
        reason="" if passed else "differs by 1, where 1e-05 is tolerated",
    )


def model(**changes: object) -> ModelAudit:
    whole = ModelAudit(
        name="bloodnet/28",
        task=TASK_OF_ARCHITECTURES,
        reference="PyTorch in float64",
        reference_check=1e-15,
        models={"weights": "0" * 64},
        inputs=[],
        tolerances=[],
        comparisons=[comparison()],
    )
    return whole.model_copy(update=changes)


def audit(models: list[ModelAudit]) -> Audit:
    reasons = reasons_of(models)
    return Audit(
        created="2026-01-01T00:00:00+00:00",
        assay_version="0",
        verdict="failed" if reasons else "passed",
        reasons=reasons,
        command="assay audit small.toml",
        environment={},
        models=models,
        seconds={},
    )


def test_agreement_everywhere_passes() -> None:
    assert audit([model()]).passed


@pytest.mark.parametrize(
    ("models", "words"),
    [
        ([], "no model was available to audit"),
        ([model(comparisons=[])], "nothing was compared"),
        ([model(), model(comparisons=[comparison(passed=False)])], "differs by 1"),
        ([model(missing={"the export by jax2onnx": "it crashed"})], "was not audited: it crashed"),
        (
            [model(propagation=[Propagation(subject="a", inputs=["x"], swallowed=["x"], invented=[], passed=False)])],
            "a turns NaN or infinity into numbers on: x",
        ),
    ],
)
def test_every_reason_fails_the_audit_and_is_given(models: list[ModelAudit], words: str) -> None:
    found = audit(models)
    assert not found.passed
    assert any(words in reason for reason in found.reasons)


def test_an_audit_that_compared_nothing_is_empty() -> None:
    nothing = model(comparisons=[])
    assert audit([nothing, nothing]).is_empty
    missing = model(comparisons=[], missing={"the export by jax2onnx": "it crashed"})
    for models in ([], [model()], [nothing, model()], [missing], [model(comparisons=[comparison(passed=False)])]):
        assert not audit(models).is_empty


def test_what_was_not_judged_is_a_finding_with_its_furthest_subject() -> None:
    reference = np.eye(2) * 10
    near, far = (
        comparison().model_copy(
            update={
                "subject": subject,
                "inputs": "hard",
                "precision": "int8",
                "measured": measure(reference, reference * share),
                "note": "integers have a range",
            }
        )
        for subject, share in (("ort.cpu@a+int8", 0.9), ("ort.cpu@b+int8", 0.2))
    )
    found = audit([model(comparisons=[comparison(), near, far])])
    assert found.passed
    (finding,) = found.models[0].findings()
    assert finding == (
        "int8 on the inputs 'hard' is recorded and not judged: integers have a range; the furthest, ort.cpu@b+int8, "
        "is 80% of the largest output from the reference"
    )


def test_it_is_read_as_it_was_written(tmp_path: Path) -> None:
    path = tmp_path / "audit.json"
    path.write_text(audit([model()]).model_dump_json())
    assert read_audit(path) == audit([model()])


@pytest.mark.parametrize("content", ["", "{", "[]", "{}", None])
def test_a_file_that_is_not_an_audit_is_refused(content: str | None, tmp_path: Path) -> None:
    path = tmp_path / "audit.json"
    if content is not None:
        path.write_text(content)
    with pytest.raises(ArtifactError, match=r"audit\.json"):
        read_audit(path)


def test_another_version_is_refused(tmp_path: Path) -> None:
    record = json.loads(audit([model()]).model_dump_json()) | {"schema_version": 5}
    path = tmp_path / "audit.json"
    path.write_text(json.dumps(record))
    with pytest.raises(ArtifactError, match=r"not an audit of version 4.*schema_version"):
        read_audit(path)


def test_what_was_measured_of_classes_is_found_in_an_audit_of_version_3() -> None:
    """Both files describe the same outputs, and were written by the code of these versions."""
    older, today = (read_audit(GOLDEN / f"audit-v{version}.json") for version in (3, 4))
    assert older.schema_version == today.schema_version == 4
    assert older.models == today.models
    found = [one.measured.classes for one in older.models[0].comparisons if one.measured]
    assert all(one is not None and one.accuracy is not None for one in found)


def test_an_older_comparison_that_measured_nothing_is_read(tmp_path: Path) -> None:
    record = json.loads((GOLDEN / "audit-v3.json").read_text())
    record["models"][0]["comparisons"][0] |= {"measured": None, "passed": False, "reason": "it crashed"}
    (tmp_path / "audit.json").write_text(json.dumps(record))
    assert read_audit(tmp_path / "audit.json").models[0].comparisons[0].measured is None
