"""Intervals over processes, and intervals derived from two estimates."""

from __future__ import annotations

import math

import numpy as np
import pytest

from assay.bench.statistics.intervals import (
    difference,
    difference_over_processes,
    half_width,
    part_of,
    ratio_over_processes,
    rest_of,
    share_over_processes,
)
from assay.bench.statistics.stats import SAYS_NOTHING
from assay.records.base import Interval


def test_one_process_has_an_estimate_and_no_interval() -> None:
    found = ratio_over_processes([2.0])
    assert found.value == pytest.approx(2.0)
    assert found.low < 1e-100
    assert found.high > 1e100
    assert share_over_processes([0.3]) == Interval(value=0.3, low=0, high=1)


def test_a_share_stays_a_share() -> None:
    found = share_over_processes([0.9, 1.0, 1.0])
    assert found.high == 1
    assert found.low == pytest.approx(0.9667 - 4.3027 * 0.03333, abs=1e-3)
    assert rest_of(found) == Interval(value=1 - found.value, low=0, high=1 - found.low)


def test_no_part_is_more_than_the_whole() -> None:
    whole = Interval(value=2.0, low=1.0, high=3.0)
    assert part_of(whole, Interval(value=1, low=0, high=1)) == Interval(value=2, low=0, high=3)
    assert part_of(whole, Interval(value=0, low=0, high=0)) == Interval(value=0, low=0, high=0)


def test_a_difference_holds_the_doubt_of_both() -> None:
    found = difference(Interval(value=5, low=2, high=8), Interval(value=2, low=-2, high=6))
    assert (found.low, found.value, found.high) == (-2, 3, 8)
    assert difference(Interval(value=1, low=1, high=1), Interval(value=2, low=2, high=2), least=0.0).value == 0


@pytest.mark.parametrize("processes", [3, 5, 10])
def test_parts_and_differences_hold_the_truth(processes: int) -> None:
    """A whole of 2 known to 5 %, a share of 30 % to 10 % and a part of 0.6 to 10 %, each from separate processes."""
    random = np.random.default_rng(processes)
    repeats, held = 1000, np.zeros(2)
    for _ in range(repeats):
        whole = ratio_over_processes(2 * np.exp(random.normal(0, 0.05, processes)))
        share = share_over_processes(0.3 * (1 + random.normal(0, 0.1, processes)))
        part = ratio_over_processes(0.6 * np.exp(random.normal(0, 0.1, processes)))
        both = (processes, processes)
        found = ((part_of(whole, share, both), 0.6), (difference(whole, part, processes=both), 1.4))
        for place, (one, truth) in enumerate(found):
            held[place] += one.low <= truth <= one.high
    least, most = 0.95 - 4 * math.sqrt(0.95 * 0.05 / repeats), 0.975
    assert all(least <= one <= most for one in held / repeats)


def test_intervals_over_processes_are_student_s() -> None:
    """Three values 2 % apart: a spread of 0.02, divided by the root of three, times 4.3027."""
    half = 4.302653 * 0.02 / math.sqrt(3)
    found = ratio_over_processes(np.exp([0.0, 0.02, 0.04]).tolist())
    assert (found.low, found.value, found.high) == pytest.approx(tuple(np.exp([0.02 - half, 0.02, 0.02 + half])))
    apart = difference_over_processes([1.0, 1.02, 1.04])
    assert (apart.low, apart.value, apart.high) == pytest.approx((1.02 - half, 1.02, 1.02 + half))
    planned = difference_over_processes([1.0, 1.02, 1.04, 1.02, 1.02, 1.02], planned=3)
    assert planned.high - planned.value == pytest.approx(half / math.sqrt(2))
    assert half_width(np.array([1.0])) == SAYS_NOTHING / 2
    assert half_width(np.array([0.0, 0.02])) == pytest.approx(12.706205 * 0.01)


def test_each_bound_of_a_part_is_put_together_from_the_bounds_on_its_own_side() -> None:
    found = part_of(Interval(value=10, low=9, high=12), Interval(value=0.5, low=0.4, high=0.7))
    assert found.value == 5
    assert (found.low, found.high) == pytest.approx((5 - math.hypot(1.0, 0.5), 5 + math.hypot(2.0, 1.0)))
    assert part_of(Interval(value=1, low=0, high=2), Interval(value=0.5, low=0, high=1)).low == 0


def test_each_bound_of_a_difference_uses_the_opposite_bound_of_the_subtrahend() -> None:
    found = difference(Interval(value=5, low=4, high=8), Interval(value=2, low=0, high=3))
    assert (found.low, found.value, found.high) == pytest.approx((3 - math.hypot(1, 1), 3, 3 + math.hypot(3, 2)))
    least = difference(Interval(value=5, low=4, high=8), Interval(value=6, low=0, high=9), least=0.0)
    assert (least.low, least.value) == (0, 0)


def test_two_spreads_say_more_than_one_and_one_that_is_nothing_leaves_the_other_as_it_was() -> None:
    """Equal errors of two degrees of freedom each have four together (Welch): 2.7764 instead of 4.3027."""
    whole, taken = Interval(value=10, low=9, high=11), Interval(value=2, low=1, high=3)
    apart = difference(whole, taken, processes=(3, 3))
    assert apart.high - apart.value == pytest.approx(math.sqrt(2) * 2.776445 / 4.302653, rel=1e-6)
    exact = Interval(value=2, low=2, high=2)
    assert difference(whole, exact, processes=(3, 3)).high == pytest.approx(9)
    assert difference(whole, exact, processes=(3, 20)).high == pytest.approx(9)
    assert difference(exact, exact, processes=(3, 3)) == Interval(value=0, low=0, high=0)
    assert difference(whole, taken, processes=(3, 1)) == difference(whole, taken), "one process has no spread"
    share = Interval(value=0.5, low=0.4, high=0.6)
    halves = part_of(whole, share, processes=(3, 3))
    assert halves.high - halves.value < math.hypot(0.5, 1.0)
    alone = part_of(exact, share, processes=(10, 3))
    assert (alone.low, alone.high) == pytest.approx((0.8, 1.2)), "the spread of three is the share's"
