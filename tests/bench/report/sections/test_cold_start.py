"""The one-off costs of a runtime: getting ready, and making the file that it loads."""

from __future__ import annotations

from assay.bench.report.cells_table import cells_frame
from assay.bench.report.evidence import Evidence
from assay.bench.report.page.blocks import Table
from assay.bench.report.sections.times.cost import cold_start
from assay.records.results import Results
from tests.bench.report.sample_results import sample_results


def with_making(results: Results, seconds: float) -> Results:
    """The same, with a file made from each model for the first runtime."""
    label = next(cell.label for cell in results.cells if cell.cold)
    cells = [
        cell.model_copy(update={"cold": cell.cold.model_copy(update={"made_seconds": seconds})})
        if cell.cold and cell.label == label
        else cell
        for cell in results.cells
    ]
    return results.model_copy(update={"cells": cells})


def test_files_made_beforehand_are_shown_with_the_cold_start() -> None:
    results = with_making(sample_results(), 41.25)
    section = cold_start(Evidence(results))
    assert section is not None
    (table,) = [block for block in section.blocks if isinstance(block, Table)]
    made = [cell for cell in results.cells if cell.cold and cell.cold.made_seconds]
    assert len(table.rows) == len({(cell.architecture, cell.size) for cell in made})
    for row in table.rows:
        _, index, *_ = row[3].path.strip("/").split("/")
        cell = results.cells[int(index)]
        assert cell.cold is not None
        parts = (cell.cold.import_seconds, cell.cold.load_seconds, cell.cold.first_call_seconds)
        assert [value.number for value in row[3:]] == [41.25, *parts, sum(parts)]
        assert (cell.label, cell.architecture, cell.size) == (row[0].text, row[1].text, row[2].number)
        assert cell.batch == min(one.batch for one in made)


def test_nothing_is_said_of_making_where_nothing_was_made() -> None:
    section = cold_start(Evidence(sample_results()))
    assert section is not None
    assert not [block for block in section.blocks if isinstance(block, Table)]


def test_the_table_of_all_cells_has_it() -> None:
    found = cells_frame(with_making(sample_results(), 41.25))
    assert set(found["made_s"].drop_nulls()) == {41.25}
    assert 0 < found["made_s"].null_count() < len(found)
