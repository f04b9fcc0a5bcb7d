"""Student's distribution for the fastest of several, compared with simulation and known values."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.special import ndtr, ndtri, stdtrit

from assay.bench.judging.verdicts import difference_p_value, equivalence_p_value, judge
from assay.bench.statistics.selection import favoured_level, two_sided, upper_quantile, upper_tail
from assay.bench.statistics.stats import Ratio
from assay.records.base import Verdict


@pytest.mark.parametrize("degrees", [1, 2, 2.7, 9, 200, math.inf])
def test_one_candidate_is_students(degrees: float) -> None:
    assert upper_quantile(0.975, degrees) == pytest.approx(stdtrit(degrees, 0.975))
    assert upper_tail(upper_quantile(0.975, degrees), degrees) == pytest.approx(0.025)
    assert upper_tail(0.0, degrees) == 0.5


@pytest.mark.parametrize("degrees", [1, 2, 2.7, 9, 200, 4999, math.inf])
@pytest.mark.parametrize("rivals", [2, 5, 30])
def test_the_quantile_and_the_tail_belong_together(degrees: float, rivals: int) -> None:
    found = upper_quantile(0.975, degrees, rivals)
    assert upper_tail(found, degrees, rivals) == pytest.approx(0.025, rel=1e-6)
    assert upper_quantile(0.975, degrees) < found <= stdtrit(degrees, 1 - 0.025 / rivals) * (1 + 1e-12)
    assert upper_tail(0.0, degrees, rivals) == pytest.approx(1 - 0.5**rivals)


@pytest.mark.parametrize(("degrees", "rivals"), [(2, 5), (4, 30), (9, 3)])
def test_it_is_the_largest_of_several_over_one_spread(degrees: int, rivals: int) -> None:
    random = np.random.default_rng(degrees)
    largest = random.normal(size=(200_000, rivals)).max(axis=1) / np.sqrt(random.chisquare(degrees, 200_000) / degrees)
    for level in (0.9, 0.975, 0.999):
        assert np.mean(largest > upper_quantile(level, degrees, rivals)) == pytest.approx(1 - level, rel=0.15)


def test_many_degrees_are_the_normal_distribution() -> None:
    exact = ndtri(0.975 ** (1 / 7))
    assert upper_quantile(0.975, math.inf, 7) == pytest.approx(exact)
    assert upper_quantile(0.975, 4999, 7) == pytest.approx(exact, rel=1e-3)
    assert upper_tail(2.0, math.inf, 7) == pytest.approx(1 - ndtr(2.0) ** 7)


def faster(numerators: int = 1, denominators: int = 1) -> Ratio:
    """20 % faster, in three processes that differ by 2.5 %."""
    return Ratio(math.log(0.8), 0.025 / math.sqrt(3), 2, 3, 30, numerators, denominators)


def test_each_side_of_an_interval_knows_of_its_own_rivals() -> None:
    """A selected numerator looks too fast: the truth may be further above, but not further below."""
    plain, above, below = faster().interval, faster(numerators=5).interval, faster(denominators=5).interval
    assert above.low == plain.low
    assert math.log(above.high / above.value) == pytest.approx(1.35989 * math.log(plain.high / plain.value), rel=1e-4)
    assert below.high == plain.high
    assert below.low < plain.low
    assert faster(5, 3).inverse.interval.low == pytest.approx(1 / faster(5, 3).interval.high)
    assert faster(5, 3).inverse.inverse == faster(5, 3)


@pytest.mark.parametrize(("rivals", "verdict"), [(1, "faster"), (30, "undecided")])
def test_a_verdict_on_the_fastest_of_many_needs_more(rivals: int, verdict: Verdict) -> None:
    close = Ratio(math.log(0.9), 0.025 / math.sqrt(3), 2, 3, 30, numerators=rivals)
    assert judge([close]) == [verdict]
    assert judge([close.inverse]) == ["slower" if verdict == "faster" else verdict]


def test_rivals_of_the_other_side_cost_nothing() -> None:
    assert difference_p_value(faster(denominators=30)) == difference_p_value(faster())
    assert difference_p_value(faster(numerators=30)) > 4 * difference_p_value(faster())


@pytest.mark.parametrize("degrees", [1, 2, 9, 200, math.inf])
def test_the_faster_of_two_needs_no_more_than_one_alone(degrees: float) -> None:
    """It is wrong as much more often on one side as it is wrong less often on the other."""
    level = favoured_level(0.05, degrees, 2)
    assert upper_quantile(1 - level, degrees, 2) == pytest.approx(upper_quantile(0.975, degrees), rel=1e-6)
    for statistic in (0.3, 2.0, 8.0):
        chance = two_sided(upper_tail(statistic, degrees, 2), degrees, 2)
        assert chance == pytest.approx(2 * upper_tail(statistic, degrees), rel=1e-4)


@pytest.mark.parametrize("degrees", [2, 4, 9, math.inf])
@pytest.mark.parametrize("rivals", [1, 2, 3, 9, 30])
def test_an_interval_ends_where_the_chance_of_no_difference_is_5_percent(degrees: float, rivals: int) -> None:
    bound = upper_quantile(1 - favoured_level(0.05, degrees, rivals), degrees, rivals)
    assert two_sided(upper_tail(bound, degrees, rivals), degrees, rivals) == pytest.approx(0.05)
    assert two_sided(upper_tail(1.01 * bound, degrees, rivals), degrees, rivals) < 0.05
    assert two_sided(upper_tail(0.0, degrees, rivals), degrees, rivals) == pytest.approx(1.0)
    assert upper_quantile(0.975, degrees) <= bound * (1 + 1e-9)
    ratio = Ratio(-0.01 * bound, 0.01, degrees, 12, 30, numerators=rivals)
    assert ratio.interval.high == pytest.approx(1.0)
    assert difference_p_value(ratio) == difference_p_value(ratio.inverse) == pytest.approx(0.05)


@pytest.mark.parametrize(("processes", "rivals"), [(3, 2), (3, 5), (5, 30)])
def test_the_interval_of_the_fastest_misses_in_5_percent_and_on_the_side_that_was_chosen(
    processes: int, rivals: int
) -> None:
    random = np.random.default_rng(rivals)
    degrees, times = processes - 1, 60_000
    means = random.normal(size=(times, rivals)).min(axis=1)
    spreads = np.sqrt(random.chisquare(degrees, times) / degrees)
    above, below = (upper_quantile(1 - favoured_level(0.05, degrees, each), degrees, each) for each in (rivals, 1))
    lucky, unlucky = np.mean(means < -above * spreads), np.mean(means > below * spreads)
    assert lucky + unlucky == pytest.approx(0.05, abs=4 * math.sqrt(0.05 * 0.95 / times))
    assert lucky > 0.04


def test_sameness_is_doubted_on_both_sides() -> None:
    """An estimate below one that is the best of many may truly be above the margin."""
    below = Ratio(-0.001, 0.002, 9, 10, 30)
    assert equivalence_p_value(below) < equivalence_p_value(below.chosen(30, 1))
    assert equivalence_p_value(below) < equivalence_p_value(below.chosen(1, 30))


@pytest.mark.parametrize("level", [0.5, 0.6, 0.9])
def test_low_levels_have_their_quantiles_too(level: float) -> None:
    """At a half, the quantile for two rivals is below one."""
    found = upper_quantile(level, 9, 2)
    assert upper_tail(found, 9, 2) == pytest.approx(1 - level, rel=1e-6)
    assert (found < 1) == (level < 0.65)


def test_what_was_not_chosen_has_half_of_the_chance_on_each_side() -> None:
    assert favoured_level(0.05, 2) == 0.025


def test_a_ratio_beyond_every_quantile_still_has_a_p_value() -> None:
    """Many processes that agree to a thousandth on a factor of four."""
    ratio = Ratio(1.4825597, 0.00186, 9.85, 15, 45).chosen(2, 2)
    assert 0 <= ratio.as_far() < 1e-15
