"""Intervals over processes, and of what is made of two estimates."""

from __future__ import annotations

import math

import numpy as np
import pytest

from assay.records import Interval
from bench.intervals import difference, part_of, ratio_over_processes, rest_of, share_over_processes


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
    """A whole of 2 known to 5 %, a share of 30 % to 10 % and a part of 0.6 to 10 %, by processes of their own."""
    random = np.random.default_rng(processes)
    repeats, held = 1000, np.zeros(2)
    for _ in range(repeats):
        whole = ratio_over_processes(2 * np.exp(random.normal(0, 0.05, processes)))
        share = share_over_processes(0.3 * (1 + random.normal(0, 0.1, processes)))
        part = ratio_over_processes(0.6 * np.exp(random.normal(0, 0.1, processes)))
        for place, (found, truth) in enumerate(((part_of(whole, share), 0.6), (difference(whole, part), 1.4))):
            held[place] += found.low <= truth <= found.high
    least, most = 0.95 - 4 * math.sqrt(0.95 * 0.05 / repeats), 0.99
    assert all(least <= one <= most for one in held / repeats)
