"""Exit code 0 means an answer: what leaves the question open, and the message then."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from assay.bench.judging.answers import unanswered
from assay.bench.judging.validity import times_may_change, to_time_again
from assay.bench.timing.trials import MINUTES_SPENT
from assay.bench.words.verdict import verdicts
from assay.records.results import Cell, Results
from assay.registry import FRAMEWORKS
from tests.bench.judging.test_validity import AGREES, WRONG, cell
from tests.bench.judging.test_validity import timing as timed
from tests.bench.report.sample_results import agreement, sample_results
from tests.good_run import refusals_of

STOLEN = "stolen processor time: 8.7%, at most 2% is tolerated"
Choose = Callable[[Cell], bool]


def changed(results: Results, which: Choose, *, compared: bool, **changes: Any) -> Results:
    cells = [one.model_copy(update=changes) if one.framework and which(one) else one for one in results.cells]
    kept = results.comparisons if compared else []
    return results.model_copy(update={"cells": cells, "comparisons": kept})


@pytest.fixture(scope="module")
def results() -> Results:
    return sample_results()


def everything(one: Cell) -> bool:
    return bool(one.framework)


def onnx(one: Cell) -> bool:
    return one.framework == "onnx"


def native(one: Cell) -> bool:
    return one.framework in FRAMEWORKS


def test_a_comparison_is_an_answer(results: Results) -> None:
    assert unanswered(results) == []


def test_times_that_are_all_invalid_answer_nothing(results: Results) -> None:
    found = unanswered(changed(results, everything, compared=False, invalid=[STOLEN]))
    assert found == [
        "nothing is compared, since no time is VALID: run it again on a quiet machine, which times INVALID cells again"
    ]
    assert STOLEN not in found[0], "the verdict has said it"


@pytest.mark.parametrize("side", [onnx, native])
def test_one_side_that_is_invalid_leaves_nothing_to_compare(results: Results, side: Choose) -> None:
    (found,) = unanswered(changed(results, side, compared=False, invalid=[STOLEN]))
    assert found.startswith("nothing is compared, since not every time is VALID")


def test_one_side_that_was_asked_for_alone_is_an_answer_where_it_is_valid(results: Results) -> None:
    alone = results.model_copy(update={"cells": [one for one in results.cells if not native(one)], "comparisons": []})
    assert unanswered(alone) == []
    (found,) = unanswered(changed(alone, onnx, compared=False, invalid=[STOLEN]))
    assert "no time is VALID" in found


def test_comparisons_of_wrong_numbers_are_not_an_answer(results: Results) -> None:
    wrong = agreement("outputs", error=1.0).model_copy(update={"passed": False, "reason": "differs"})
    (found,) = unanswered(changed(results, everything, compared=True, agreement=wrong))
    assert found.startswith("nothing is compared")


@pytest.mark.parametrize("reason", ["none were left", MINUTES_SPENT])
def test_more_minutes_are_asked_for_where_they_were_spent(results: Results, reason: str) -> None:
    """A field has the reason, whatever its words are."""
    skipped = {"status": "skipped", "host": None, "device": None, "reason": reason}
    late = changed(results, everything, compared=False, lacks="time", **skipped)
    assert "more minutes" in unanswered(late)[0]
    (found,) = unanswered(changed(results, everything, compared=False, lacks="file", **skipped))
    assert "minutes" not in found


def test_more_minutes_are_asked_for_where_too_few_processes_were_timed(results: Results) -> None:
    few = ["too few processes: 1, at least 2 are needed"]
    assert "more minutes" in unanswered(changed(results, everything, compared=False, invalid=few))[0]
    (found,) = unanswered(changed(results, everything, compared=False, invalid=[*few, STOLEN]))
    assert "quiet machine" in found


FLOOR = "harness floor: 22.0% of the median, at most 10% is tolerated"


def test_calls_that_are_too_short_to_rank_are_an_answer_that_says_so(results: Results) -> None:
    for side in (everything, onnx):
        short = changed(results, side, compared=False, invalid=[FLOOR])
        assert unanswered(short) == []
        finding = verdicts(short)[0].finding
        assert finding.startswith("nothing is ranked, because calls are too short: the longest of them, with ")
        assert "harness floor: 22.0%" in finding
        assert "valid measurement" not in finding
    (found,) = unanswered(changed(results, everything, compared=False, invalid=[FLOOR, STOLEN]))
    assert "quiet machine" in found
    alone = results.model_copy(update={"cells": [one for one in results.cells if not native(one)], "comparisons": []})
    alone = changed(alone, onnx, compared=False, invalid=[FLOOR])
    assert unanswered(alone) == []
    assert "too short" in verdicts(alone)[0].finding


def test_compare_model_refuses_an_open_question(results: Results) -> None:
    assert refusals_of(changed(results, everything, compared=False, invalid=[STOLEN])) == unanswered(
        changed(results, everything, compared=False, invalid=[STOLEN])
    )


def test_without_a_file_to_time_more_minutes_are_not_suggested(results: Results) -> None:
    failed = [
        one.model_copy(update={"status": "failed", "reason": "no route", "agreement": []}) for one in results.exports
    ]
    skipped = {"status": "skipped", "host": None, "device": None, "reason": "the export failed: no route"}
    found = refusals_of(changed(results, everything, compared=False, **skipped).model_copy(update={"exports": failed}))
    assert found == ["no route gave a usable ONNX file"]


def test_invalid_cells_are_timed_again_unless_only_their_numbers_are_the_reason() -> None:
    from assay.bench.judging.validity import reasons  # noqa: PLC0415

    def invalid(**changes: Any) -> Cell:
        one = cell(**changes)
        return one.model_copy(update={"invalid": reasons(one)})

    calls = timed(1.0, processes=2).model_copy(update={"samples": 7})
    disturbed, few = invalid(processor_use=0.4), invalid(host=calls)
    alone = invalid(host=timed(1.0, processes=1))
    wrong, both = invalid(timed_agreement=WRONG), invalid(timed_agreement=WRONG, processor_use=0.4)
    assert to_time_again([invalid(), disturbed, few, wrong, both]) == [disturbed, few, both]
    assert alone.invalid
    assert not times_may_change(alone), "a process is added to the one it has"
    assert not times_may_change(cell(timed_agreement=AGREES))
    untimed = cell().model_copy(update={"status": "failed", "host": None})
    assert to_time_again([untimed]) == [], "it has no times that could be others"
