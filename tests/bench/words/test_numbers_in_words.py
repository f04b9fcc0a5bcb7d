"""Whether the numbers of a user's model agree comes first, and no reason is given twice."""

from __future__ import annotations

import re
from typing import Any

import pytest

from assay.bench.report.evidence import Evidence
from assay.bench.report.page.blocks import FactList
from assay.bench.report.sections.answer import answer
from assay.bench.report.sections.models.agreement import agreement
from assay.bench.report.sections.models.exports import exports
from assay.bench.report.sections.times.cells import all_cells
from assay.bench.report.sections.times.cost import memory
from assay.bench.report.sections.times.speed import latency, throughput
from assay.bench.words.agreement import numbers_in_words
from assay.bench.words.numbers import difference, interval
from assay.bench.words.verdict import verdicts
from assay.records.base import Interval
from assay.records.results import Agreement, Export, Results
from assay.registry import GIVEN, PLAIN_TASK
from tests.bench.report.sample_results import sample_results
from tests.good_run import refusals_of

AGREES = Agreement(
    subject="at level disable_all, batch 1", images=8, max_absolute=3e-7, max_relative=1e-7, tolerance=1.6e-6,
    derivation="derived", largest_moved=0, passed=True,
)  # fmt: skip
WRONG = AGREES.model_copy(update={"passed": False, "max_absolute": 0.252, "reason": "differs by 0.252"})
EQUAL = AGREES.model_copy(update={"max_absolute": 0.0, "tolerance": 0.0})


def export(exporter: str, *agreement: Agreement, reason: str = "", right: bool = False) -> Export:
    status = "failed" if (reason and not right) or not agreement else "ok"
    return Export(
        architecture="m.build", size=0, exporter=exporter, status=status, reason=reason, weights="w", opset_asked=18,
        seconds=1, agreement=list(agreement), file_is_right=right,
    )  # fmt: skip


def results(*exports: Export, cells: dict[str, Any] | None = None) -> Results:
    sample = sample_results()
    settings = {"reference": "PyTorch in float64: as it is", "fingerprint": "f"}
    changed = [cell.model_copy(update=cells) if cells and cell.framework else cell for cell in sample.cells]
    return sample.model_copy(
        update={
            "exports": list(exports),
            "settings": settings,
            "task": PLAIN_TASK,
            "kind": "model",
            "trainings": [],
            "cells": changed,
            "comparisons": [] if cells else sample.comparisons,
        }
    )


@pytest.mark.parametrize(
    ("exports", "words"),
    [
        (
            [export("torch-dynamo", AGREES), export("torch-script", AGREES)],
            ["Both exports (torch-dynamo, torch-script) agree with PyTorch in float64 to 3.0e-7, where 1.6e-6 is "
             "tolerated."],
        ),
        (
            [export(GIVEN, AGREES)],
            ["The file in ONNX Runtime agrees with PyTorch in float64 to 3.0e-7, where 1.6e-6 is tolerated."],
        ),
        (
            [export("torch-dynamo", WRONG, reason="differs by 0.252"), export("b", WRONG, reason="differs by 0.252")],
            ["NEITHER export (torch-dynamo, b) agrees with PyTorch in float64."],
        ),
        (
            [export("torch-dynamo", EQUAL)],
            ["The export by torch-dynamo agrees with PyTorch in float64, number for number."],
        ),
        (
            [export("torch-dynamo", AGREES), export("torch-script", AGREES, WRONG, reason="level x: differs by 0.252")],
            ["The export by torch-script does NOT agree with PyTorch in float64.",
             "The export by torch-dynamo agrees with PyTorch in float64 to 3.0e-7, where 1.6e-6 is tolerated."],
        ),
        (
            [export(GIVEN, AGREES, WRONG, reason="the optimiser is wrong", right=True)],
            ["The file is right, and ONNX Runtime's optimiser is not."],
        ),
        (
            [export("a", AGREES), export("b", AGREES), export("c", reason="rsub() of a mask.")],
            ["The exports by a and b agree with PyTorch in float64 to 3.0e-7, where 1.6e-6 is tolerated.",
             "The route c gave no usable file: rsub() of a mask."],
        ),
    ],
)  # fmt: skip
def test_who_agrees_and_how_closely(exports: list[Export], words: list[str]) -> None:
    assert numbers_in_words(results(*exports)) == words


