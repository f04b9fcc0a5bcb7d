"""The allowed distance from float64: half a logit's tolerance plus the softmax's own rounding, and no more."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from scipy.special import softmax

from assay.bench.deployment.audited_images import reference_images
from assay.bench.tasks.classification.served import judge_answers, measured_of
from assay.errors import FailedError
from assay.records.audit import AuditedTolerance, ModelAudit
from assay.registry import TASK_OF_ARCHITECTURES

IMAGES, CLASSES, OF_A_LOGIT = 600, 8, 1e-4
ROUNDING = (CLASSES + 6) * 2.0**-24
ALLOWED = OF_A_LOGIT / 2 + ROUNDING
LOGITS = np.random.default_rng(0).normal(0, 3, (IMAGES, CLASSES))
LABELS = LOGITS.argmax(axis=1)


def tolerance(
    inputs: str = "test", subject: str = "", value: float = OF_A_LOGIT, problem: str = ""
) -> AuditedTolerance:
    return AuditedTolerance(
        inputs=inputs, for_subject=subject, value=value, derivation="derived", scale=10, native_errors={}, noise=0,
        problem=problem,
    )  # fmt: skip


def audit(*tolerances: AuditedTolerance) -> ModelAudit:
    return ModelAudit(
        name="bloodnet/28", task=TASK_OF_ARCHITECTURES, reference="float64", reference_check=None, models={},
        inputs=[], comparisons=[],
        tolerances=list(tolerances),
    )  # fmt: skip


def answers(off: float = 0.0) -> np.ndarray:
    """The reference's probabilities, one of them wrong by this amount."""
    found = softmax(LOGITS, axis=1)
    found[3, 2] += off
    return found


@pytest.mark.parametrize("off", [0.0, 0.99 * ALLOWED, -0.99 * ALLOWED])
def test_what_rounding_explains_passes_and_a_server_may_be_as_far_again(off: float) -> None:
    others = tolerance("hard", value=1.0), tolerance(subject="torch.eager", value=1.0)
    found = judge_answers(answers(off), LOGITS, LABELS, audit(*others, tolerance()), "fp32", 0.5)
    assert found.value == pytest.approx(ALLOWED + abs(off))
    assert "half of 0.0001 for a logit, and 8 + 6 units" in found.derivation


@pytest.mark.parametrize("off", [1.01 * ALLOWED, -1.01 * ALLOWED, float("nan")])
def test_a_larger_distance_is_refused(off: float) -> None:
    with pytest.raises(FailedError, match="probabilities are not the reference's"):
        judge_answers(answers(off), LOGITS, LABELS, audit(tolerance()), "fp32", 0.5)


def test_beside_a_reference_in_fp32_twice_the_distance_is_allowed() -> None:
    rounded = LOGITS.astype(np.float32)
    found = judge_answers(answers(1.9 * ALLOWED), rounded, LABELS, audit(tolerance()), "fp32", 0.5, in_fp32=True)
    assert found.value == pytest.approx(2 * ALLOWED)
    assert "as much again for the audited answers, compared with a reference in fp32" in found.derivation
    with pytest.raises(FailedError, match="probabilities are not the reference's"):
        judge_answers(answers(2.1 * ALLOWED), rounded, LABELS, audit(tolerance()), "fp32", 0.5, in_fp32=True)


def test_without_a_tolerance_for_the_test_images_nothing_is_deployed() -> None:
    for known in ([], [tolerance("hard")], [tolerance(subject="torch.eager")], [tolerance(problem="nobody knows")]):
        with pytest.raises(FailedError, match="no tolerance for the test images"):
            judge_answers(answers(), LOGITS, LABELS, audit(*known), "fp32", 0.5)
    with pytest.raises(FailedError, match="nobody knows"):
        judge_answers(answers(), LOGITS, LABELS, audit(tolerance(problem="nobody knows")), "fp32", 0.5)


def test_reduced_precision_is_judged_by_its_policy_and_by_the_spread_of_right_evaluations() -> None:
    coarse = answers().astype(np.float16).astype(np.float32)
    found = judge_answers(coarse, LOGITS, LABELS, audit(), "fp16", 0.25)
    assert found.value == pytest.approx(0.5 + ROUNDING)
    swapped = coarse[:, ::-1]
    with pytest.raises(FailedError, match=r"does not meet the policy.*changes class"):
        judge_answers(swapped, LOGITS, LABELS, audit(), "fp16", 0.25)


def test_logits_that_differ_by_a_constant_give_the_same_answers() -> None:
    """Probabilities determine logits up to a constant for each image, so both are taken relative to their log-sum."""
    found = measured_of(answers().astype(np.float32), LOGITS + 100 * np.arange(IMAGES)[:, None], LABELS)
    assert found.max_absolute < 1e-4
    assert found.classes is not None
    accuracy = found.classes.accuracy
    assert accuracy is not None
    assert (accuracy.lost, accuracy.gained, accuracy.images) == (0, 0, IMAGES)


def test_an_answer_of_zero_is_a_number() -> None:
    """The logarithm of the smallest number above zero, 2^-149, replaces it."""
    found = measured_of(np.array([[1.0, 0.0]], np.float32), np.array([[0.0, -10.0]]), np.array([0]))
    assert found.not_finite == 0
    assert found.max_absolute == pytest.approx(149 * np.log(2) - 10, rel=1e-3)


def test_images_are_written_as_exports_take_them(tmp_path: Path) -> None:
    images = np.random.default_rng(1).integers(0, 256, (300, 4, 4, 3), np.uint8)
    reference_images(images, tmp_path / "images.npy")
    found = np.load(tmp_path / "images.npy")
    assert (found.dtype, found.shape) == (np.dtype("<f4"), images.shape)
    assert found == pytest.approx(images / 127.5 - 1, abs=1e-6)
