"""Statistics on distributions whose truth is known."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import stdtrit

from assay.bench.statistics.stats import Samples, paired_ratio, quantile_intervals, ratio_estimate, standard_error
from assay.records.base import Interval

PROCESSES, BLOCKS, CALLS = 8, 5, 10


def nested(
    seed: int,
    centre: float = 10.0,
    process_spread: float = 0.0,
    blocks: float = 0.02,
    processes: int = PROCESSES,
) -> Samples:
    """Log-normal calls around a centre, with effects of process and block."""
    random = np.random.default_rng(seed)
    shape = (processes, BLOCKS, CALLS)
    effect = random.normal(0, process_spread, (processes, 1, 1)) + random.normal(0, blocks, (processes, BLOCKS, 1))
    values = centre * np.exp(effect + random.normal(0, 0.02, shape))
    process, block, _ = np.indices(shape)
    return Samples(process.ravel(), block.ravel(), values.ravel())


def test_quantiles_are_numpys() -> None:
    samples = nested(0)
    median, p90 = quantile_intervals(samples, (0.5, 0.9))
    assert median.value == pytest.approx(np.median(samples.values), rel=1e-2)
    assert p90.value == pytest.approx(np.quantile(samples.values, 0.9), rel=1e-2)
    assert median.low <= median.value <= median.high < p90.value


REPEATS = 1000
# Of 1000 intervals that cover with 95 % the covering share varies by 0.69 %; four of these deviations.
LEAST_COVERAGE, MOST_COVERAGE = 0.95 - 4 * 0.0069, 0.95 + 4 * 0.0069


def blocks_of(random: np.random.Generator, processes: int, process_spread: float, block_spread: float) -> Samples:
    """Five blocks per process, one value per block: what the ratio reduces a block to anyway."""
    process, block = np.indices((processes, BLOCKS))
    logs = random.normal(0, process_spread, (processes, 1)) + random.normal(0, block_spread, (processes, BLOCKS))
    return Samples(process.ravel(), block.ravel(), np.exp(logs).ravel())


@pytest.mark.parametrize("processes", [3, 4, 6, 10])
@pytest.mark.parametrize("block_spread", [0.01, 0.03])
def test_intervals_of_ratios_cover(processes: int, block_spread: float) -> None:
    """Processes that differ by 1.4 % as measured, blocks by 1 or 3 %: intervals hold in 95 %, neither less nor more."""
    random = np.random.default_rng(processes)
    covered = 0
    for _ in range(REPEATS):
        cells = [blocks_of(random, processes, 0.014 / math.sqrt(2), block_spread / math.sqrt(2)) for _ in range(2)]
        interval = paired_ratio(cells[0], cells[1])
        covered += interval is not None and interval.low <= 1 <= interval.high
    assert LEAST_COVERAGE <= covered / REPEATS <= MOST_COVERAGE


@pytest.mark.parametrize("spread", [0.014, 0.055, 0.2])
def test_two_processes_cover_by_the_spread_that_they_show(spread: float) -> None:
    """Its own spread, whatever it is: no spread of another machine is used."""
    random = np.random.default_rng(2)
    covered = 0
    for _ in range(REPEATS):
        cells = [blocks_of(random, 2, spread / math.sqrt(2), 0.01) for _ in range(2)]
        interval = paired_ratio(cells[0], cells[1])
        covered += interval is not None and interval.low <= 1 <= interval.high
    assert LEAST_COVERAGE <= covered / REPEATS <= MOST_COVERAGE


def test_one_steady_process_shows_nothing_about_the_spread() -> None:
    estimate = ratio_estimate(nested(0, processes=1), nested(1, processes=1))
    assert estimate is not None
    assert estimate.degrees == 0
    assert estimate.interval.low < 1e-100


@pytest.mark.parametrize("processes", [2, 3, 8])
def test_intervals_of_quantiles_cover_although_processes_differ(processes: int) -> None:
    """Median and 90th percentile; 200 repeats determine 95 % to within 1.5 %, and four of these deviations are
    allowed.
    """
    covered = np.zeros(2)
    for seed in range(200):
        samples = nested(seed, process_spread=0.014, processes=processes)
        truth = 10 * np.exp(np.array([0, 1.2816]) * math.hypot(0.014, 0.02, 0.02))
        found = quantile_intervals(samples, (0.5, 0.9))
        covered += [one.low <= true <= one.high for one, true in zip(found, truth, strict=True)]
    assert covered.min() / 200 >= 0.95 - 4 * 0.0154


def test_the_ratio_of_the_same_is_one() -> None:
    one = nested(0)
    assert paired_ratio(one, one) == Interval(value=1, low=1, high=1)


def test_an_estimate_says_what_it_rests_on() -> None:
    estimate = ratio_estimate(nested(0, 10.5), nested(1, 10.0))
    assert estimate is not None
    assert (estimate.processes, estimate.blocks, estimate.degrees) == (PROCESSES, PROCESSES * BLOCKS, PROCESSES - 1)
    assert estimate.interval.value == pytest.approx(1 / estimate.inverse.interval.value)
    assert estimate.interval.low == pytest.approx(1 / estimate.inverse.interval.high)


def test_a_planted_slowdown_is_found() -> None:
    found = [paired_ratio(nested(seed, 10.5), nested(seed + 1000, 10.0)) for seed in range(50)]
    assert all(interval is not None and interval.low > 1 for interval in found)
    assert np.mean([interval.value for interval in found if interval]) == pytest.approx(1.05, rel=0.01)


def test_a_drift_common_to_both_cancels() -> None:
    """The machine slows down by half over the blocks; the ratio does not change."""
    one, other = nested(0, 10.5, blocks=0.001), nested(1, 10.0, blocks=0.001)
    slower = 1 + 0.1 * one.block
    drifted = [Samples(s.process, s.block, s.values * slower) for s in (one, other)]
    found, expected = paired_ratio(*drifted), paired_ratio(one, other)
    assert found is not None
    assert expected is not None
    assert found.value == pytest.approx(expected.value)


def test_no_common_blocks_give_no_ratio() -> None:
    one = nested(0)
    later = Samples(one.process, one.block + 100, one.values)
    assert paired_ratio(one, later) is None


def test_a_single_block_shows_nothing_about_its_spread() -> None:
    one = Samples(np.zeros(3, np.int64), np.zeros(3, np.int64), np.array([1.0, 2.0, 3.0]))
    ratio = paired_ratio(one, Samples(one.process, one.block, one.values))
    assert ratio is not None
    assert ratio.low < 1e-100
    assert ratio.high > 1e100


@settings(max_examples=25)
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


def added(samples: Samples, planned: int) -> Samples:
    return Samples(samples.process, samples.block, samples.values, planned)


def test_processes_that_were_added_count_for_the_mean_and_not_for_the_spread() -> None:
    """Three planned processes that differ by chance, and three equal ones that were added because of it."""
    process, block = np.arange(6), np.zeros(6, int)
    logs = np.array([0.0, 0.02, 0.04, 0.02, 0.02, 0.02])
    one, other = Samples(process, block, np.exp(logs), 3), Samples(process, block, np.ones(6), 3)
    found = ratio_estimate(one, other)
    assert found is not None
    assert found.log_mean == pytest.approx(0.02)
    assert found.log_standard_error == pytest.approx(0.02 / math.sqrt(6))
    assert (found.degrees, found.processes) == (2, 6)
    plain = ratio_estimate(added(one, 0), added(other, 0))
    assert plain is not None
    assert plain.degrees == 5
    assert plain.log_standard_error < found.log_standard_error


def test_nothing_changes_where_none_was_added() -> None:
    one, other = nested(0, processes=3), nested(1, processes=3)
    assert ratio_estimate(added(one, 3), added(other, 3)) == ratio_estimate(one, other)
    assert quantile_intervals(added(one, 3), (0.5, 0.9)) == quantile_intervals(one, (0.5, 0.9))


def test_the_spread_is_never_of_fewer_than_three() -> None:
    assert standard_error([0.0, 1.0, 2.0, 3.0], planned=2) == (1 / 2, 2)
    assert standard_error([0.0, 1.0, 2.0], planned=5) == (1 / math.sqrt(3), 2)


def test_a_median_rests_on_the_spread_of_what_was_planned() -> None:
    """Three planned processes, six in all: the same spread, halved only by their number, at two degrees of freedom."""
    three = nested(0, process_spread=0.05, processes=3)
    again = Samples(
        np.concatenate([three.process, three.process + 3]),
        np.concatenate([three.block, three.block]),
        np.concatenate([three.values, three.values]),
        3,
    )
    (before,), (after,) = quantile_intervals(three, (0.5,)), quantile_intervals(again, (0.5,))
    widths = [math.log(one.high / one.low) for one in (before, after)]
    assert widths[0] / widths[1] == pytest.approx(math.sqrt(2), rel=0.15)


@pytest.mark.parametrize("planned", [3, 5])
def test_intervals_hold_however_one_stops(planned: int) -> None:
    """Processes are added until a ratio is known to 2 %: intervals hold in 95 %; with the spread of all they would in
    90 %.
    """
    random = np.random.default_rng(planned)
    held, repeats = 0, 2000
    for _ in range(repeats):
        logs = random.normal(0, 0.0205, 40)
        for count in range(planned, 41):
            error, degrees = standard_error(logs[:count].tolist(), planned)
            half = float(stdtrit(degrees, 0.975)) * error
            if half <= 0.01:
                break
        held += abs(float(np.mean(logs[:count]))) <= half
    assert held / repeats == pytest.approx(0.95, abs=0.02)
