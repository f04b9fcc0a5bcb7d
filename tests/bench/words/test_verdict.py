"""The verdict's wording, case by case: its claims, and above all what it does not claim."""

from __future__ import annotations

from typing import Literal

import pytest

from assay.bench.report.evidence import Evidence
from assay.bench.report.page.blocks import Lanes
from assay.bench.report.sections.cases import all_cases as section
from assay.bench.report.sections.times.speed import what_is_told
from assay.bench.words.verdict import Verdict, headline, verdicts
from assay.records.base import Interval
from assay.records.races import SpeedComparison
from assay.records.results import Agreement, Cell, Results
from assay.records.timings import Steadiness
from assay.registry import FRAMEWORKS
from tests.bench.report.sample_results import agreement, plain, sample_results

BASE = sample_results((64,), (1,), ("bloodnet",))
ONNX, NATIVE = "ort.cpu@torch-dynamo", "tf.function"


def study(**update: object) -> Results:
    """The base record with parts replaced."""
    return BASE.model_copy(update=update)


def compared(speedup: tuple[float, float, float], verdict: Literal["faster", "slower", "undecided"]) -> Results:
    """One group in which ONNX has this speed-up over native."""
    value, low, high = speedup
    estimate = Interval(value=value, low=low, high=high)
    update = {"onnx": ONNX, "native": NATIVE, "speedup": estimate, "verdict": verdict}
    return study(comparisons=[BASE.comparisons[0].model_copy(update=update)])


def with_cells(results: Results, label: str, **update: object) -> Results:
    """The record with the cells of a label (or, for a name that ends in a dot, of a framework) changed."""
    cells = [cell.model_copy(update=update) if matches(cell, label) else cell for cell in results.cells]
    return results.model_copy(update={"cells": cells})


def matches(cell: Cell, label: str) -> bool:
    return cell.label == label or (label == "onnx" and cell.framework == "onnx")


def only(results: Results) -> Verdict:
    (found,) = verdicts(results)
    return found


def test_faster() -> None:
    found = only(compared((3.12, 3.02, 3.21), "faster"))
    assert found.outcome == "faster"
    assert plain(found.sentence) == (
        "On this machine, with bloodnet at 64x64 and batch 1, ONNX Runtime (torch-dynamo export) is 3.12x (3.02-3.21) "
        "faster than the fastest native runtime, tf.function; agreement holds."
    )


def test_slower_turns_the_ratio_round_with_its_interval() -> None:
    found = only(compared((0.5, 0.4, 0.625), "slower"))
    assert found.outcome == "slower"
    assert "is 2.0x (1.6-2.5) slower than the fastest native runtime, tf.function" in plain(found.finding)


@pytest.mark.parametrize(
    ("share", "without"),
    [
        (0.0, ""),
        (0.01, ""),
        (0.05, " (or 2.9x, without the 5% of the faster call that the harness itself takes)"),
    ],
)
def test_the_ratio_of_short_calls_is_also_told_without_the_harness(share: float, without: str) -> None:
    found = only(with_cells(compared((2.8, 2.7, 2.9), "faster"), ONNX, steadiness=Steadiness(floor_share=share)))
    assert f"2.80x (2.70-2.90) faster than the fastest native runtime, tf.function{without}; " in plain(found.finding)


def test_undecided_claims_nothing() -> None:
    found = only(compared((1.02, 0.97, 1.07), "undecided"))
    assert found.outcome == "undecided"
    assert "cannot be distinguished" in found.finding
    assert "1.02x (0.97-1.07), which is not enough evidence for either side" in plain(found.finding)
    assert "faster than" not in found.finding


def test_the_detectable_difference_is_stated() -> None:
    results = compared((1.02, 0.97, 1.07), "undecided")
    known = results.comparisons[0].model_copy(update={"told": 0.0613, "processes": 3})
    told = results.model_copy(update={"comparisons": [known]})
    assert "(with 3 processes differences under 6.1 % cannot be detected)" in plain(only(told).finding)
    assert "cannot be detected:" in plain(what_is_told(told.comparisons))
    assert "With 3 processes" in what_is_told(told.comparisons)
    assert "With 3 to 5 processes" in what_is_told([known, known.model_copy(update={"processes": 5})])
    assert what_is_told(results.comparisons) == ""
    assert "under" not in only(results).finding, "a record of before does not know"


def test_two_processes_give_no_verdict_and_that_is_said() -> None:
    results = compared((1.5, 0.9, 2.4), "undecided")
    (comparison,) = results.comparisons
    few = results.model_copy(update={"comparisons": [comparison.model_copy(update={"processes": 2})]})
    assert "were timed in 2 processes each, and a verdict takes 3: the ratio" in only(few).finding


