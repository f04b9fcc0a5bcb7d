"""Verdicts: known p-values, and error rates by simulation with the spread measured on real workers."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from assay.bench.judging.verdicts import difference_p_value, equivalence_p_value, holm, judge, least_told
from assay.bench.statistics.stats import Ratio

PROCESS_SPREAD = 0.014
LEVEL = 0.05
FAMILIES = 2000
# Of 2000 families the number with an error is binomial. Where the true rate is the level, its standard deviation is
# 0.5 %, so a rate 4 of those above the level (7 %) has a chance of 1 in 10,000 or less.
MOST_ERRORS = LEVEL + 4 * math.sqrt(LEVEL * (1 - LEVEL) / FAMILIES)


def ratio(percent: float, error_percent: float, degrees: float = 9) -> Ratio:
    return Ratio(math.log1p(percent / 100), error_percent / 100, degrees, int(min(degrees, 99)) + 1, 50)


def simulated(random: np.random.Generator, truths: list[float], processes: int) -> list[Ratio]:
    """Ratios of this many processes that differ by 1.4 %, with given true logarithms."""
    logs = np.asarray(truths)[:, None] + random.normal(0, PROCESS_SPREAD, (len(truths), processes))
    errors = logs.std(axis=1, ddof=1) / math.sqrt(processes)
    return [
        Ratio(float(mean), float(error), processes - 1, processes, processes)
        for mean, error in zip(logs.mean(axis=1), errors, strict=True)
    ]


def test_the_four_verdicts() -> None:
    """Each comparison alone: a family of one."""
    found = [judge([one])[0] for one in (ratio(-5, 0.5), ratio(5, 0.5), ratio(0.1, 0.5), ratio(2, 1.5))]
    assert found == ["faster", "slower", "same", "undecided"]


def test_a_certain_difference_that_does_not_matter_is_the_same() -> None:
    tiny = ratio(0.5, 0.05)
    assert difference_p_value(tiny) < 1e-5
    assert judge([tiny]) == ["same"]
    assert judge([tiny], margin=0.001) == ["slower"]


def test_p_values_are_students() -> None:
    """t = 2.262 is the 97.5 % point of Student's distribution with 9 degrees of freedom, 1.833 the 95 % point."""
    assert difference_p_value(Ratio(0.02262, 0.01, 9, 10, 50)) == pytest.approx(0.05, abs=1e-4)
    assert equivalence_p_value(Ratio(math.log(1.02) - 0.01833, 0.01, 9, 10, 50)) == pytest.approx(0.05, abs=1e-4)


def test_holms_own_example_of_the_steps() -> None:
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([]) == []
    assert holm([0.9, 0.8]) == [1.0, 1.0]


@given(st.lists(st.floats(0, 1), min_size=1, max_size=20))
def test_holm_keeps_the_order_and_corrects_upwards(p_values: list[float]) -> None:
    adjusted = holm(p_values)
    assert all(plain <= corrected <= 1 for plain, corrected in zip(p_values, adjusted, strict=True))
    assert min(adjusted) == min(1.0, min(p_values) * len(p_values))
    order = np.argsort(p_values, kind="stable")
    assert [adjusted[i] for i in order] == sorted(adjusted)


def test_a_family_needs_stronger_evidence_than_one_comparison() -> None:
    one = ratio(3, 1.2)
    assert judge([one]) == ["slower"]
    assert judge([one] + [ratio(0, 1.2)] * 9)[0] == "undecided"


def test_without_knowledge_of_the_spread_nothing_is_decided() -> None:
    assert judge([Ratio(1.0, 0.0, 0, 1, 1), Ratio(0.0, 0.0, 0, 1, 1)]) == ["undecided", "undecided"]


def test_a_cell_against_itself_is_the_same() -> None:
    assert judge([Ratio(0.0, 0.0, math.inf, 3, 9)]) == ["same"]


def test_the_other_way_round_the_verdict_turns() -> None:
    assert judge([ratio(-5, 0.5).inverse, ratio(5, 0.5).inverse]) == ["slower", "faster"]


@pytest.mark.parametrize("processes", [3, 5, 10])
def test_false_differences_in_a_family_of_identical_ones(processes: int) -> None:
    """Ten equal comparisons: at least one is judged different in at most 5 % of the families."""
    random = np.random.default_rng(processes)
    wrong = [bool({"faster", "slower"} & set(judge(simulated(random, [0.0] * 10, processes)))) for _ in range(FAMILIES)]
    assert np.mean(wrong) <= MOST_ERRORS


@pytest.mark.parametrize("processes", [5, 10, 30])
def test_false_sameness_in_a_family_at_the_margin(processes: int) -> None:
    """Ten comparisons that differ by exactly the margin: at least one is judged the same in at most 5 % of the
    families.
    """
    random = np.random.default_rng(processes)
    edge = [math.log(1.02), -math.log(1.02)] * 5
    wrong = ["same" in judge(simulated(random, edge, processes)) for _ in range(FAMILIES)]
    assert np.mean(wrong) <= MOST_ERRORS


