"""Rates of processes that ran at the same time: only the period they have in common counts."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from assay.bench.statistics.together import Stamps, common_window, mean_interval, ratio_interval, together


def stamps(begin: int, call_ns: int, calls: int) -> Stamps:
    """Calls without a pause."""
    begins = begin + call_ns * np.arange(calls, dtype=np.int64)
    return np.stack([begins, begins + call_ns], axis=1)


def test_calls_before_all_ran_and_after_the_first_ended_do_not_count() -> None:
    """The first runs alone at twice the speed for a second, at both ends; together each gives 100 calls a second."""
    early = stamps(0, 5_000_000, 200)
    both = stamps(1_000_000_000, 10_000_000, 100)
    late = stamps(2_000_000_000, 5_000_000, 200)
    found = together([np.concatenate([early, both, late]), stamps(1_000_000_000, 10_000_000, 100)])
    assert found is not None
    assert found.calls_a_second == pytest.approx(200)
    assert found.median_ms == pytest.approx(10)
    assert [len(one) for one in found.calls_ms] == [100, 100]


def test_processes_that_never_ran_at_the_same_time_give_nothing() -> None:
    assert together([stamps(0, 10, 5), stamps(1000, 10, 5)]) is None
    begin, end = common_window([stamps(0, 10, 5), stamps(1000, 10, 5)])
    assert end <= begin


def test_a_process_without_a_whole_call_in_the_window_gives_nothing() -> None:
    assert together([stamps(0, 1_000_000, 1), stamps(100, 10, 50)]) is None


@given(
    st.lists(
        st.tuples(st.integers(0, 10**9), st.integers(10**5, 10**8)).map(
            lambda drawn: stamps(drawn[0], drawn[1], 4 * 10**9 // drawn[1])
        ),
        min_size=1,
        max_size=5,
    )
)
def test_the_rate_is_the_sum_of_what_each_gives_however_long_a_call_is(processes: list[Stamps]) -> None:
    found = together(processes)
    assert found is not None
    expected = sum(1e9 / float(one[0, 1] - one[0, 0]) for one in processes)
    assert found.calls_a_second == pytest.approx(expected, rel=1e-6)


@given(st.lists(st.floats(1e-3, 1e6), min_size=2, max_size=8), st.floats(0.01, 100))
def test_intervals_hold_their_estimate_and_follow_the_unit(values: list[float], factor: float) -> None:
    found, scaled = mean_interval(values), mean_interval([factor * value for value in values])
    assert found.low <= found.value <= found.high
    assert scaled.value == pytest.approx(factor * found.value)
    assert ratio_interval([factor * value for value in values], values).value == pytest.approx(factor)


def test_one_set_has_a_rate_and_no_spread() -> None:
    found = mean_interval([120.0])
    assert found.value == pytest.approx(120)
    assert found.low < 1e-6
    assert found.high > 1e12
