"""The numbers of a ratio and of a quantile, worked out by hand with Student's quantiles from printed tables."""

from __future__ import annotations

import math

import numpy as np
import pytest

from assay.bench.statistics.stats import (
    ASSUMED_PROCESS_SPREAD,
    SAYS_NOTHING,
    Ratio,
    Samples,
    block_medians,
    counted,
    process_logs,
    quantile_intervals,
    ratio_estimate,
)

HALF_OF_95_BY_DEGREES = {1: 12.706205, 2: 4.302653, 3: 3.182446, 9: 2.262157}
STUDENT_90_TWO_DEGREES = 2.919986

SLOWER = Ratio(log_mean=0.1, log_standard_error=0.02, degrees=2, processes=3, blocks=12)


def laid_out(values: list[list[list[float]]], planned: int = 0) -> Samples:
    """Calls by process and block."""
    rows = [
        (process, block, call)
        for process, blocks in enumerate(values)
        for block, calls in enumerate(blocks)
        for call in calls
    ]
    process, block, call = zip(*rows, strict=True)
    return Samples(np.array(process), np.array(block), np.array(call, float), planned)


def test_an_interval_of_95_percent_leaves_a_fortieth_on_each_side() -> None:
    half = HALF_OF_95_BY_DEGREES[2] * 0.02
    assert SLOWER.half_width() == pytest.approx(half)
    assert SLOWER.half_width(0.9) == pytest.approx(STUDENT_90_TWO_DEGREES * 0.02)
    found = SLOWER.interval
    assert (found.low, found.value, found.high) == pytest.approx(
        (math.exp(0.1 - half), math.exp(0.1), math.exp(0.1 + half))
    )


def test_chances_are_student_s_on_the_side_that_is_asked_for() -> None:
    """Five standard errors at two degrees of freedom: t / sqrt(2 + t^2) is the sine of the angle; its share is
    outside.
    """
    outside = (1 - 5 / math.sqrt(2 + 25)) / 2
    assert SLOWER.below(0.0) == pytest.approx(outside)
    assert SLOWER.above(0.2) == pytest.approx(outside)
    assert SLOWER.above(0.0) == pytest.approx(1 - outside)
    assert SLOWER.below(0.1) == SLOWER.above(0.1) == pytest.approx(0.5)


@pytest.mark.parametrize("degrees", [0, -1])
def test_where_nothing_is_known_of_the_spread_nothing_is_said(degrees: int) -> None:
    blind = Ratio(0.1, 0.0, degrees, 1, 4)
    assert blind.half_width() == SAYS_NOTHING
    assert blind.interval.low < 1e-300
    assert blind.interval.high > 1e300
    assert (blind.above(5.0), blind.below(-5.0)) == (1.0, 1.0)
    assert blind.as_far() == blind.chosen(4, 4).as_far() == 1.0


def test_a_single_degree_of_freedom_says_something() -> None:
    assert Ratio(0.0, 0.02, 1, 2, 2).half_width() == pytest.approx(HALF_OF_95_BY_DEGREES[1] * 0.02)
    assert Ratio(0.0, 0.02, 1, 2, 2).interval.high == pytest.approx(math.exp(HALF_OF_95_BY_DEGREES[1] * 0.02))
    assert Ratio(0.0, 0.02, 1, 2, 2).below(-1.0) < 1


def test_an_exact_ratio_is_above_or_it_is_not() -> None:
    one = Ratio(0.0, 0.0, math.inf, 3, 3)
    assert (one.above(0.01), one.above(0.0), one.above(-0.01)) == (0.0, 1.0, 1.0)
    assert (one.below(-0.01), one.below(0.0)) == (0.0, 1.0)


def test_a_choice_widens_the_side_that_it_favours() -> None:
    """The fastest of four in the denominator makes the ratio look large, so its lower bound is further down."""
    chosen, half = SLOWER.chosen(1, 4), HALF_OF_95_BY_DEGREES[2] * 0.02
    assert chosen.interval.high == pytest.approx(math.exp(0.1 + half))
    assert chosen.interval.low < math.exp(0.1 - half) - 1e-3
    assert chosen.below(0.0) > SLOWER.below(0.0)
    assert chosen.above(0.2) == SLOWER.above(0.2)
    turned = chosen.inverse
    assert (turned.numerators, turned.denominators, turned.log_mean) == (4, 1, -0.1)
    assert turned.interval.low == pytest.approx(1 / chosen.interval.high)


@pytest.mark.parametrize(
    ("processes", "planned", "spread_of"), [(5, 0, 5), (5, 3, 3), (5, 4, 4), (5, 2, 3), (5, 1, 3), (2, 3, 2), (1, 0, 1)]
)
def test_the_spread_counts_those_that_were_planned_and_never_fewer_than_three(
    processes: int, planned: int, spread_of: int
) -> None:
    assert counted(processes, planned) == spread_of


