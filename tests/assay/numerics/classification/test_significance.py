"""McNemar's exact test and the calibration error, compared with figures worked out by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import minimize_scalar
from scipy.special import xlogy

from assay.numerics.classification.significance import (
    CalibrationBins,
    CalibrationShift,
    compare_accuracy,
    mcnemar,
    most_accuracy_lost,
)


@pytest.mark.parametrize(
    ("lost", "gained", "p_value"),
    [
        (0, 0, 1.0),
        (1, 0, 1.0),
        (10, 0, 2 * 0.5**10),
        (5, 5, 1.0),
        (6, 1, 2 * (1 + 7) * 0.5**7),
    ],
)
def test_the_exact_test_of_mcnemar(lost: int, gained: int, p_value: float) -> None:
    assert mcnemar(lost, gained) == pytest.approx(p_value)


@given(st.integers(0, 200), st.integers(0, 200))
def test_it_does_not_matter_which_is_which(lost: int, gained: int) -> None:
    assert mcnemar(lost, gained) == pytest.approx(mcnemar(gained, lost))


def test_accuracies_follow_from_what_was_lost_and_gained() -> None:
    found = compare_accuracy(200, 190, lost=4, gained=1)
    assert (found.reference, found.candidate) == (0.95, 0.935)


def test_confidence_that_is_deserved_is_calibrated() -> None:
    """Three in four right at a confidence of three in four."""
    rows = np.tile(np.log([[0.75, 0.25]]), (4, 1))
    bins = CalibrationBins()
    bins.add(rows, np.array([0, 0, 0, 1]))
    assert bins.error() == pytest.approx(0, abs=1e-12)


def test_overconfidence_is_the_shift() -> None:
    labels = np.array([0, 0, 0, 1])
    before, after = CalibrationBins(), CalibrationBins()
    before.add(np.tile(np.log([[0.75, 0.25]]), (4, 1)), labels)
    after.add(np.tile(np.log([[0.99, 0.01]]), (4, 1)), labels)
    found = CalibrationShift.of(before, after)
    assert found.shift == pytest.approx(0.24)
    assert found.candidate == pytest.approx(0.24)


def test_no_images_have_no_error() -> None:
    assert CalibrationBins().error() == 0


@pytest.mark.parametrize("images", [1, 32, 3419])
def test_no_difference_seen_is_bounded_as_a_share_is(images: int) -> None:
    """If no image differs, the bound is Wilson's for none of n."""
    z = 1.6448536269514722
    assert most_accuracy_lost(images, 0, 0) == pytest.approx(z**2 / (images + z**2))


@given(st.integers(1, 500), st.data())
def test_the_bound_is_above_the_estimate_and_below_one(images: int, data: st.DataObject) -> None:
    lost = data.draw(st.integers(0, images))
    gained = data.draw(st.integers(0, images - lost))
    bound = most_accuracy_lost(images, lost, gained)
    assert (lost - gained) / images <= bound <= 1
    if 0 < lost < images:
        assert most_accuracy_lost(images, lost, gained, 0.99) >= bound


def test_the_bound_is_where_the_score_test_rejects() -> None:
    """McNemar's statistic is Tango's for a difference of zero: a candidate with just that gain has a bound of zero."""
    lost, gained = 10, 30
    confidence = 0.5 * (1 + math.erf((gained - lost) / math.sqrt(gained + lost) / math.sqrt(2)))
    assert most_accuracy_lost(1000, lost, gained, confidence) == pytest.approx(0, abs=1e-9)


@pytest.mark.parametrize(("images", "lost", "gained"), [(44, 1, 0), (60, 9, 2), (3421, 40, 25), (100, 0, 7)])
def test_the_score_is_that_of_the_likeliest_shares(images: int, lost: int, gained: int) -> None:
    """The share of gained images that is likeliest under a given difference, found by search."""
    bound = most_accuracy_lost(images, lost, gained)

    def unlikely(share: float) -> float:
        same = 1 - 2 * share - bound
        return -(xlogy(lost, share + bound) + xlogy(gained, share) + xlogy(images - lost - gained, same))

    possible = (max(0.0, -bound), (1 - bound) / 2)
    share = minimize_scalar(unlikely, bounds=possible, method="bounded", options={"xatol": 1e-12}).x
    deviation = math.sqrt(images * (2 * share + bound - bound**2))
    assert (lost - gained - images * bound) / deviation == pytest.approx(-1.6448536, abs=1e-4)


def test_the_bound_covers() -> None:
    """With a true loss of 2 %, about one in twenty of 400 samples has a bound below it."""
    random = np.random.default_rng(0)
    draws = random.multinomial(600, [0.03, 0.01, 0.96], 400)
    covered = sum(most_accuracy_lost(600, int(lost), int(gained)) >= 0.02 for lost, gained, _ in draws)
    assert 368 <= covered <= 396
