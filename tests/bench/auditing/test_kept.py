"""An audit of one model is made once and reused as long as it is whole and nothing that determines it has changed."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from pydantic import JsonValue

from assay.bench.auditing.kept import Identity, determined_by, kept_or_made
from assay.bench.timing.workers import Candidate
from assay.infer.runtime import ModelFiles
from assay.records.audit import ModelAudit
from assay.spec import ModelSpec
from assay.store import Store
from assay.train.built import BuiltModel
from tests.bench.report.sample_audit import sample_audit


def making(audit: ModelAudit, calls: list[str]) -> Callable[[], ModelAudit]:
    def make() -> ModelAudit:
        calls.append(audit.name)
        return audit

    return make


def test_a_passing_audit_is_read_again_whole(tmp_path: Path) -> None:
    (audit,) = sample_audit(wrong=False).models
    inputs: dict[str, JsonValue] = {"models": "a"}
    calls: list[str] = []
    assert kept_or_made(Store(tmp_path), inputs, making(audit, calls)) == audit
    assert kept_or_made(Store(tmp_path), inputs, making(audit, calls)) == audit
    assert len(calls) == 1


def test_other_inputs_are_another_audit_and_both_are_kept(tmp_path: Path) -> None:
    (audit,) = sample_audit(wrong=False).models
    calls: list[str] = []
    for name in ("a", "b", "a", "b"):
        kept_or_made(Store(tmp_path), {"models": name}, making(audit, calls))
    assert len(calls) == 2


def test_one_that_lacks_something_or_left_a_repro_is_made_again(tmp_path: Path) -> None:
    (located,) = sample_audit(wrong=True).models
    crashed = located.model_copy(update={"localisations": [], "missing": {"tf.eager": "it crashed"}})
    for audit in (located, crashed):
        calls: list[str] = []
        for _ in range(2):
            assert kept_or_made(Store(tmp_path), {"models": "a"}, making(audit, calls)) == audit
        assert len(calls) == 2


def test_one_that_fails_and_is_whole_is_kept(tmp_path: Path) -> None:
    (located,) = sample_audit(wrong=True).models
    audit = located.model_copy(update={"localisations": []})
    assert audit.failures()
    calls: list[str] = []
    for _ in range(2):
        assert kept_or_made(Store(tmp_path), {"models": "a"}, making(audit, calls)) == audit
    assert len(calls) == 1


def test_hashes_images_and_subjects_determine_an_audit() -> None:
    one = Candidate("torch.eager", "", ModelFiles(model=BuiltModel(spec=ModelSpec("bloodnet", 28, 8, 3))))
    found = determined_by(Identity({"weights": "0"}, {}, "data"), 40, [one], {"ort.cpu"})
    assert found == determined_by(Identity({"weights": "0"}, {}, "data"), 40, [one], {"ort.cpu"})
    others = [
        determined_by(Identity({"weights": "1"}, {}, "data"), 40, [one], {"ort.cpu"}),
        determined_by(Identity({"weights": "0"}, {}, "other data"), 40, [one], {"ort.cpu"}),
        determined_by(Identity({"weights": "0"}, {}, "data"), 0, [one], {"ort.cpu"}),
        determined_by(Identity({"weights": "0"}, {}, "data"), 40, [], {"ort.cpu"}),
        determined_by(Identity({"weights": "0"}, {}, "data"), 40, [one], {"ort.cpu.basic"}),
    ]
    assert found not in others
