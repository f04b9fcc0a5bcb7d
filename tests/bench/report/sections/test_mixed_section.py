"""The section on layers that must not be int8: the result, its certainty, and each step's cost."""

from __future__ import annotations

import altair
import pytest

from assay.bench.report.evidence import Evidence
from assay.bench.report.page.blocks import Figure, Paragraphs, Table
from assay.bench.report.page.page import render_markdown, render_page
from assay.bench.report.sections.reasons.mixed import layers_not_in_int8, search_in_words
from assay.records.localisation import LayerSearch, Tried
from tests.bench.report.sample_results import sample_results

REASON = "up to 1.81% of the accuracy may have been lost on 1712 images, 1% is allowed"
STEPS = [
    Tried(left=[], error=0.21, reason=REASON, quality=0.90, milliseconds=2.5),
    Tried(left=["conv1"], error=0.12, reason=REASON, quality=0.91, milliseconds=2.9),
    Tried(left=["conv1", "</script><b>fc"], error=0.05, quality=0.918, milliseconds=3.1),
]
SEARCH = LayerSearch(
    why=f"on validation images, {REASON}", judged_on="1712 images of the validation split", layers=29,
    sensitivities={"conv1": 0.2, "</script><b>fc": 0.1, "layer1": 0.01}, steps=STEPS,
    full=Tried(left=[], error=0, quality=0.92, milliseconds=8.0), found=STEPS[-1], ended="minimal", tries=11,
    seconds=140, allowed_seconds=300,
)  # fmt: skip


def evidence(search: LayerSearch = SEARCH) -> Evidence:
    results = sample_results()
    changes = {"exporter": "torch-dynamo+int8-mixed", "precision": "int8", "search": search}
    mixed = results.exports[0].model_copy(update=changes)
    return Evidence(results.model_copy(update={"exports": [*results.exports, mixed]}))


def test_it_says_what_was_found_and_by_what() -> None:
    section = layers_not_in_int8(evidence())
    assert section is not None
    (said,) = next(one for one in section.blocks if isinstance(one, Paragraphs)).texts
    assert "int8 fails, on validation images, up to 1.81% of the accuracy may have been lost" in said
    assert "With 2 of 29 layers, 26 not ranked, in fp32 (conv1 and </script><b>fc) it passes." in said
    assert "With any one of them in int8 again it fails; 11 files tried" in said


def test_each_step_has_its_cost_and_what_it_brings() -> None:
    found = evidence()
    section = layers_not_in_int8(found)
    assert section is not None
    table = next(one for one in section.blocks if isinstance(one, Table) and one.identifier == "mixed-steps")
    assert [row[1].text for row in table.rows] == ["0", "1", "2", "all"]
    assert [row[2].text for row in table.rows] == ["", "conv1", "</script><b>fc", ""]
    assert [row[5].number for row in table.rows] == [2.5, 2.9, 3.1, 8.0]
    place = len(found.results.exports) - 1
    assert table.rows[1][3].path == f"/exports/{place}/search/steps/1/error"
    figure = next(one for one in section.blocks if isinstance(one, Figure))
    spec = figure.panels[0].spec
    altair.LayerChart.from_dict({**spec, "data": {"values": []}}, validate=True)
    rows = spec["data"]["values"]  # type: ignore[index,call-overload]
    assert [round(row["lost"], 6) for row in rows] == [2.0, 1.0, 0.2, 0.0]


def test_names_of_layers_are_text_on_the_page() -> None:
    found = evidence()
    section = layers_not_in_int8(found)
    assert section is not None
    assert "</script><b>" not in render_page(found.results, [section])
    assert "conv1" in render_markdown(found.results, [section])


@pytest.mark.parametrize(
    ("ended", "words"), [("time", "The time ran out before a passing set"), ("nothing", "No set makes")]
)
def test_where_nothing_was_found_the_best_is_given(ended: str, words: str) -> None:
    search = SEARCH.model_copy(update={"found": STEPS[1], "ended": ended})
    said = search_in_words("resnet18", search)
    assert words in said
    assert f"it fails still: {REASON}" in said


def test_without_a_search_there_is_no_section() -> None:
    assert layers_not_in_int8(Evidence(sample_results())) is None
