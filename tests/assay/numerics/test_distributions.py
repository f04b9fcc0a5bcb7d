"""Our distributions equal SciPy's, which an installation for one ONNX file does not have."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import special, stats
from scipy.optimize import brentq

from assay.numerics import distributions as ours

DEGREES = st.floats(math.log(0.5), math.log(1e9)).map(math.exp)
CHANCES = st.one_of(st.floats(1e-12, 1 - 1e-12), st.floats(math.log(1e-12), -1).map(math.exp))


@given(DEGREES, CHANCES)
def test_students_quantiles(degrees: float, chance: float) -> None:
    found = ours.student_quantile(degrees, chance)
    assert found == pytest.approx(special.stdtrit(degrees, chance), rel=1e-8, abs=1e-13)


@given(DEGREES, st.floats(-7, 7))
def test_students_chances(degrees: float, x: float) -> None:
    assert ours.student(degrees, x) == pytest.approx(special.stdtr(degrees, x), rel=2e-8, abs=1e-13)


def test_students_ends() -> None:
    assert [ours.student_quantile(3.0, chance) for chance in (0.0, 0.5, 1.0)] == [-math.inf, 0.0, math.inf]
    assert ours.student_quantile(math.inf, 0.975) == pytest.approx(special.ndtri(0.975))
    assert ours.student(3.0, -math.inf) == 0.0


@pytest.mark.parametrize(("degrees", "chance"), [(0.0, 0.9), (-1.0, 0.9), (math.nan, 0.9), (3.0, 1.1), (3.0, math.nan)])
def test_there_is_no_quantile_without_degrees_or_chances(degrees: float, chance: float) -> None:
    assert math.isnan(ours.student_quantile(degrees, chance))


@given(st.floats(-37, 37))
def test_the_normal_distribution(x: float) -> None:
    assert ours.normal(x) == pytest.approx(special.ndtr(x), rel=1e-12, abs=1e-300)


@given(st.floats(0, 1))
def test_the_normal_quantiles(chance: float) -> None:
    assert ours.normal_quantile(chance) == pytest.approx(special.ndtri(chance), rel=1e-9, abs=1e-14)


def test_the_normal_logarithm_is_whole_where_the_normal_itself_is_nothing() -> None:
    x = np.concatenate([np.linspace(-1e4, 9, 5001), np.array([-37.0, -36.999, -37.001, 0.0, 40.0])])
    np.testing.assert_allclose(ours.log_normal(x), special.log_ndtr(x), rtol=1e-12, atol=1e-300)
    assert ours.log_normal(x.reshape(2, -1)).shape == (2, 2503)
    assert float(ours.log_normal(-3.0)) == pytest.approx(float(special.log_ndtr(-3.0)))


@given(st.integers(1, 10**6), st.sampled_from([0.5, 0.9, 0.99, 0.999]), st.floats(0, 1), st.floats(0.01, 0.99))
def test_binomial_chances_and_ranks(trials: int, chance: float, part: float, wanted: float) -> None:
    some = int(part * trials)
    assert ours.binomial(some, trials, chance) == pytest.approx(
        special.bdtr(some, trials, chance), rel=1e-8, abs=1e-200
    )
    found = ours.binomial_quantile(wanted, trials, chance)  # the first that reaches it, to rounding
    assert special.bdtr(found, trials, chance) >= wanted * (1 - 1e-9)
    assert found == 0 or special.bdtr(found - 1, trials, chance) < wanted * (1 + 1e-9)


def test_binomial_ends() -> None:
    assert [ours.binomial(some, 5, 0.3) for some in (-1, 5, 6)] == [0.0, 1.0, 1.0]


@given(st.integers(1, 5000), st.floats(0.01, 10))
def test_chi_squared(degrees: int, part: float) -> None:
    expected = special.chdtrc(degrees, degrees * part)
    assert ours.chi_square_above(degrees, degrees * part) == pytest.approx(expected, rel=1e-9, abs=1e-200)


def test_softmax_of_far_logits() -> None:
    logits = np.array([[1000.0, 999.0, -1000.0], [0.0, 0.0, 0.0]])
    np.testing.assert_allclose(ours.log_softmax(logits), special.log_softmax(logits, axis=1))
    np.testing.assert_allclose(ours.softmax(logits), special.softmax(logits, axis=1))


@given(st.lists(st.sampled_from([0.0, 0.5, 1.0, 2.0, 7.5]), min_size=1))
def test_ranks_share_their_mean(values: list[float]) -> None:
    np.testing.assert_array_equal(ours.ranks_of(np.array(values)), stats.rankdata(values))


@given(st.floats(-5, 5), st.sampled_from([-1, 1]))
def test_a_crossing_is_found_to_rounding(place: float, sign: int) -> None:
    def passing(x: float) -> float:
        return sign * math.atan(x - place)

    assert ours.crossing(passing, -10.0, 10.0) == pytest.approx(brentq(passing, -10, 10, xtol=1e-13), abs=1e-12)
