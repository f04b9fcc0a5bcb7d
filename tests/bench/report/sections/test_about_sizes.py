"""The section on a model along a dimension: a row for each size, and calls of mixed sizes in a table of their own."""

from __future__ import annotations

from assay.bench.report.evidence import Evidence
from assay.bench.report.page.blocks import Table
from assay.bench.report.sections.times.sizes import by_size
from assay.bench.report.sections.times.speed import latency
from assay.records.results import Cell, Results
from tests.bench.report.sample_results import sample_results


def along(*, mixed: bool) -> Results:
    """A model compared at 28 and 64 tokens, and with `mixed` in calls of both."""
    results = sample_results(sizes=(28, 64), batches=(1,), architectures=("bloodnet",))
    settings = {**results.settings, "dimensions": ["tokens"], "sizes": [[28], [64]]}
    more = [_of_both(cell) for cell in results.cells if cell.size == 28] if mixed else []
    compared = [one.model_copy(update={"size": 0}) for one in results.comparisons if one.size == 28] if mixed else []
    return results.model_copy(
        update={
            "kind": "model",
            "settings": settings,
            "cells": [*results.cells, *more],
            "comparisons": [*results.comparisons, *compared],
        }
    )


def _of_both(cell: Cell) -> Cell:
    cold = cell.cold.model_copy(update={"first_calls": (0.25, 1.5)}) if cell.cold else None
    return cell.model_copy(update={"size": 0, "name": cell.name.replace("/28/", "/0/"), "cold": cold})


def test_calls_of_mixed_sizes_have_a_table_of_their_own() -> None:
    results = along(mixed=True)
    section = by_size(Evidence(results))
    assert section is not None
    sizes, mixed = (block for block in section.blocks if isinstance(block, Table))
    assert {row[0].text for row in sizes.rows} == {"28 tokens", "64 tokens"}
    headings = [column.heading for column in mixed.columns]
    assert headings[5:7] == ["First call at 28 tokens, s", "First call at 64 tokens, s"]
    timed = [cell for cell in results.cells if not cell.size and cell.framework and cell.status == "ok"]
    assert len(mixed.rows) == len(timed)
    known = [row for row in mixed.rows if row[5].number is not None]
    assert known
    assert all((row[5].number, row[6].number) == (0.25, 1.5) for row in known)
    assert all(row[6].path.endswith("/cold/first_calls/1") for row in known)


def test_without_mixed_sizes_there_is_one_table_and_the_curve_has_sizes_alone() -> None:
    alone = by_size(Evidence(along(mixed=False)))
    assert alone is not None
    assert len(alone.blocks) == 1
    drawn = [latency(Evidence(along(mixed=one))) for one in (False, True)]
    assert drawn[0] == drawn[1]
    assert by_size(Evidence(sample_results())) is None