def test_a_block_is_its_median_a_process_the_median_of_its_blocks_and_a_ratio_their_mean() -> None:
    one = laid_out([[[2, 2, 9], [4, 4], [8]], [[6, 6], [6]]])
    unit = laid_out([[[1], [1], [1]], [[1], [1, 1, 1]]])
    assert block_medians(one) == {(0, 0): 2, (0, 1): 4, (0, 2): 8, (1, 0): 6, (1, 1): 6}
    assert process_logs(one, unit) == pytest.approx([math.log(4), math.log(6)])
    found = ratio_estimate(one, unit)
    assert found is not None
    assert found.log_mean == pytest.approx((math.log(4) + math.log(6)) / 2)
    assert found.log_standard_error == pytest.approx(math.log(6 / 4) / 2)
    assert (found.degrees, found.processes, found.blocks) == (1, 2, 5)


def test_blocks_are_distinguished_whatever_their_numbers_and_order() -> None:
    order = np.array([5, 0, 3, 1, 4, 2])
    process, block = np.array([0, 0, 0, 1, 1, 1]), np.array([-3, 10, 10, -3, 0, 0])
    values = np.array([1.0, 2.0, 4.0, 5.0, 6.0, 8.0])
    mixed = Samples(process[order], block[order], values[order])
    assert block_medians(mixed) == {(0, -3): 1.0, (0, 10): 3.0, (1, -3): 5.0, (1, 0): 7.0}
    assert list(block_medians(mixed)) == sorted(block_medians(mixed))


def test_a_cell_against_itself_is_exactly_one_and_one_process_tells_no_spread() -> None:
    one = laid_out([[[1, 2], [3]], [[4]]])
    same = ratio_estimate(one, one)
    assert same is not None
    assert (same.log_mean, same.log_standard_error, same.degrees, same.processes, same.blocks) == (0, 0, math.inf, 2, 3)
    alone = ratio_estimate(laid_out([[[2], [4]]]), laid_out([[[1], [1]]]))
    assert alone is not None
    assert alone.log_mean == pytest.approx((math.log(2) + math.log(4)) / 2)
    assert (alone.log_standard_error, alone.degrees, alone.processes, alone.blocks) == (0, 0, 1, 2)


@pytest.mark.parametrize(("share", "value"), [(0.0, 1), (0.5, 5), (0.51, 6), (0.9, 9), (0.91, 10), (1.0, 10)])
def test_a_quantile_is_the_first_call_that_reaches_its_share(share: float, value: float) -> None:
    (found,) = quantile_intervals(laid_out([[list(range(10, 0, -1))]]), (share,))
    assert found.value == value


@pytest.mark.parametrize(("blocks", "degrees"), [(1, 1), (2, 1), (4, 3), (10, 9)])
def test_one_process_is_assumed_to_differ_from_others_as_the_published_ones_do(blocks: int, degrees: int) -> None:
    (found,) = quantile_intervals(laid_out([[[2.0]] * blocks]), (0.5,))
    half = HALF_OF_95_BY_DEGREES[degrees] * ASSUMED_PROCESS_SPREAD
    assert (found.low, found.value, found.high) == pytest.approx((2 / math.exp(half), 2.0, 2 * math.exp(half)))


def test_the_bootstrap_of_a_median_has_the_factor_that_a_mean_of_few_lacks() -> None:
    """Three processes at logarithms -0.01, 0 and 0.01. Of 27 draws the median is the lowest in 7, the middle in 13 and
    the highest in 7, so its standard error is 0.01 sqrt(14 / 27), which is too small by a factor of sqrt(3 / 2).
    """
    values = [[[math.exp(log)] * 3] * 2 for log in (-0.01, 0.0, 0.01)]
    (found,) = quantile_intervals(laid_out(values), (0.5,))
    half = HALF_OF_95_BY_DEGREES[2] * 0.01 * math.sqrt(14 / 27) * math.sqrt(3 / 2)
    assert math.log(found.high) == pytest.approx(half, rel=0.1)
    assert math.log(found.low) == pytest.approx(-half, rel=0.1)


def test_six_processes_of_which_three_were_planned_have_their_spread_over_the_root_of_two() -> None:
    values = [[[math.exp(log)] * 3] * 2 for log in (-0.01, 0.0, 0.01, 0.0, 0.0, 0.0)]
    (found,) = quantile_intervals(laid_out(values, planned=3), (0.5,))
    half = HALF_OF_95_BY_DEGREES[2] * 0.01 * math.sqrt(14 / 27) * math.sqrt(3 / 2) / math.sqrt(2)
    assert math.log(found.high) == pytest.approx(half, rel=0.1)


def test_the_median_s_processes_are_drawn_whole_and_a_single_one_s_blocks_each() -> None:
    """Differences within equal processes do not show how processes differ; a single process shows nothing else."""
    alike = [[[1.0], [1.2], [1.4]]] * 3
    (median, p90) = quantile_intervals(laid_out(alike), (0.5, 0.9))
    assert (median.low, median.value, median.high) == (1.2, 1.2, 1.2)
    assert p90.low < p90.value < p90.high, "further out blocks are drawn too"
    (alone,) = quantile_intervals(laid_out(alike[:1]), (0.5,))
    assumed = HALF_OF_95_BY_DEGREES[2] * ASSUMED_PROCESS_SPREAD
    assert math.log(alone.high / 1.2) > 1.5 * assumed
