"""Statistics against distributions whose truth is known."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.stats import Samples, paired_ratio, quantile_intervals

PROCESSES, BLOCKS, CALLS = 8, 5, 10


def nested(seed: int, centre: float = 10.0, process_spread: float = 0.0, blocks: float = 0.02) -> Samples:
    """Log-normal calls around a centre, with effects of process and block."""
    random = np.random.default_rng(seed)
    shape = (PROCESSES, BLOCKS, CALLS)
    effect = random.normal(0, process_spread, (PROCESSES, 1, 1)) + random.normal(0, blocks, (PROCESSES, BLOCKS, 1))
    values = centre * np.exp(effect + random.normal(0, 0.02, shape))
    process, block, _ = np.indices(shape)
    return Samples(process.ravel(), block.ravel(), values.ravel())


def test_quantiles_are_numpys() -> None:
    samples = nested(0)
    median, p90 = quantile_intervals(samples, (0.5, 0.9))
    assert median.value == pytest.approx(np.median(samples.values), rel=1e-2)
    assert p90.value == pytest.approx(np.quantile(samples.values, 0.9), rel=1e-2)
    assert median.low <= median.value <= median.high < p90.value


def test_median_intervals_cover_although_processes_differ() -> None:
    """Eight processes that differ by 3 %: an interval that took calls for independent would cover hardly ever."""
    covered = [
        interval.low <= 10 <= interval.high
        for interval in (quantile_intervals(nested(seed, process_spread=0.03), (0.5,))[0] for seed in range(60))
    ]
    assert np.mean(covered) > 0.8


def test_the_ratio_of_the_same_is_one_and_its_interval_covers() -> None:
    intervals = [paired_ratio(nested(seed, process_spread=0.01), nested(seed + 1000)) for seed in range(200)]
    covered = [interval is not None and interval.low <= 1 <= interval.high for interval in intervals]
    assert np.mean(covered) > 0.9


def test_a_planted_slowdown_is_found() -> None:
    found = [paired_ratio(nested(seed, 10.5), nested(seed + 1000, 10.0)) for seed in range(50)]
    assert all(interval is not None and interval.low > 1 for interval in found)
    assert np.mean([interval.value for interval in found if interval]) == pytest.approx(1.05, rel=0.01)


def test_a_drift_common_to_both_cancels() -> None:
    """The machine slows down by half over the blocks; the ratio stays."""
    one, other = nested(0, 10.5, blocks=0.001), nested(1, 10.0, blocks=0.001)
    slower = 1 + 0.1 * one.block
    drifted = [Samples(s.process, s.block, s.values * slower) for s in (one, other)]
    found, expected = paired_ratio(*drifted), paired_ratio(one, other)
    assert found is not None
    assert expected is not None
    assert found.value == pytest.approx(expected.value)


def test_nothing_in_common_is_no_ratio() -> None:
    one = nested(0)
    later = Samples(one.process, one.block + 100, one.values)
    assert paired_ratio(one, later) is None


def test_a_single_block_says_nothing_about_its_spread() -> None:
    one = Samples(np.zeros(3, np.int64), np.zeros(3, np.int64), np.array([1.0, 2.0, 3.0]))
    ratio = paired_ratio(one, Samples(one.process, one.block, one.values))
    assert ratio is not None
    assert ratio.low < 1e-100
    assert ratio.high > 1e100


@settings(max_examples=25, deadline=None)
@given(st.floats(0.1, 1e3), st.integers(0, 100))
def test_scaling_times_scales_quantiles_and_leaves_ratios(scale: float, seed: int) -> None:
    one, other = nested(seed), nested(seed + 1)
    scaled = Samples(one.process, one.block, one.values * scale)
    plain, stretched = quantile_intervals(one, (0.5,))[0], quantile_intervals(scaled, (0.5,))[0]
    assert stretched.value == pytest.approx(plain.value * scale)
    assert stretched.low == pytest.approx(plain.low * scale)
    ratio, same = (
        paired_ratio(one, other),
        paired_ratio(scaled, Samples(other.process, other.block, other.values * scale)),
    )
    assert ratio is not None
    assert same is not None
    assert ratio.value == pytest.approx(same.value)