def test_the_same_within_the_margin_is_an_answer() -> None:
    found = only(compared((1.005, 0.995, 1.015), "same"))
    assert found.outcome == "same"
    assert "are the same within 2 %" in found.finding
    assert "faster than" not in found.finding


def test_what_a_same_rests_on_is_said() -> None:
    results = compared((1.005, 0.995, 1.015), "same")
    (comparison,) = results.comparisons
    three = results.model_copy(update={"comparisons": [comparison.model_copy(update={"processes": 3})]})
    assert "(from 3 processes each; a slowdown of one process in five would be missed with a chance of 51%)" in (
        only(three).finding
    )


def test_processes_of_two_kinds_are_named_beside_the_verdict() -> None:
    kinds = Steadiness(kinds="2 of 10 processes are 8.0% slower than the rest")
    results = with_cells(compared((3.1, 3.0, 3.2), "faster"), ONNX, steadiness=kinds)
    told = ", where 2 of 10 processes are 8.0% slower than the rest (ONNX Runtime (torch-dynamo export));"
    assert told in only(results).finding


def test_an_invalid_cell_is_named_and_not_ranked() -> None:
    results = compared((3.1, 3.0, 3.2), "faster")
    spare = results.cells[0].model_copy(update={"label": "jax.jit", "name": "x", "invalid": ["drift: +9.0%"]})
    found = only(results.model_copy(update={"cells": [*results.cells, spare]}))
    assert "not ranked, because the measurement is invalid: jax.jit" in found.finding


def test_a_comparison_may_name_cells_in_full() -> None:
    results = compared((3.1, 3.0, 3.2), "faster")
    prefix = "bloodnet/64/b1/t1/"
    names = {"onnx": prefix + ONNX, "native": prefix + NATIVE}
    full = results.model_copy(update={"comparisons": [results.comparisons[0].model_copy(update=names)]})
    assert only(full) == only(results)


@pytest.mark.parametrize("label", [ONNX, NATIVE])
def test_an_output_that_does_not_agree_makes_the_time_invalid(label: str) -> None:
    results = with_cells(compared((3.1, 3.0, 3.2), "faster"), label, agreement=agreement(label, error=0.3))
    found = only(results)
    assert found.outcome == "invalid"
    assert "must not be used: agreement FAILS" in found.finding
    assert "differs by 0.3, where 6.4e-05 is tolerated" in found.finding
    assert "faster" not in found.finding


def test_a_file_that_does_not_agree_makes_the_time_invalid() -> None:
    results = compared((3.1, 3.0, 3.2), "faster")
    bad: list[Agreement] = [agreement("torch-dynamo at level 99", error=0.3)]
    exports = [
        export.model_copy(update={"agreement": bad}) if export.exporter == "torch-dynamo" else export
        for export in results.exports
    ]
    assert only(results.model_copy(update={"exports": exports})).outcome == "invalid"


def test_a_right_file_that_only_the_optimiser_gets_wrong_leaves_each_runtime_its_own_numbers() -> None:
    results = compared((3.1, 3.0, 3.2), "faster")
    update = {"agreement": [agreement("torch-dynamo at level 99", error=0.3)], "file_is_right": True}
    exports = [
        export.model_copy(update=update) if export.exporter == "torch-dynamo" else export for export in results.exports
    ]
    assert only(results.model_copy(update={"exports": exports})).outcome == "faster"


def test_agreement_that_was_not_measured_is_not_claimed() -> None:
    results = with_cells(compared((3.1, 3.0, 3.2), "faster"), NATIVE, agreement=None)
    assert only(results).finding.endswith("; agreement was not measured for tf.function.")


def test_changed_classes_are_said_even_within_the_tolerance() -> None:
    results = with_cells(compared((3.1, 3.0, 3.2), "faster"), ONNX, agreement=agreement(ONNX, flips=2))
    assert only(results).finding.endswith("agreement holds, though 2 of 256 images changed class.")


def test_cells_that_were_left_out_as_wrong_are_named() -> None:
    results = compared((3.1, 3.0, 3.2), "faster")
    results = with_cells(results, "jax.eager", agreement=agreement("jax.eager", error=0.3))
    ratios = {label: ratio for label, ratio in results.comparisons[0].ratios.items() if label != "jax.eager"}
    comparison: SpeedComparison = results.comparisons[0].model_copy(update={"ratios": ratios})
    found = only(results.model_copy(update={"comparisons": [comparison]}))
    assert found.finding.endswith("agreement holds; not ranked, because agreement fails: jax.eager.")


def test_no_onnx_cell_was_asked_for() -> None:
    cells = [cell for cell in BASE.cells if cell.framework != "onnx"]
    found = only(study(cells=cells, comparisons=[]))
    assert (found.outcome, found.finding) == ("missing", "nothing is compared: no ONNX runtime was requested.")


