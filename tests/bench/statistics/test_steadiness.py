"""Drift and autocorrelation in series whose truth is known."""

from __future__ import annotations

import math

import numpy as np
import pytest

from assay.bench.statistics.stats import Samples
from assay.bench.statistics.steadiness import (
    DRIFT_LEVEL,
    autocorrelation,
    effective_samples,
    is_drift,
    least_p_value,
    process_medians,
    steadiness,
    trend,
)

REPEATS = 2000


def autoregressive(random: np.random.Generator, correlation: float, shape: tuple[int, int]) -> list[np.ndarray]:
    """A number of series of a length; each value is `correlation` times the one before plus noise."""
    noise = random.normal(0, 1, shape)
    noise[:, 0] /= math.sqrt(1 - correlation**2)
    for place in range(1, shape[1]):
        noise[:, place] += correlation * noise[:, place - 1]
    return list(noise)


def cell(random: np.random.Generator, drift: float, processes: int = 4, blocks: int = 10, calls: int = 8) -> Samples:
    """Processes that differ by 3 %, blocks by 1 %, calls by 1 %; each process slows by `drift` from first to last."""
    process, block, _ = np.indices((processes, blocks, calls))
    level = random.normal(0, 0.03, (processes, 1, 1)) + random.normal(0, 0.01, (processes, blocks, 1))
    values = np.exp(level + random.normal(0, 0.01, block.shape)) * (1 + drift * block / (blocks - 1))
    return Samples(process.ravel(), block.ravel(), values.ravel())


def test_a_hand_made_series() -> None:
    """1 2 3 4 5: all ten pairs rise, variance 5*4*15/18, z = 9/sqrt(16.67) = 2.2045, p = 0.0275; doubles and more."""
    change, p_value = trend([np.arange(1.0, 6.0)])
    assert p_value == pytest.approx(0.0275, abs=1e-4)
    assert change == pytest.approx(4 / 3)


def test_levels_of_processes_are_not_a_trend() -> None:
    change, p_value = trend([np.full(5, 1.0), np.full(5, 2.0), np.full(5, 3.0)])
    assert (change, p_value) == (0.0, 1.0)


def test_nothing_to_compare_is_not_a_trend() -> None:
    assert trend([]) == (0.0, 1.0)
    assert trend([np.array([1.0]), np.array([2.0])]) == (0.0, 1.0)


def test_false_alarms_of_the_trend() -> None:
    """1 % of 2000 steady cells at most: its binomial deviation is 0.22 %, and four of them make 1.9 %."""
    random = np.random.default_rng(0)
    alarms = [trend(list(random.normal(1, 0.02, (4, 8))))[1] < 0.01 for _ in range(REPEATS)]
    assert np.mean(alarms) <= 0.01 + 4 * math.sqrt(0.01 * 0.99 / REPEATS)


@pytest.mark.parametrize("drift", [0.1, -0.1])
def test_drift_is_found_and_measured(drift: float) -> None:
    """10 % over a process, with blocks that differ by 1 %: always found, and measured correctly to 1 % on average."""
    random = np.random.default_rng(1)
    found = [steadiness(cell(random, drift)) for _ in range(50)]
    assert all(one.drifts for one in found)
    assert np.mean([one.drift for one in found]) == pytest.approx(drift / (1 + drift / 2), abs=0.01)


def test_an_irrelevant_drift_is_not_a_drift() -> None:
    random = np.random.default_rng(2)
    found = [steadiness(cell(random, 0.03)) for _ in range(50)]
    assert np.mean([one.drift_p_value < 0.01 for one in found]) > 0.9, "beyond doubt"
    assert not any(one.drifts for one in found), "and harmless"


