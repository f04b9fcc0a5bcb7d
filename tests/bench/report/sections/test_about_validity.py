"""The section on validity: it says what could not be tested, and names two speeds of processes."""

from __future__ import annotations

from assay.bench.report.evidence import Evidence
from assay.bench.report.page.blocks import Paragraphs, Table
from assay.bench.report.sections.times.validity import validity
from assay.records.timings import GpuConditions, Steadiness
from tests.bench.report.sample_results import sample_results

DRIFT = "drift: 9 blocks in 3 process(es) are too few to show one"
KINDS = "2 of 10 processes are 8.0% slower than the rest"


def test_a_runtime_that_yields_the_processor_by_design_is_mentioned_once() -> None:
    results = sample_results((28, 64), (1,), ("bloodnet",))
    seen = [cell.model_copy(update={"steadiness": Steadiness(), "processor_use": 0.6}) for cell in results.cells]
    section = validity(Evidence(results.model_copy(update={"cells": seen})))
    assert section is not None
    (told,) = (block for block in section.blocks if isinstance(block, Paragraphs))
    (text,) = told.texts
    assert text.startswith("tf.predict reads every batch through a tf.data pipeline")
    assert text.endswith("and it uses 0.60 of each of its cores.")


def test_a_rule_that_cannot_fire_is_reported_and_not_a_zero() -> None:
    results = sample_results((64,), (1,), ("bloodnet",))
    timed = [cell for cell in results.cells if cell.host is not None]
    changed = {
        timed[0].name: Steadiness(drift=0.0, drift_p_value=0.02, not_testable=[DRIFT]),
        timed[1].name: Steadiness(drift=0.001, drift_p_value=0.5, kinds=KINDS),
    }
    cells = [cell.model_copy(update={"steadiness": changed.get(cell.name)}) for cell in results.cells]
    section = validity(Evidence(results.model_copy(update={"cells": cells})))
    assert section is not None
    told, table = section.blocks
    assert isinstance(told, Paragraphs)
    assert told.texts == (f"Not testable in 1 cell of 2: {DRIFT}.",)
    assert isinstance(table, Table)
    heads = [column.heading for column in table.columns]
    by_cell = {row[0].text: row for row in table.rows}
    assert by_cell[timed[0].name][heads.index("Drift, %")].text == "not testable"
    assert by_cell[timed[1].name][heads.index("Drift, %")].text == "0.10"
    assert by_cell[timed[1].name][heads.index("Two kinds of processes")].text == KINDS


def test_the_gpu_has_a_table_where_a_cell_ran_on_one() -> None:
    results = sample_results((64,), (1,), ("bloodnet",))
    first = next(place for place, cell in enumerate(results.cells) if cell.host is not None)
    gpu = GpuConditions(bursts=12, unsteady=1, lowest_mhz=1905, highest_mhz=1980, held_back=["power limit"])
    cells = [
        cell.model_copy(update={"steadiness": Steadiness(gpu=gpu if place == first else None)})
        for place, cell in enumerate(results.cells)
    ]
    section = validity(Evidence(results.model_copy(update={"cells": cells})))
    assert section is not None
    table = section.blocks[-1]
    assert isinstance(table, Table)
    assert table.identifier == "validity-gpu"
    (row,) = table.rows
    assert [one.text for one in row] == [cells[first].name, "1,905", "1,980", "1", *[""] * 10, "power limit"]
    assert row[1].path == f"/cells/{first}/steadiness/gpu/lowest_mhz"