def test_no_onnx_cell_finished() -> None:
    results = with_cells(study(comparisons=[]), "onnx", status="failed", host=None, reason="killed by signal 9.")
    assert only(results).finding == (
        "nothing is compared: no ONNX runtime finished (9 cells failed or skipped; ort.cpu@torch-dynamo: "
        "killed by signal 9)."
    )


def test_no_onnx_cell_agrees() -> None:
    results = with_cells(study(comparisons=[]), "onnx", agreement=agreement("it", error=1.0))
    assert "no ONNX runtime gave outputs that agree (agreement FAILS for ort.cpu@torch-dynamo" in only(results).finding


def test_one_onnx_cell_that_agrees_and_is_invalid_is_not_called_wrong() -> None:
    results = study(comparisons=[])
    cells = [cell.model_copy(update={"invalid": ["drift"]}) if cell.exporter else cell for cell in results.cells]
    wrong = next(cell for cell in cells if matches(cell, ONNX) and cell.agreement)
    told = wrong.model_copy(update={"agreement": wrong.agreement.model_copy(update={"passed": False})})
    results = results.model_copy(update={"cells": [told if cell is wrong else cell for cell in cells]})
    finding = only(results).finding
    assert "gave outputs that agree" not in finding
    assert "no ONNX runtime has a valid measurement" in finding


def test_no_native_cell() -> None:
    cells = [cell for cell in BASE.cells if cell.framework == "onnx"]
    finding = only(study(cells=cells, comparisons=[])).finding
    assert finding.startswith("ONNX Runtime (torch-dynamo export) is the fastest of 9 valid ONNX cells with ")
    assert finding.endswith("; no native runtime was requested.")


def test_both_were_timed_but_not_compared() -> None:
    assert "no comparison was recorded" in only(study(comparisons=[])).finding


def test_native_cells_of_reduced_precision_are_not_a_basis_and_are_named() -> None:
    cells = [
        cell.model_copy(update={"precision": "bf16" if cell.framework in FRAMEWORKS else "fp32"}) for cell in BASE.cells
    ]
    assert only(study(cells=cells, comparisons=[])).finding == (
        "nothing is compared: the native runtimes compute in bf16 and those of ONNX in fp32, and a difference in "
        "precision is no basis for a verdict on ONNX."
    )


def test_a_comparison_in_reduced_precision_names_it() -> None:
    results = compared((1.5, 1.4, 1.6), "faster")
    halves = results.model_copy(update={"cells": [c.model_copy(update={"precision": "fp16"}) for c in results.cells]})
    assert " in fp16 is " in only(halves).finding
    assert " in fp16" not in only(results).finding


def test_threads_are_named_only_where_they_differ() -> None:
    second = [cell.model_copy(update={"threads": 4}) for cell in BASE.cells]
    results = study(cells=[*BASE.cells, *second])
    places = [plain(found.place) for found in verdicts(results)]
    assert places == ["At 64x64 and batch 1 with 1 thread", "At 64x64 and batch 1 with 4 threads"]


def test_the_headline_counts_every_outcome() -> None:
    results = sample_results()
    changed = [
        comparison.model_copy(update={"verdict": verdict})
        for comparison, verdict in zip(results.comparisons, ["undecided", "slower"] + ["faster"] * 14, strict=True)
    ]
    results = results.model_copy(update={"comparisons": changed[:-1]})
    wrong = "resnet18/224/b1/t1/" + changed[-2].onnx
    cells = [
        cell.model_copy(update={"agreement": agreement(wrong, error=0.5)}) if cell.name == wrong else cell
        for cell in results.cells
    ]
    text = headline(results.model_copy(update={"cells": cells}))
    assert text.startswith("On this machine, ONNX is faster than the fastest native runtime in 12 of 16 cases (")
    assert "slower in 1 and undecided in 1. 1 comparison must not be used: agreement fails." in text
    assert text.endswith("In 1 case there was nothing to compare.")


def test_the_headline_of_nothing_and_of_one() -> None:
    assert headline(study(cells=[], comparisons=[])) == "This study timed nothing, so there is no verdict on speed."
    one = compared((3.1, 3.0, 3.2), "faster")
    assert headline(one) == only(one).sentence


def test_where_nothing_could_be_compared_the_headline_says_why() -> None:
    native = [cell for cell in sample_results().cells if cell.framework != "onnx"]
    text = headline(study(cells=native, comparisons=[]))
    assert text == "On this machine nothing is compared: no ONNX runtime was requested."


def test_the_section_signs_every_sentence_with_its_outcome() -> None:
    made = section(Evidence(compared((1.02, 0.97, 1.07), "undecided")))
    assert made is not None
    (lanes,) = made.blocks
    assert isinstance(lanes, Lanes)
    (lane,) = lanes.lanes
    assert (lane.sign, lane.tone) == ("undecided", "notice")
    assert plain(lane.texts[0]).startswith("At 64x64 and batch 1, ONNX Runtime")
