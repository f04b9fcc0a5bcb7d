"""The change of a cell between two runs: a regression has to be significant, and needs two times."""

from __future__ import annotations

import math

import numpy as np
import pytest

from assay.bench.comparing.compare import (
    CellPair,
    Change,
    Outcome,
    Side,
    changed_versions,
    changes_of,
    compare_runs,
    slower_p_value,
    unpaired_ratio,
)
from assay.bench.statistics.stats import Ratio, Samples
from assay.errors import InputError
from assay.records.results import Results
from tests.bench.comparing.test_compare import changed, small_results, with_threads
from tests.bench.judging.test_validity import WRONG, cell, timing

FIVE_PERCENT = math.log1p(0.05)


def by(log_ratio: float, error: float, **new: object) -> CellPair:
    return CellPair(cell(), cell(**new), Ratio(log_ratio, error, 2, 3, 12))


def test_a_slowdown_is_compared_with_the_threshold_on_one_side() -> None:
    """At two degrees of freedom 2.92 errors leave a twentieth beyond them, and 4.3027 a fortieth."""
    at = [slower_p_value(Ratio(FIVE_PERCENT + errors * 0.01, 0.01, 2, 3, 12), 0.05) for errors in (2.919986, 4.302653)]
    assert at == pytest.approx([0.05, 0.025], abs=1e-6)
    assert slower_p_value(Ratio(FIVE_PERCENT - 2.919986 * 0.01, 0.01, 2, 3, 12), 0.05) == pytest.approx(0.95, abs=1e-6)
    assert slower_p_value(Ratio(FIVE_PERCENT, 0.01, 2, 3, 12), 0.05) == pytest.approx(0.5)
    assert slower_p_value(Ratio(0.0292, 0.01, 2, 3, 12), 0.0) == pytest.approx(0.05, abs=1e-4)


@pytest.mark.parametrize(("errors", "regression"), [(2.93, True), (2.91, False), (0.0, False), (-50.0, False)])
def test_a_regression_is_shown_to_exceed_the_threshold(errors: float, regression: bool) -> None:
    (found,) = changes_of([by(FIVE_PERCENT + errors * 0.01, 0.01)], 0.05)
    assert found.regression == regression
    assert (found.base_ms, found.new_ms, found.reason) == (1.0, 1.0, "")
    assert found.ratio is not None
    assert found.ratio.value == pytest.approx(math.exp(FIVE_PERCENT + errors * 0.01))


def test_all_that_is_judged_is_one_family() -> None:
    sure, names = by(FIVE_PERCENT + 0.0293, 0.01), [f"bloodnet/28/b1/t1/{label}" for label in "abc"]
    others = [by(0.0, 0.01, name=name) for name in names]
    assert [one.regression for one in changes_of([sure], 0.05)] == [True]
    assert [one.regression for one in changes_of([sure, *others], 0.05)] == [False] * 4
    assert [one.name for one in changes_of([sure, *others], 0.05)] == [cell().name, *names]


def test_a_change_within_the_threshold_is_the_same() -> None:
    assert [one.verdict for one in changes_of([by(0.03, 0.001)], 0.05)] == ["same"]
    assert [one.verdict for one in changes_of([by(0.03, 0.001)], 0.01)] == ["slower"]


NO_TIME = {"status": "failed", "reason": "it crashed", "host": None}
SKIPPED = {"status": "skipped", "reason": "no time was left", "host": None}
INVALID = {"invalid": ["drift: +9.0%", "throttled"]}


@pytest.mark.parametrize(
    ("base", "new", "verdict", "regression", "reason"),
    [
        ({}, NO_TIME, "broken", True, "in new: failed: it crashed"),
        ({}, {"agreement": WRONG}, "broken", True, "in new: its output is wrong: differs by 0.1"),
        ({}, SKIPPED, "not judged", False, "in new: skipped: no time was left"),
        ({}, INVALID, "not judged", False, "in new: its times are invalid: drift: +9.0%; throttled"),
        (NO_TIME, {}, "not judged", False, "in base: failed: it crashed"),
        (NO_TIME, NO_TIME, "not judged", False, "in base: failed: it crashed"),
        (INVALID, {}, "not judged", False, "in base: its times are invalid"),
        ({}, {"status": "ok", "reason": "", "host": None}, "broken", True, "in new: ok: "),
    ],
)
def test_what_has_no_time_that_counts_is_broken_where_it_had_one_and_its_measurement_is_not_to_blame(
    base: dict[str, object], new: dict[str, object], verdict: str, regression: bool, reason: str
) -> None:
    (found,) = changes_of([CellPair(cell(**base), cell(**new), Ratio(1.0, 0.001, 2, 3, 12))], 0.05)
    assert (found.verdict, found.regression, found.ratio) == (verdict, regression, None)
    assert found.reason.startswith(reason)
    assert (found.base_ms, found.new_ms) == tuple(None if one.get("host", 1) is None else 1.0 for one in (base, new))


def test_without_samples_nothing_is_judged() -> None:
    (found,) = changes_of([CellPair(cell(), cell(host=timing(2.0)), None)], 0.05)
    assert (found.verdict, found.reason) == ("not judged", "one of the two sides has no samples")
    assert (found.base_ms, found.new_ms) == (1.0, 2.0)


