"""What computes in less than fp32 is judged by one policy, wherever it is judged."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from assay.numerics.agreement import Tolerance, compare
from assay.numerics.classification.significance import compare_accuracy
from assay.numerics.numbers import FLIPS_LISTED, Measured, measure
from assay.numerics.reduced import LARGEST_FLIPPED_MARGIN, reason_against_reduced, reason_against_reduced_made

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
    assert compare("x", found, reference, NO_TOLERANCE, "int8").passed == passed
    assert (reason_against_reduced(measure(reference, found)) == "") == passed


def test_a_sure_flip_behind_all_that_are_listed_counts() -> None:
    reference = np.tile([[0.0, 0.1]], (FLIPS_LISTED + 5, 1))
    reference[-1] = [0.0, 7.0]
    found = measure(reference, reference[:, ::-1])
    assert found.flipped_margin == 7.0
    assert "sure of by 7 logits" in reason_against_reduced(found)


def test_nothing_to_compare_and_values_that_are_not_finite_fail() -> None:
    assert "nothing to compare" in reason_against_reduced(measure(np.zeros((0, 3)), np.zeros((0, 3))))
    broken = np.array([[0.0, np.nan]])
    assert "1 outputs are not finite" in reason_against_reduced(measure(np.array([[0.0, 1.0]]), broken))


def one_image(**changes: object) -> Measured:
    """The measures of outputs that are all right, with changes."""
    right = np.array([[0.0, 3.0]])
    return measure(right, right).model_copy(update=changes)


def test_a_class_that_the_reference_is_sure_of_by_one_logit_may_change_and_by_more_it_may_not() -> None:
    assert reason_against_reduced(one_image(flipped_margin=1.0)) == ""
    assert reason_against_reduced(one_image(flipped_margin=1.001)).endswith("sure of by 1 logits")


def test_made_images_may_be_off_by_half_of_the_reference() -> None:
    assert reason_against_reduced_made(one_image(rms_relative=0.5)) == ""
    assert "the error is 51% of the reference (root-mean-square), 50% is" in reason_against_reduced_made(
        one_image(rms_relative=0.51)
    )
    assert reason_against_reduced_made(one_image(flipped_margin=9.0)) == "", "classes say nothing there"
    assert reason_against_reduced_made(one_image(not_finite=2)) == "2 outputs are not finite where the reference is"
    assert reason_against_reduced(one_image(lost=3)) == "3 outputs are not the infinity or NaN that the reference has"


@pytest.mark.parametrize(("images", "passes"), [(267, False), (268, True)])
def test_268_images_without_a_change_show_that_no_more_than_one_percent_is_lost(images: int, passes: bool) -> None:
    reason = reason_against_reduced(one_image(accuracy=compare_accuracy(images, images // 2, 0, 0)))
    assert (reason == "") == passes
    assert passes or reason.endswith("may be lost on 267 images, 1% is allowed, which so few images cannot show")


def test_accuracy_that_is_lost_on_enough_images_is_told_without_that_excuse() -> None:
    reason = reason_against_reduced(one_image(accuracy=compare_accuracy(1000, 900, 20, 0)))
    assert reason.startswith("up to 2.")
    assert reason.endswith("of the accuracy may be lost on 1000 images, 1% is allowed")


def test_268_images_are_not_too_few_to_show_that_accuracy_was_lost() -> None:
    reason = reason_against_reduced(one_image(accuracy=compare_accuracy(268, 134, 3, 0)))
    assert reason.endswith("on 268 images, 1% is allowed")
