"""The 99th percentile by order statistics: Wilks's numbers, and what too few calls do not say."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binom

from bench.stats import Samples
from bench.summary import timing
from bench.tails import least_calls, ranks, tail


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
