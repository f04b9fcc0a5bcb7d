"""An audit on the terminal: the verdict first, and every reason once."""

from __future__ import annotations

import io

from assay.bench.words.audit import reasons_told, render
from assay.bench.words.terminal import Terminal
from assay.registry import PLAIN_TASK
from tests.bench.report.sample_audit import sample_audit


def shown(*, wrong: bool) -> str:
    stream = io.StringIO()
    render(sample_audit(wrong=wrong), Terminal(file=stream, width=200))
    return stream.getvalue()


def test_the_verdict_comes_first_and_piped_output_has_no_colour() -> None:
    for wrong, verdict in ((True, "failed"), (False, "passed")):
        said = shown(wrong=wrong)
        assert said.startswith(f"Verdict: {verdict}\n")
        assert "\x1b" not in said


def test_subjects_that_share_a_reason_are_named_together() -> None:
    audit = sample_audit(wrong=True)
    (model, *_) = audit.models
    failed = next(one for one in model.comparisons if not one.passed)
    levels = [f"candidate in onnxruntime, {level}" for level in ("no-opt", "basic", "all")]
    alike = [failed.model_copy(update={"subject": name, "reason": "outputs of shape (8, 6)"}) for name in levels]
    model = model.model_copy(update={"comparisons": alike, "propagation": [], "missing": {}})
    reasons = [f"{model.name}: {one.subject}, {one.inputs}: {one.reason}" for one in alike]
    found = reasons_told(audit.model_copy(update={"models": [model], "reasons": [*reasons, "another"]}))
    assert found == [
        f"{model.name}: candidate in onnxruntime, no-opt, basic and all, {failed.inputs}: outputs of shape (8, 6)",
        "another",
    ]


def test_plain_tensors_have_no_flips() -> None:
    assert " flips " in shown(wrong=True)
    stream = io.StringIO()
    audit = sample_audit(wrong=True)
    plain = [model.model_copy(update={"task": PLAIN_TASK}) for model in audit.models]
    render(audit.model_copy(update={"models": plain}), Terminal(file=stream, width=200))
    assert " flips " not in stream.getvalue()
