"""Sentences on precisions beside the verdict: races within each, what was not timed, and the best of each tier."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from assay.bench.judging.answers import unanswered
from assay.bench.judging.judged import judged
from assay.bench.report.evidence import Evidence
from assay.bench.report.page.blocks import Lanes
from assay.bench.report.sections.cases import all_cases as section
from assay.bench.words.explanation import spoken
from assay.bench.words.verdict import headline, verdicts
from assay.records.base import Interval, Verdict
from assay.records.races import OF_ALL, Race
from assay.records.results import Cell, Results, read_results
from tests.bench.judging.test_judged import audit_that_fails
from tests.bench.judging.test_judged import timed as study
from tests.bench.judging.test_races import timed as calls
from tests.bench.report.sample_results import agreement, plain

ONNX, NATIVE, INT8 = "ort.cpu@torch-dynamo", "tf.function", "ort.cpu@torch-dynamo+int8"
OTHER = "torch.script"


def race(precision: str, native: str, onnx: str, verdict: Verdict | None, value: float = 1.2) -> Race:
    speedup = Interval(value=value, low=value - 0.01, high=value + 0.01) if verdict else None
    best = {tier: label for tier, label in (("framework", native), ("onnx", onnx)) if label}
    return Race.model_validate(
        {"architecture": "bloodnet", "size": 28, "batch": 1, "threads": 1, "precision": precision, "best": best,
         "native": native, "onnx": onnx, "speedup": speedup, "verdict": verdict, "processes": 3 if verdict else 0}
    )  # fmt: skip


def results(*races: Race, native_int8: bool = True) -> Results:
    """One group: fp32 on both sides, ONNX in int8, and torch.script in int8 if requested."""
    base = study(**{INT8: 3.1})
    update = {"precision": "int8"} if native_int8 else {}
    cells = [cell.model_copy(update=update) if cell.label == OTHER else cell for cell in base.cells]
    return base.model_copy(update={"cells": cells, "races": list(races)})


def said(of: Results) -> list[str]:
    (found,) = verdicts(of)
    return [plain(one.text) for one in found.beside]


FP32 = race("fp32", NATIVE, ONNX, "faster")


def test_each_precision_has_its_sentence_and_the_verdict_is_given_once() -> None:
    of = results(FP32, race("int8", OTHER, INT8, "faster", 1.1), race(OF_ALL, OTHER, INT8, "faster", 1.1))
    int8, all_of_them = said(of)
    assert int8 == (
        "In int8, ONNX Runtime (torch-dynamo+int8 export) is 1.10x (1.09-1.11) faster than the fastest native runtime, "
        "torch.script."
    )
    assert all_of_them == (
        "Among all that keep their accuracy, ONNX Runtime (torch-dynamo+int8 export) in int8 is 1.10x (1.09-1.11) "
        "faster than the fastest native runtime, torch.script in int8."
    )
    assert "was not timed" not in verdicts(of)[0].finding


@pytest.mark.parametrize(
    ("verdict", "words"),
    [
        ("slower", "In int8, ONNX Runtime (torch-dynamo+int8 export) is 1.25x (1.23-1.27) slower than"),
        ("same", "torch.script, are the same within 2 %: the ratio of their medians is 0.80x"),
        ("undecided", "torch.script, cannot be distinguished with 3 processes each: the ratio is 0.80x"),
    ],
)
def test_other_outcomes(verdict: Verdict, words: str) -> None:
    assert words in said(results(FP32, race("int8", OTHER, INT8, verdict, 0.8)))[0]


def test_a_missing_side_is_only_reported_as_not_timed() -> None:
    (text,) = said(results(FP32, race("int8", "", INT8, None), native_int8=False))
    assert text.startswith("In int8, ONNX Runtime (torch-dynamo+int8 export) is the fastest through ONNX, ")
    assert text.endswith("); native int8 was not timed.")
    (text,) = said(results(FP32, race("int8", OTHER, "", None)))
    assert "torch.script is the fastest natively, " in text
    assert text.endswith("; ONNX int8 was timed and cannot be ranked.")


def test_three_tiers_are_named_with_their_times() -> None:
    three = FP32.model_copy(update={"best": {"framework": OTHER, "deployment": NATIVE, "onnx": ONNX}})
    (found,) = verdicts(results(three))
    told = plain(found.finding)
    assert "The fastest in the framework: torch.script, " in told
    assert "; in the framework's own deployment runtime: tf.function, " in told
    assert "; through ONNX: ONNX Runtime (torch-dynamo export), " in told


def test_the_headline_names_both_sides_of_the_comparison() -> None:
    of = results(FP32, race("int8", OTHER, INT8, "slower"), race(OF_ALL, OTHER, INT8, "slower"))
    second = [cell.model_copy(update={"batch": 32, "name": f"{cell.name}/32"}) for cell in of.cells]
    two = [one.model_copy(update={"batch": batch}) for batch in (1, 32) for one in of.comparisons]
    several = of.model_copy(update={"cells": [*of.cells, *second], "comparisons": two})
    text = plain(headline(several))
    assert text.startswith(
        "On this machine, in fp32 against fp32, ONNX is faster than the fastest native runtime in 2 "
    )
    assert "In int8 ONNX is slower in 1 of 1 case." in text
    assert "Among all that keep their accuracy, ONNX's fastest is slower in 1 of 1 case." in text
    alone = several.model_copy(update={"races": [FP32, race("int8", "", INT8, None)]})
    assert headline(alone).endswith("Native int8 was timed and cannot be ranked.")


def test_terminal_and_report_have_a_line_for_each() -> None:
    of = results(FP32, race("int8", OTHER, INT8, "slower"))
    lines = list(spoken(of))
    assert plain(lines[1]).startswith("  In int8, ONNX Runtime")
    made = section(Evidence(of))
    assert made is not None
    (lanes,) = made.blocks
    assert isinstance(lanes, Lanes)
    assert lanes.lanes[0].sign.startswith("faster ")
    assert plain(lanes.lanes[0].texts[1]).startswith("In int8, ONNX Runtime")


def test_where_no_precision_is_on_both_sides_the_fastest_of_all_is_an_answer() -> None:
    of = results(race("fp32", NATIVE, "", None), race("int8", "", INT8, None), race(OF_ALL, NATIVE, INT8, "faster"))
    cells = [cell for cell in of.cells if cell.label in {NATIVE, INT8}]
    apart = of.model_copy(update={"cells": cells, "comparisons": []})
    (found,) = verdicts(apart)
    assert found.outcome == "missing"
    assert "the native runtimes compute in fp32 and those of ONNX in int8" in found.finding
    assert [one.outcome for one in found.beside] == ["missing", "missing", "faster"]
    assert unanswered(apart) == []
    assert unanswered(apart.model_copy(update={"races": apart.races[:2]})) != []


def test_a_winner_that_failed_its_audit_is_replaced_where_the_calls_are_kept() -> None:
    """Without the calls it is unknown which runtime is next, and the race is worth nothing."""
    of = results(FP32, race("int8", OTHER, INT8, "faster"), race(OF_ALL, OTHER, INT8, "faster"))
    void = judged(of, audit_that_fails(INT8))
    outcomes = [one.outcome for one in verdicts(void)[0].beside]
    assert outcomes == ["invalid", "invalid"]
    assert "agreement FAILS for ONNX Runtime (torch-dynamo+int8 export)" in said(void)[0]

    def ms(cell: Cell) -> float:
        assert cell.host is not None
        return cell.host.median_ms.value

    ranked = [cell for cell in of.cells if cell.host and cell.framework]
    kept = {cell.name: calls({cell.label: (ms(cell), "")})[cell.label] for cell in ranked}
    anew = judged(of, audit_that_fails(INT8), kept)
    assert [one.precision for one in anew.races] == ["fp32", "int8", OF_ALL]
    assert all(INT8 not in {one.onnx, *one.best.values()} for one in anew.races)
    assert anew.races[1].verdict is None


def test_results_of_before_have_no_races_and_read_as_they_did(tmp_path: Path) -> None:
    of = results(FP32)
    record = of.model_dump(mode="json")
    del record["races"]
    file = tmp_path / "results.json"
    file.write_text(json.dumps(record), encoding="utf-8")
    read = read_results(file)
    assert read.races == []
    (found,) = verdicts(read)
    assert found.beside == ()
    assert "int8 makes ONNX Runtime" in found.finding


def test_wrong_numbers_found_while_timing_leave_a_race_without_worth() -> None:
    of = results(FP32, race("int8", OTHER, INT8, "faster"))
    cells = [
        cell.model_copy(update={"agreement": agreement(OTHER, error=0.5)}) if cell.label == OTHER else cell
        for cell in of.cells
    ]
    assert "agreement FAILS for torch.script" in said(of.model_copy(update={"cells": cells}))[0]
