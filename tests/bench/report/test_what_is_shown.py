"""What a report shows, section by section: what is drawn, in which order, and how often it is said."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence

import pytest

from assay.bench.report.drawing.palette import series_of
from assay.bench.report.evidence import Evidence
from assay.bench.report.page.blocks import (
    Block,
    FactList,
    Figure,
    Lanes,
    Listing,
    Paragraphs,
    Recommendation,
    Section,
    Table,
)
from assay.bench.report.page.page import render_markdown
from assay.bench.report.sections.answer import answer
from assay.bench.report.sections.order import sections_of
from assay.records.results import Results
from tests.bench.report.sample_audit import sample_audit
from tests.bench.report.sample_explanations import explained_results
from tests.bench.report.sample_results import sample_results, sample_samples

MOST_DRAWN = 8


@pytest.fixture(scope="module")
def results() -> Results:
    return explained_results()


@pytest.fixture(scope="module")
def sections(results: Results) -> dict[str, Section]:
    return {one.identifier: one for one in sections_of(Evidence(results, sample_samples(results)))}


def figure(section: Section) -> Figure:
    return next(block for block in section.blocks if isinstance(block, Figure))


@pytest.mark.parametrize("name", ["latency", "throughput"])
def test_one_line_a_family_and_precision_is_in_colour_with_its_name_at_its_end(
    sections: dict[str, Section], results: Results, name: str
) -> None:
    frameworks = {cell.label: cell.framework for cell in results.cells}
    for panel in figure(sections[name]).panels:
        rows = panel.spec["data"]["values"]  # type: ignore[index, call-overload]
        lit = {row["label"] for row in rows if row["lit"]}  # type: ignore[index, union-attr, call-overload]
        named = {row["label"] for row in rows if row.get("end")}  # type: ignore[index, union-attr, call-overload]
        assert named == lit
        assert len({row["label"] for row in rows}) > 2 * len(lit)  # type: ignore[index, union-attr, call-overload]
        families = Counter(series_of(label, frameworks[label]).family for label in lit)
        assert set(families.values()) == {1}
        assert "@rest" in str(panel.spec["layer"])


def test_where_the_time_goes_is_in_milliseconds_sorted_and_of_eight_at_most(sections: dict[str, Section]) -> None:
    for panel in figure(sections["attribution"]).panels:
        together: Counter[str] = Counter()
        for row in panel.spec["data"]["values"]:  # type: ignore[index, union-attr, call-overload]
            together[str(row["name"])] += row["ms"]  # type: ignore[index, call-overload, operator, assignment]
        order = panel.spec["layer"][0]["encoding"]["y"]["sort"]  # type: ignore[index, call-overload]
        assert 1 < len(order) <= MOST_DRAWN
        assert [together[name] for name in order] == sorted(together.values())


def test_accuracy_against_latency_has_a_facet_for_each_model(sections: dict[str, Section], results: Results) -> None:
    models = {(cell.architecture, cell.batch) for cell in results.cells if cell.host and cell.framework}
    panels = figure(sections["pareto"]).panels
    assert len(panels) == len(models)
    assert len({panel.spec["title"]["text"] for panel in panels}) == len(models)  # type: ignore[index, call-overload]


def test_wrong_cells_come_first_in_every_table(sections: dict[str, Section]) -> None:
    tables = [block for one in sections.values() for block in one.blocks if isinstance(block, Table)]
    some_bad = 0
    for table in tables:
        bad = [any(value.tone == "bad" for value in row) for row in table.rows]
        some_bad += any(bad)
        assert bad == sorted(bad, reverse=True), table.identifier
    assert some_bad >= 3


def test_nothing_is_said_twice(sections: dict[str, Section]) -> None:
    sentences = Counter(
        sentence
        for name, section in sections.items()
        if name != "verdict"  # the first screen says in short what stands below
        for text in (section.lead, *(text for block in section.blocks for text in texts_of(block)))
        for sentence in re.split(r"(?<=[.:;]) ", text)
        if len(sentence) > 50
    )
    assert [sentence for sentence, times in sentences.items() if times > 1] == []


def texts_of(block: Block) -> Iterator[str]:
    """The sentences of a block, apart from its numbers."""
    if isinstance(block, Paragraphs):
        yield from block.texts
    elif isinstance(block, Listing):
        yield from (text for item in block.items for text in (item.text, item.note))
    elif isinstance(block, Figure | Table | Lanes):  # a case has a verdict of its own, however alike two are
        yield block.caption
    elif isinstance(block, Recommendation):
        yield from (block.sentence, block.rests_on)
    elif isinstance(block, FactList):
        yield from (fact.text for fact in block.facts)


def test_at_batch_1_alone_throughput_is_not_drawn_since_latency_says_the_same() -> None:
    identifiers = {section.identifier for section in sections_of(Evidence(sample_results((28,), (1,), ("bloodnet",))))}
    assert "latency" in identifiers
    assert "throughput" not in identifiers


def test_the_report_of_a_model_without_images_does_not_mention_them(results: Results) -> None:
    told = render_markdown(*without_images(results))
    assert "Where the time goes" in told
    assert "Latency" in told
    assert re.findall(r"[^\n]*\b(?:images?|pixels?|logits?)\b[^\n]*", told, re.IGNORECASE) == []


def test_a_model_without_image_sizes_has_no_columns_and_no_titles_of_them(results: Results) -> None:
    _, sections = without_images(results)
    tables = [block for one in sections for block in one.blocks if isinstance(block, Table)]
    assert {"all-cells", "attribution-cells"} <= {table.identifier for table in tables}
    assert [table.identifier for table in tables for column in table.columns if "ize" in column.heading] == []
    assert "crossovers" not in {table.identifier for table in tables}
    assert [one.title for one in sections if "resolution" in one.title] == []


def test_where_kernels_outweigh_the_framework_at_every_size_is_counted_and_not_listed(
    sections: dict[str, Section],
) -> None:
    table = next(block for block in sections["attribution"].blocks if getattr(block, "identifier", "") == "crossovers")
    assert isinstance(table, Table)
    assert table.rows
    for *_, profiled, skeleton in table.rows:
        assert not (profiled.text.startswith("below") and skeleton.text.startswith("below"))


def test_every_column_has_a_heading(sections: dict[str, Section]) -> None:
    tables = [block for one in sections.values() for block in one.blocks if isinstance(block, Table)]
    assert [table.identifier for table in tables if not all(column.heading for column in table.columns)] == []


def without_images(results: Results) -> tuple[Results, Sequence[Section]]:
    """The same numbers for a user's model, whose records are of some other kind."""
    cells = [cell for cell in results.cells if (cell.architecture, cell.size) == ("bloodnet", 28)]
    names = {cell.name for cell in cells}
    record = results.model_dump(mode="json")
    for name in ("trainings", "parity", "exports", "works", "crossovers", "factors", "precisions", "races"):
        record[name] = []
    for name in ("attributions", "bounds"):
        record[name] = [one for one in record[name] if one["cell"] in names]
    for name in ("cells", "comparisons", "fits"):
        record[name] = [one for one in record[name] if (one["architecture"], one["size"]) == ("bloodnet", 28)]
        for one in record[name]:
            one["size"] = 0
    data = {"name": "drawn from the signature", "content_hash": "f" * 64, "counts": {"inputs": 64}, "classes": []}
    data |= {"attribution": "", "licence": "", "notice": "", "synthetic": False}
    mine = {
        "kind": "model",
        "task": "numerical",
        "data": data,
        "title": "Pair",
        "settings": {"command": "assay model x"},
    }
    found = Results.model_validate(record | mine)
    return found, sections_of(Evidence(found))


