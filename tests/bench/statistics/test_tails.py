"""The 99th percentile by order statistics: Wilks's numbers, and the limits of too few calls."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binom

from assay.bench.judging.summary import timing
from assay.bench.statistics.stats import Samples
from assay.bench.statistics.tails import _between_processes, _design_effect, least_calls, ranks, tail


def calls(values: np.ndarray, processes: int = 1) -> Samples:
    process = np.arange(len(values)) * processes // len(values)
    return Samples(process, np.zeros(len(values), np.int64), values)


def test_wilks_numbers() -> None:
    """Wilks 1941: 59 for the 95th percentile, 299 for the 99th, with 95 % confidence."""
    assert (least_calls(0.95), least_calls(0.99)) == (59, 299)
    assert ranks(298, 0.99)[1] == 0
    assert ranks(299, 0.99)[1] == 299


@given(st.integers(1, 3000))
def test_ranks_are_the_tightest_that_keep_their_promise(count: int) -> None:
    below, above = ranks(count, 0.99)
    if below:  # the below-th is under the quantile where at least so many calls are
        assert binom.sf(below - 1, count, 0.99) >= 0.95
        assert binom.sf(below, count, 0.99) < 0.95 or below == count
    if above:
        assert binom.cdf(above - 1, count, 0.99) >= 0.95
        assert binom.cdf(above - 2, count, 0.99) < 0.95
    assert bool(above) == (count >= 299)


def test_too_few_calls_give_a_lower_bound_alone() -> None:
    found = tail(calls(np.linspace(1, 2, 100)))
    assert found.high is None
    assert found.low <= found.value == pytest.approx(1.98, abs=0.02)


def test_what_processes_differ_by_does_not_shrink_with_calls() -> None:
    steady = np.tile(np.linspace(1, 2, 1000), 3)
    apart = steady * np.repeat([1.0, 1.1, 1.21], 1000)
    alike, different = tail(calls(steady, 3)), tail(calls(apart, 3))
    assert alike.high is not None
    assert different.high is not None
    assert alike.high / alike.value < 1.01
    assert different.high / different.value > 1.1


def test_a_tail_that_comes_in_blocks_counts_for_fewer_calls() -> None:
    """Ten blocks of 100 calls; the slow ones are all in one, or one in each."""
    block = np.arange(1000) // 100
    spread_out = np.where(np.arange(1000) % 100 == 50, 2.0, 1.0) * np.linspace(1, 1.01, 1000)
    together = np.where((np.arange(1000) >= 500) & (np.arange(1000) < 510), 2.0, 1.0) * np.linspace(1, 1.01, 1000)
    one = np.zeros(1000, np.int64)
    assert tail(Samples(one, block, spread_out)).high is not None
    assert tail(Samples(one, block, together)).high is None


def test_a_timing_has_it() -> None:
    shuffled = np.random.default_rng(0).permutation(np.linspace(1, 2, 900))
    assert timing(calls(shuffled[:150], 3)).p99_ms.high is None
    assert timing(calls(shuffled, 3)).p99_ms.high is not None


STUDENT_95_TWO_DEGREES = 2.919986
OF_ONE_PROCESS = STUDENT_95_TWO_DEGREES * 0.055


def test_the_bounds_worked_out_by_hand() -> None:
    """The 990th of 1,000 calls; 95 % are between the 985th and the 996th, and one process is assumed to differ from
    others by 5.5 %.
    """
    found = tail(calls(np.random.default_rng(0).permutation(np.arange(1.0, 1001.0))))
    assert found.value == 990
    assert found.low == pytest.approx(990 * math.exp(-math.hypot(math.log(990 / 985), OF_ONE_PROCESS)))
    assert found.high == pytest.approx(990 * math.exp(math.hypot(math.log(996 / 990), OF_ONE_PROCESS)))


def test_few_calls_have_the_slowest_as_their_tail() -> None:
    """A single call is below the 99th percentile with 99 %, and below the median with 50 %, which is not a bound."""
    one = calls(np.array([3.0]))
    assert (tail(one).value, tail(one).low) == (3.0, pytest.approx(3 * math.exp(-OF_ONE_PROCESS)))
    assert (tail(one, 0.5).value, tail(one, 0.5).low) == (3.0, 0.0)
    assert tail(calls(np.arange(1.0, 51.0))).value == 50
    assert tail(calls(np.arange(1.0, 101.0)), 0.5).value == 50
    assert tail(calls(np.arange(1.0, 11.0)), 0.1).value == 1
    assert least_calls(0.5) == 5
    assert least_calls(0.99, 0.5) == 69


def test_a_block_that_has_all_slow_calls_counts_for_ten_times_as_many() -> None:
    """1 call in 100 is slow. If all are in one of ten blocks: a chi square of 90.9 instead of 9, on 9 degrees."""
    block, slow = np.arange(1000) // 100, np.ones(1000)
    one = np.zeros(1000, np.int64)
    slow[500:510] = 2.0
    assert _design_effect(Samples(one, block, slow), 2.0) == pytest.approx(90 / 0.99 / 9)
    assert _design_effect(Samples(one, one, slow), 2.0) == 1.0, "one block tells nothing"
    assert _design_effect(Samples(block, one, slow), 2.0) == 1.0, "nor does one block of each process"
    assert _design_effect(Samples(one, block, slow), 0.5) == 1.0, "nor do calls that are all alike"
    even = np.where(np.arange(1000) % 100 == 0, 2.0, 1.0)
    assert _design_effect(Samples(one, block, even), 2.0) == 1.0
    twelve = Samples(np.zeros(24, np.int64), np.arange(24) // 2, np.repeat([2.0, 1.0], [2, 22]))
    assert _design_effect(twelve, 2.0) == 2.0, "never more than a block has calls"


def test_processes_add_what_their_mean_is_uncertain_by_on_one_side() -> None:
    logs = np.repeat([0.0, 0.02, 0.04], 3)
    three = Samples(np.arange(9) // 3, np.arange(9) % 3, np.exp(logs))
    assert _between_processes(three) == pytest.approx(STUDENT_95_TWO_DEGREES * 0.02 / math.sqrt(3))
    assert _between_processes(Samples(three.block * 0, three.block, three.values)) == pytest.approx(OF_ONE_PROCESS)