def test_power_of_ten_processes() -> None:
    """Alone, 3 % is found in 19 of 20 and identity in most. 400 repeats: three deviations of 95 % are 3.3 %."""
    random = np.random.default_rng(0)
    slower = [judge(simulated(random, [math.log(1.03)], 10))[0] for _ in range(400)]
    same = [judge(simulated(random, [0.0], 10))[0] for _ in range(400)]
    assert slower.count("slower") / 400 >= 0.95
    assert same.count("same") / 400 >= 0.9


@pytest.mark.parametrize(("processes", "family"), [(3, 1), (5, 1), (10, 1), (10, 16)])
def test_the_stated_difference_is_found_four_times_out_of_five(processes: int, family: int) -> None:
    """With processes that differ by 2 % and a known spread, the stated difference gives a verdict in 80 % of cases."""
    known = Ratio(0.0, 0.02 / math.sqrt(processes), 1e5, processes, 40)
    told = least_told(known, family)
    assert told is not None
    random = np.random.default_rng(processes)
    estimates = random.normal(math.log1p(told), 0.02 / math.sqrt(processes), 2000)
    level = 0.05 / family
    found = [difference_p_value(replace(known, log_mean=float(one))) <= level for one in estimates]
    assert np.mean(found) == pytest.approx(0.8, abs=0.04)


def test_fewer_processes_and_more_rivals_tell_less() -> None:
    told = [least_told(Ratio(0.0, 0.01, count - 1, count, 9)) or 0 for count in (3, 5, 10)]
    assert told == sorted(told, reverse=True)
    assert (least_told(Ratio(0.0, 0.01, 2, 3, 9, numerators=30)) or 0) > 1.9 * told[0]
    assert least_told(Ratio(0.0, 0.0, 0, 1, 1)) is None


@pytest.mark.parametrize("processes", [1, 2])
def test_fewer_than_three_processes_give_no_verdict_however_sure_they_look(processes: int) -> None:
    few = [Ratio(log_mean, 1e-9, 1, processes, 20) for log_mean in (0.0, 0.5, -0.5)]
    assert judge(few) == ["undecided"] * 3
    assert [least_told(ratio) for ratio in few] == [None] * 3
    assert judge([replace(ratio, processes=3, degrees=2) for ratio in few]) == ["same", "slower", "faster"]


def test_two_processes_take_no_power_from_the_rest_of_a_family() -> None:
    """No false statement can be made about them, so they are not part of the correction."""
    sure, few = Ratio(0.2, 0.02, 4, 5, 20), Ratio(0.5, 1e-9, 1, 2, 20)
    assert judge([sure] + [few] * 20) == [*judge([sure]), *["undecided"] * 20]


def test_the_detectable_difference_is_students_bound_plus_four_fifths_power() -> None:
    """At two degrees of freedom: 4.3027 leaves a fortieth above it, 6.2053 an eightieth and 1.0607 a fifth."""
    known = Ratio(0.0, 0.01, 2, 3, 9)
    assert least_told(known) == pytest.approx(math.expm1((4.302653 + 1.060660) * 0.01), rel=1e-5)
    assert least_told(known, family=2) == pytest.approx(math.expm1((6.205347 + 1.060660) * 0.01), rel=1e-5)
    assert least_told(known, confidence=0.9) == pytest.approx(math.expm1((2.919986 + 1.060660) * 0.01), rel=1e-5)
    rivals = [least_told(replace(known, **{side: 4})) for side in ("numerators", "denominators")]
    assert rivals[0] == rivals[1]
    assert least_told(replace(known, log_standard_error=1e6)) == pytest.approx(math.expm1(700))


def test_one_degree_of_freedom_of_three_processes_still_tells_something() -> None:
    assert least_told(Ratio(0.0, 0.001, 1, 3, 9)) is not None


def test_an_estimate_of_one_is_not_a_difference_and_confidence_is_as_requested() -> None:
    assert difference_p_value(ratio(0, 1)) == 1.0
    three_errors = Ratio(0.3, 0.1, 9, 10, 50)  # p = 0.015
    assert judge([three_errors]) == ["slower"]
    assert judge([three_errors], confidence=0.99) == ["undecided"]


def test_the_margin_is_as_wide_below_one_as_above() -> None:
    """Just inside and just outside 1 / 1.02 and 1.02, with an almost certain estimate."""
    for edge in (math.log(1.02), -math.log(1.02)):
        assert judge([Ratio(0.999 * edge, 1e-7, 9, 10, 50)]) == ["same"]
        assert judge([Ratio(1.001 * edge, 1e-7, 9, 10, 50)]) == ["slower" if edge > 0 else "faster"]