@pytest.mark.parametrize(("kind", "shown"), [("model", True), ("study", False)])
def test_the_first_screen_says_which_outputs_are_left_out_beside_the_audit(
    results: Results, kind: str, shown: bool
) -> None:
    said = "Output 'label' is left out, since it is text."
    changed = results.model_copy(update={"kind": kind, "settings": results.settings | {"told": [said]}})
    facts = next(
        block
        for block in answer(Evidence(changed, audit=sample_audit(wrong=False))).blocks
        if isinstance(block, FactList)
    )
    assert [one.text for one in facts.facts if one.name == "Model"] == [said] * shown


@pytest.mark.parametrize(("kind", "times"), [("model", 1), ("study", 0)])
def test_an_audit_that_compared_nothing_is_not_called_failed(results: Results, kind: str, times: int) -> None:
    """Time was up before the first cell, and the exports were checked all the same."""
    empty = sample_audit(wrong=True)
    empty = empty.model_copy(
        update={
            "models": [
                one.model_copy(update={"comparisons": [], "propagation": [], "missing": {}}) for one in empty.models
            ]
        }
    )
    said = "Output 'label' is left out, since it is text."
    changed = results.model_copy(update={"kind": kind, "settings": results.settings | {"told": [said]}})
    facts = next(block for block in answer(Evidence(changed, audit=empty)).blocks if isinstance(block, FactList))
    assert "Audit" not in [one.name for one in facts.facts]
    assert " ".join(one.text for one in facts.facts).count(said) == times, "where the audit would be, and not again"
