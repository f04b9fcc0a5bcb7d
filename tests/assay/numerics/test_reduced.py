"""Precisions below fp32 are judged by the task's rule, and every task has the rule for numbers."""

from __future__ import annotations

import numpy as np
import pytest

from assay.errors import InputError
from assay.numerics.agreement import Tolerance, compare
from assay.numerics.classification.reduced import BY_CLASSES
from assay.numerics.numbers import Measured, measure
from assay.numerics.reduced import BY_BOXES, BY_ERROR, reason_by_error, rule_of
from assay.numerics.segmentation import BY_PIXELS
from assay.registry import TASKS

NO_TOLERANCE = Tolerance(0.0, "of fp32, which is not asked for")


def one_image(**changes: object) -> Measured:
    """The measures of outputs that are all right, with changes."""
    right = np.array([[0.0, 3.0]])
    return measure(right, right).model_copy(update=changes)


def test_outputs_may_be_off_by_half_of_the_reference() -> None:
    assert reason_by_error(one_image(rms_relative=0.5)) == ""
    assert "the error is 51% of the reference (root-mean-square), 50% is" in reason_by_error(
        one_image(rms_relative=0.51)
    )
    assert reason_by_error(one_image(not_finite=2)) == "2 outputs are not finite where the reference is"
    assert reason_by_error(one_image(lost=3)) == "3 outputs differ from the infinity or NaN of the reference"


def test_each_task_has_a_rule_and_only_classification_one_of_classes() -> None:
    """Plain numbers and pixels are not judged by which number of a row is the largest."""
    rules = {name: rule_of(name) for name in TASKS}
    assert rules == {
        "classification": BY_CLASSES, "segmentation": BY_PIXELS, "detection": BY_BOXES, "causal-lm": BY_ERROR,
        "numerical": BY_ERROR,
    }  # fmt: skip
    reference = np.array([[0.0, 5.0], [4.0, 0.0], [0.0, 6.0]])
    found = reference.copy()
    found[0] = [2.6, 2.5]
    verdicts = {name: compare("x", found, reference, NO_TOLERANCE, "int8", rule) for name, rule in rules.items()}
    assert {name: one.passed for name, one in verdicts.items()} == {
        "classification": False, "segmentation": True, "detection": True, "causal-lm": True, "numerical": True
    }  # fmt: skip
    assert "in the reference is 5 logits" in verdicts["classification"].reason
    assert "root-mean-square error" in verdicts["numerical"].derivation
    with pytest.raises(InputError):
        rule_of("regression")
