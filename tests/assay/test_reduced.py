"""What computes in less than fp32 is judged by one policy, wherever it is judged."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from assay.agreement import Tolerance, compare
from assay.numbers import FLIPS_LISTED, measure
from assay.reduced import LARGEST_FLIPPED_MARGIN, reason_against_reduced

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
