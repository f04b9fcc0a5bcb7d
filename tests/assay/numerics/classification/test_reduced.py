"""Classes computed in less than fp32 are judged by one policy everywhere."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from assay.numerics.agreement import Tolerance, compare
from assay.numerics.classification.measured import FLIPS_LISTED
from assay.numerics.classification.reduced import BY_CLASSES, LARGEST_FLIPPED_MARGIN, reason_against_reduced
from assay.numerics.classification.significance import compare_accuracy
from assay.numerics.numbers import Measured
from tests.measured_classes import measure_classes

NO_TOLERANCE = Tolerance(0.0, "of fp32, which is not asked for")


@given(st.integers(0, 2**32 - 1), st.floats(0.01, 3))
def test_it_passes_exactly_where_no_sure_class_changes(seed: int, error: float) -> None:
    random = np.random.default_rng(seed)
    reference = random.normal(0, 2, (30, 4))
    found = reference + random.normal(0, error, reference.shape)
    second, first = np.sort(reference, axis=1)[:, -2:].T
    sure = first - second > LARGEST_FLIPPED_MARGIN
    changed = reference.argmax(axis=1) != found.argmax(axis=1)
    passed = not (sure & changed).any()
    assert compare("x", found, reference, NO_TOLERANCE, "int8", BY_CLASSES).passed == passed
    assert (reason_against_reduced(measure_classes(reference, found)) == "") == passed


def test_a_sure_flip_behind_all_that_are_listed_counts() -> None:
    reference = np.tile([[0.0, 0.1]], (FLIPS_LISTED + 5, 1))
    reference[-1] = [0.0, 7.0]
    found = measure_classes(reference, reference[:, ::-1])
    assert found.classes is not None
    assert found.classes.flipped_margin == 7.0
    assert "in the reference is 7 logits" in reason_against_reduced(found)


def test_nothing_to_compare_and_values_that_are_not_finite_fail() -> None:
    assert "nothing to compare" in reason_against_reduced(measure_classes(np.zeros((0, 3)), np.zeros((0, 3))))
    broken = np.array([[0.0, np.nan]])
    assert "1 outputs are not finite" in reason_against_reduced(measure_classes(np.array([[0.0, 1.0]]), broken))


def one_image(**changes: object) -> Measured:
    """The measures of outputs that are all right, with changes to the measures of classes."""
    right = np.array([[0.0, 3.0]])
    found = measure_classes(right, right)
    assert found.classes is not None
    return found.model_copy(update={"classes": found.classes.model_copy(update=changes)})


def test_a_class_that_the_reference_is_sure_of_by_one_logit_may_change_and_by_more_it_may_not() -> None:
    assert reason_against_reduced(one_image(flipped_margin=1.0)) == ""
    assert reason_against_reduced(one_image(flipped_margin=1.001)).endswith("in the reference is 1 logits")


@pytest.mark.parametrize(("images", "passes"), [(267, False), (268, True)])
def test_268_images_without_a_change_show_that_no_more_than_one_percent_is_lost(images: int, passes: bool) -> None:
    reason = reason_against_reduced(one_image(accuracy=compare_accuracy(images, images // 2, 0, 0)))
    assert (reason == "") == passes
    assert passes or reason.endswith(
        "may have been lost on 267 images, 1% is allowed, which so few images cannot confirm"
    )


def test_accuracy_lost_on_enough_images_is_reported_without_that_excuse() -> None:
    reason = reason_against_reduced(one_image(accuracy=compare_accuracy(1000, 900, 20, 0)))
    assert reason.startswith("up to 2.")
    assert reason.endswith("of the accuracy may have been lost on 1000 images, 1% is allowed")


def test_268_images_are_not_too_few_to_show_that_accuracy_was_lost() -> None:
    reason = reason_against_reduced(one_image(accuracy=compare_accuracy(268, 134, 3, 0)))
    assert reason.endswith("on 268 images, 1% is allowed")


def test_without_classes_the_policy_is_not_met() -> None:
    assert reason_against_reduced(one_image().model_copy(update={"classes": None})) == "no classes were measured"
    lost = one_image().model_copy(update={"lost": 3})
    assert reason_against_reduced(lost) == "3 outputs differ from the infinity or NaN of the reference"