def test_an_empty_comparison_does_not_pass() -> None:
    def outcome(*changes: Change) -> Outcome:
        return Outcome(base="a", new="b", interleaved=False, threshold=0.05, changes=list(changes))

    (good,) = changes_of([by(0.0, 0.001)], 0.05)
    (bad,) = changes_of([by(1.0, 0.001)], 0.05)
    (none,) = changes_of([CellPair(cell(), cell(), None)], 0.05)
    found = [outcome(*changes).passed for changes in ((), (none,), (good,), (good, none), (good, bad))]
    assert found == [False, False, True, True, False]
    assert outcome(good, bad).regressions == [bad]


def processes(*logs: float) -> Samples:
    return Samples(np.arange(len(logs)), np.zeros(len(logs), int), np.exp(logs))


def test_two_runs_are_compared_as_welch_does() -> None:
    """Errors of 0.02 / sqrt(3) with two degrees of freedom and of 0.02 with one."""
    found = unpaired_ratio(processes(0.1, 0.12, 0.14), processes(0.0, 0.04))
    one, other = 0.02**2 / 3, 0.02**2
    assert found.log_mean == pytest.approx(0.1)
    assert found.log_standard_error == pytest.approx(math.sqrt(one + other))
    assert found.degrees == pytest.approx((one + other) ** 2 / (one**2 / 2 + other**2))
    assert (found.processes, found.blocks) == (2, 2)
    assert unpaired_ratio(processes(0.1), processes(0.0, 0.04, 0.08)).degrees == 0
    assert unpaired_ratio(processes(0.0, 0.04, 0.08), processes(0.1)).degrees == 0
    assert unpaired_ratio(processes(0.1, 0.1), processes(0.0, 0.0)).degrees == math.inf


def test_differing_versions_are_listed_and_a_package_of_one_side_is_none_on_the_other() -> None:
    found = changed_versions({"torch": "2.1", "numpy": "2", "jax": "1"}, {"torch": "2.2", "numpy": "2", "tf": "3"})
    assert found == {"jax": ("1", "none"), "tf": ("none", "3"), "torch": ("2.1", "2.2")}


def untimed(results: Results) -> Side:
    """A run with its records but without its samples."""
    return Side("a run", results, {})


def test_cells_are_matched_across_threads_only_where_each_side_has_one_count_and_it_is_the_question() -> None:
    one, two = small_results(), with_threads(small_results(), 2)
    outcome = compare_runs(untimed(one), untimed(two), allowed=["threads"])
    assert outcome.allowed == ["threads: 1, 2"]
    assert outcome.changes
    assert all("/t2/" in change.name for change in outcome.changes)
    assert (outcome.only_in_base, outcome.only_in_new) == ([], [])
    both = one.model_copy(update={"cells": [*one.cells, *two.cells]})
    mixed = compare_runs(untimed(one), untimed(both), allowed=["threads"])
    assert mixed.allowed == [], "one count is in both, and only that is compared"
    assert all("/t1/" in change.name for change in mixed.changes)
    assert len(mixed.only_in_new) == len(mixed.changes)
    assert all("/t2/" in name for name in mixed.only_in_new)


def test_differing_weights_or_precisions_are_listed_for_the_common_cells() -> None:
    base = small_results()
    new = changed(base, "torch.eager", precision="bf16", weights="f" * 64)
    outcome = compare_runs(untimed(base), untimed(new), allowed=["precision", "weights"])
    known = next(one for one in base.cells if one.label == "torch.eager")
    assert outcome.allowed == [f"precision: {known.precision}, bf16", f"weights: {known.weights[:12]}, {'f' * 12}"]
    gone = changed(base, "torch.eager", precision="bf16", host=None, status="failed")
    assert compare_runs(untimed(base), untimed(gone)).allowed == []


def test_cards_are_a_part_of_the_machine() -> None:
    base = small_results()
    new = base.model_copy(update={"environment": {**base.environment, "gpus": ["H100"]}})
    (said,) = compare_runs(untimed(base), untimed(new), allowed=["machine"]).allowed
    assert said.startswith("machine: ")
    assert said.endswith(", H100")


def test_runs_that_were_not_timed_in_turns_say_so_and_have_to_have_something_in_common() -> None:
    one = small_results()
    assert compare_runs(untimed(one), untimed(one)).interleaved is False
    timed = [each for each in one.cells if each.framework]
    alone = one.model_copy(update={"cells": [timed[0]]})
    others = one.model_copy(update={"cells": timed[1:4]})
    names = [each.name for each in timed]
    with pytest.raises(InputError) as refused:
        compare_runs(untimed(alone), untimed(others), allowed=["threads", "device", "precision"])
    assert f"found {names[0]} in a run, and {names[1]}, {names[2]} ... in a run" in str(refused.value)
    two = one.model_copy(update={"cells": timed[1:3]})
    with pytest.raises(InputError, match="no cell in common") as refused:
        compare_runs(untimed(two), untimed(one.model_copy(update={"cells": []})), allowed=["threads", "device"])
    assert f"found {names[1]}, {names[2]} in a run, and no cells in a run" in str(refused.value)