def test_boxes_at_a_limit_are_told_once_with_everything_that_has_them() -> None:
    margin = "output 'boxes': 1 of 14 entries is on one side only: a score is 3e-08 from the least that is kept"
    one = AGREES.model_copy(update={"margin": margin})
    told = numbers_in_words(results(export("a", one, one), export("b", one), cells={"agreement": one}))
    labels = {cell.label for cell in sample_results().cells if cell.framework}
    (said,) = [each for each in told if "boxes" in each]
    assert said.startswith("In a, b")
    assert said.endswith(f", {margin}.")
    assert all(label in said for label in labels)
    wrong = WRONG.model_copy(update={"margin": margin})
    assert not any("boxes" in each for each in numbers_in_words(results(export("a", wrong, reason="differs"))))


def test_the_reason_of_a_failed_export_is_given_once() -> None:
    why = "rsub() of a mask"
    cells = {"status": "failed", "host": None, "device": None, "reason": f"no file: {why}", "lacks": "file"}
    of_user = results(export("a", reason=why), cells=cells)
    told = [*numbers_in_words(of_user), *(one.sentence for one in verdicts(of_user)[:1]), *refusals_of(of_user)]
    assert " ".join(told).count(why) == 1


@pytest.mark.parametrize(
    ("cells", "words"),
    [
        ({"status": "skipped", "host": None, "reason": "no time"}, "nothing is compared: no runtime finished ("),
        ({"invalid": ["stolen processor time: 8.7%"]}, "nothing is compared: no runtime has a valid measurement ("),
    ],
)
def test_what_both_sides_lack_is_said_once(cells: dict[str, Any], words: str) -> None:
    finding = verdicts(results(export("a", AGREES), cells=cells))[0].finding
    assert finding.startswith(words)
    assert finding.count(str(cells.get("reason") or cells["invalid"][0])) == 1


def test_what_a_runtime_gave_is_refused_once_with_all_that_gave_the_same() -> None:
    found = refusals_of(results(export("a", AGREES), cells={"agreement": WRONG, "timed_agreement": WRONG}))
    assert all(one.endswith("differs by 0.252") for one in found)
    assert len(found) == len({cell.batch for cell in sample_results().cells})
    assert "torch.eager" in found[0]


def test_numbers_of_a_users_model_have_no_classes() -> None:
    flipped = AGREES.model_copy(update={"largest_moved": 2})
    sample = results(export("a", AGREES))
    cells = [cell.model_copy(update={"agreement": flipped}) for cell in sample.cells]
    said = " ".join(one.finding for one in verdicts(sample.model_copy(update={"cells": cells, "exports": []})))
    assert "another number is the largest in 2 of 8 rows" in said
    assert "class" not in said


def test_the_report_of_a_users_model_has_no_images_logits_or_classes() -> None:
    of_user = results(export("a", AGREES))
    of_user = of_user.model_copy(update={"data": of_user.data.model_copy(update={"synthetic": False, "notice": ""})})
    for make in (agreement, latency, throughput, memory, exports, all_cells):
        section = make(Evidence(of_user))
        assert section is not None
        said = [section.lead, *(text for block in section.blocks for text in words_of(block))]
        assert not [text for text in said if re.search(r"\b(images?|logits?|class)\b", text, re.IGNORECASE)], said


def words_of(block: Any) -> list[str]:
    """The texts of a figure or table itself: captions, headings and the texts beside charts."""
    panels = [panel.description for panel in getattr(block, "panels", ())]
    return [block.caption, *panels, *(column.heading for column in getattr(block, "columns", ()))]


def test_the_report_says_it_before_any_time() -> None:
    _, block = answer(Evidence(results(export("a", WRONG, reason="differs by 0.252")))).blocks
    assert isinstance(block, FactList)
    (fact,) = [fact for fact in block.facts if fact.name == "Numbers"]
    assert fact.text == "The export by a does NOT agree with PyTorch in float64."


def test_an_export_that_nothing_judges_is_not_said_to_disagree() -> None:
    doubted = export("torch-dynamo", WRONG, reason="not judged: it computes in fp16").model_copy(
        update={"undecided": True}
    )
    found = results(doubted)
    assert numbers_in_words(found) == ["The export by torch-dynamo is not judged."]
    assert "is wrong" not in " ".join(refusals_of(found))


def test_a_tiny_number_is_not_a_row_of_zeros() -> None:
    assert interval(Interval(value=2e-15, low=0.0, high=4e-15), " ms") == "2.0e-15 ms (0\N{EN DASH}4.0e-15)"
    assert interval(Interval(value=0.0, low=0.0, high=0.0)) == "0 (0\N{EN DASH}0)"
    assert interval(Interval(value=0.0, low=0.0, high=0.0165)) == "0.0000 (0.0000\N{EN DASH}0.0165)"


def test_a_difference_of_more_than_twice_is_a_factor() -> None:
    assert [difference(share) for share in (0.061, 1.0, 10.55)] == ["6.1 %", "100 %", "12\N{MULTIPLICATION SIGN}"]
