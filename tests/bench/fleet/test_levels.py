"""Machine, process, block, call: intervals hold as often as stated, and few machines prove nothing about others."""

from __future__ import annotations

import math

import numpy as np
import pytest

from assay.bench.fleet.levels import (
    estimate_of_kind,
    judge_kinds,
    over_machines,
    ratio_of_kind,
    spread_between,
    within_machine,
)
from assay.bench.statistics.stats import Ratio
from assay.records.base import Interval


def ratio(value: float, error: float = 0.01, degrees: float = 4, processes: int = 5) -> Ratio:
    return Ratio(math.log(value), error, degrees, processes, 15)


def test_one_machine_speaks_for_itself() -> None:
    alone = ratio(2.0)
    assert ratio_of_kind([alone]) == alone.interval
    assert over_machines([alone, ratio(2.2)]) is None


def test_the_interval_of_two_machines_covers_both() -> None:
    one, other = ratio(2.0), ratio(2.4)
    found = ratio_of_kind([one, other])
    assert found.value == pytest.approx(math.sqrt(2.0 * 2.4))
    assert (found.low, found.high) == (one.interval.low, other.interval.high)


def test_the_spread_between_three_machines_decides_and_not_that_within() -> None:
    """Machines with narrow intervals that are far apart leave their kind uncertain."""
    sure = [ratio(value, error=1e-6) for value in (1.0, 1.5, 2.2)]
    found = ratio_of_kind(sure)
    assert found.high / found.low > 3
    unsure_but_alike = [ratio(2.0, error=0.2) for _ in range(3)]
    assert ratio_of_kind(unsure_but_alike).high == pytest.approx(2.0)


def test_the_interval_over_machines_covers_the_truth_as_often_as_it_says() -> None:
    """Of 600 intervals of 95 %, 551 to 587 contain the truth except for a chance of 1 in 1,000."""
    random = np.random.default_rng(11)
    covered = 0
    for _ in range(600):
        own = 0.7 + random.normal(0, 0.05, 4)
        machines = [Ratio(float(m + random.normal(0, 0.01)), 0.01, 4, 5, 15) for m in own]
        found = ratio_of_kind(machines)
        covered += found.low <= math.exp(0.7) <= found.high
    assert 551 <= covered <= 587


def test_a_verdict_on_fewer_than_three_is_one_that_each_gives() -> None:
    both = [ratio(0.5), ratio(0.6)]
    divided = [ratio(0.5), ratio(1.6)]
    one_unsure = [ratio(0.5), ratio(0.9, error=0.5)]
    assert judge_kinds([both, divided, one_unsure]) == ["faster", "undecided", "undecided"]


def test_a_verdict_on_a_kind_is_over_its_machines() -> None:
    alike = [ratio(value) for value in (0.50, 0.51, 0.49)]
    apart = [ratio(value, error=1e-6) for value in (0.5, 0.9, 1.7)]
    assert judge_kinds([alike, apart]) == ["faster", "undecided"]


def test_more_questions_ask_for_more_evidence() -> None:
    """All verdicts are one family, for all kinds of machines."""
    borderline = [ratio(0.97, error=0.01)]
    assert judge_kinds([borderline]) == ["faster"]
    assert judge_kinds([borderline, *[[ratio(1.0, error=0.3)]] * 9])[0] == "undecided"


def test_runs_on_one_machine_do_not_count_as_more_machines() -> None:
    runs = [ratio(2.0), ratio(2.1), ratio(1.9)]
    found = within_machine(runs)
    assert found.log_mean == pytest.approx(float(np.mean([one.log_mean for one in runs])))
    assert found.log_standard_error == pytest.approx(0.01 / math.sqrt(3))
    assert found.degrees == pytest.approx(12)
    assert within_machine([Ratio(0.1, 0.0, 0.0, 1, 3), ratio(1.1)]).degrees == 0, "nothing is known of one's spread"


def test_a_time_has_students_interval_over_machines() -> None:
    machines = [Interval(value=value, low=value * 0.99, high=value * 1.01) for value in (1.0, 1.1, 1.21)]
    found = estimate_of_kind(machines)
    assert found.value == pytest.approx(1.1)
    assert math.log(found.high / found.value) == pytest.approx(4.303 * math.log(1.1) / math.sqrt(3), rel=1e-3)
    assert spread_between([1.0, 1.1, 1.21]) == pytest.approx(math.log(1.1))
    assert spread_between([1.0]) is None