@pytest.mark.parametrize(("length", "error"), [(5, 0.4), (20, 0.06), (200, 0.03)])
@pytest.mark.parametrize("correlation", [0.0, 0.5, 0.8])
def test_autocorrelation_of_autoregressive_series(correlation: float, length: int, error: float) -> None:
    """20,000 values in all estimate it to within 0.01; series of five keep a bias, because their mean is unknown."""
    random = np.random.default_rng(3)
    estimate = autocorrelation(autoregressive(random, correlation, (20_000 // length, length)))
    assert estimate == pytest.approx(correlation, abs=error)


def test_autocorrelation_needs_three_values_that_differ() -> None:
    assert math.isnan(autocorrelation([np.array([1.0, 2.0])]))
    assert math.isnan(autocorrelation([np.ones(9)]))


def test_effective_samples_are_those_of_the_mean() -> None:
    """The mean of 200 values with correlation 0.6 varies like that of 200 * 0.4 / 1.6 = 50 independent ones."""
    series = np.array(autoregressive(np.random.default_rng(4), 0.6, (4000, 200)))
    true_count = series.var() / series.mean(axis=1).var()
    assert effective_samples(200, 0.6) == 50
    assert true_count == pytest.approx(50, rel=0.1)
    assert effective_samples(200, math.nan) == effective_samples(200, -0.5) == 200
    assert effective_samples(200, 1.0) == 1


def test_calls_that_resemble_each_other_count_for_less() -> None:
    series = np.exp(0.01 * np.array(autoregressive(np.random.default_rng(5), 0.7, (20, 100))))
    block, _ = np.indices(series.shape)
    found = steadiness(Samples(np.zeros(series.size, np.int64), block.ravel(), series.ravel()))
    assert found.call_autocorrelation == pytest.approx(0.7, abs=0.1)
    assert found.effective_calls == pytest.approx(2000 * 0.3 / 1.7, rel=0.4)


@pytest.mark.parametrize(
    ("processes", "blocks", "testable"),
    [(1, 4, False), (1, 6, True), (2, 4, True), (3, 3, False), (2, 3, False), (3, 4, True)],
)
def test_a_drift_that_so_few_blocks_cannot_show_is_not_testable(processes: int, blocks: int, testable: bool) -> None:
    rising = [np.arange(1.0, blocks + 1)] * processes
    assert trend(rising)[1] == pytest.approx(least_p_value(rising))
    found = steadiness(cell(np.random.default_rng(0), 0.5, processes, blocks))
    assert found.drift_testable == testable
    assert found.drift_testable == (least_p_value(rising) < DRIFT_LEVEL)


def test_one_block_tests_nothing() -> None:
    assert least_p_value([np.ones(1)] * 5) == 1.0


def test_ties_take_from_the_variance_and_one_step_is_given_to_continuity() -> None:
    """1 1 2: two of three pairs rise, variance (66 - 18) / 18, z = 1 / 1.633, p = 0.540. 1 2 1 has no trend at all."""
    assert trend([np.array([1.0, 1.0, 2.0])])[1] == pytest.approx(0.5403, abs=1e-4)
    assert trend([np.array([2.0, 1.0, 1.0])])[1] == pytest.approx(0.5403, abs=1e-4)
    assert trend([np.array([1.0, 2.0, 1.0])]) == (0.0, 1.0)
    assert trend([np.ones(5)]) == (0.0, 1.0)


def test_the_change_is_the_median_slope_over_the_longest_series_in_shares_of_each_median() -> None:
    """1 2 4 has slopes of 1, 2 and 3 / 2 a step: half of each is 0.75 in the median, over two steps."""
    assert trend([np.array([1.0, 2.0, 4.0])])[0] == pytest.approx(1.5)
    assert trend([np.array([1.0, 2.0, 4.0]), np.array([7.5, 12.5])])[0] == pytest.approx(2 * 0.625)
    assert trend([np.array([1.0]), np.array([1.0, 2.0])])[0] == pytest.approx(2 / 3)


def test_autocorrelation_worked_out_by_hand() -> None:
    """1 2 3 2 has none except the quarter that its own mean hides; a steady rise would have more than all."""
    assert autocorrelation([np.array([1.0, 2.0, 3.0, 2.0])]) == pytest.approx(0.25)
    assert autocorrelation([np.array([1.0, 3.0, 2.0])]) == pytest.approx(-0.5 + (1 - 1.5) / 3)
    assert autocorrelation([np.array([1.0, 3.0, 2.0]), np.array([7.0, 9.0, 8.0])]) == pytest.approx(-2 / 3)
    assert autocorrelation([np.arange(50.0)]) == 1.0
    assert effective_samples(100, 0.0) == 100
    assert effective_samples(100, 0.999) == 1


def test_neighbours_are_calls_of_one_block_of_one_process_in_the_order_in_which_they_were_made() -> None:
    """Each block alternates; jumps between blocks and processes are ignored."""
    process = np.array([1, 1, 1, 0, 0, 0, 1, 1, 1])
    block = np.array([0, 0, 0, 0, 0, 0, 1, 1, 1])
    values = np.array([1.0, 3.0, 2.0, 11.0, 13.0, 12.0, 21.0, 23.0, 22.0])
    found = steadiness(Samples(process, block, values))
    assert found.call_autocorrelation == pytest.approx(-2 / 3)
    assert (found.calls, found.effective_calls) == (9, 9)
    assert process_medians(Samples(process, block, values)) == [12.0, 12.0]


def test_the_smallest_chance_of_a_drift_is_that_of_series_that_rise_throughout() -> None:
    """Four blocks: a score of 6, variance 4 x 3 x 13 / 18, z = 5 / 2.944; three seasons of it add both up."""
    assert least_p_value([np.arange(4.0)]) == pytest.approx(math.erfc(5 / math.sqrt(26 / 3) / math.sqrt(2)))
    assert least_p_value([np.arange(4.0)] * 3) == pytest.approx(math.erfc(17 / math.sqrt(26) / math.sqrt(2)))
    assert least_p_value([np.arange(2.0), np.ones(1)]) == pytest.approx(1.0)
    assert least_p_value([]) == 1.0


@pytest.mark.parametrize(("drift", "p_value", "found"), [
    (0.051, 0.009, True), (-0.051, 0.009, True), (0.05, 0.009, False), (-0.05, 0.0, False), (0.5, 0.01, False),
])  # fmt: skip
def test_a_drift_is_more_than_five_percent_beyond_doubt(drift: float, p_value: float, found: bool) -> None:
    assert is_drift(drift, p_value) == found
