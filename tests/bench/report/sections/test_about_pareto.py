"""The accuracy of a cell in the report: its own if it computes in less than fp32, on one set of images."""

from __future__ import annotations

import pytest

from assay.bench.report.evidence import Evidence
from assay.bench.report.page.blocks import Figure, Table
from assay.bench.report.sections.reasons.pareto import quality_against_latency
from assay.bench.tasks.task import task
from assay.numerics.judgement import Flips, Judgement, Quality
from assay.records.base import Interval
from assay.records.results import Cell, Results
from tests.bench.report.sample_audit import TIMED, sample_audit

LABEL = "ort.cpu@torch-dynamo"


def with_cell(**changes: object) -> Results:
    """The sample's results with one cell changed and made by far the fastest."""

    def changed(cell: Cell) -> Cell:
        if cell.label != LABEL or cell.host is None:
            return cell
        tiny = cell.host.median_ms.model_copy(update={"value": 0.001, "low": 0.001, "high": 0.001})
        return cell.model_copy(update={"host": cell.host.model_copy(update={"median_ms": tiny}), **changes})

    return TIMED.model_copy(update={"cells": [changed(one) for one in TIMED.cells]})


def on_front(evidence: Evidence) -> list[str]:
    section = quality_against_latency(evidence)
    assert section is not None
    (table,) = (one for one in section.blocks if isinstance(one, Table))
    return [row[0].text for row in table.rows]


def test_in_fp32_a_cell_has_the_accuracy_of_its_weights() -> None:
    assert LABEL in on_front(Evidence(with_cell()))


def test_reduced_precision_has_no_accuracy_but_its_own() -> None:
    """Without an audit it is unknown, and it is not that of the weights."""
    assert LABEL not in on_front(Evidence(with_cell(precision="int8")))


def test_an_accuracy_on_a_sample_is_not_set_beside_those_of_the_whole_split() -> None:
    assert LABEL not in on_front(Evidence(with_cell(precision="int8"), audit=sample_audit(wrong=False)))


def test_invalid_and_failed_cells_are_on_no_front() -> None:
    assert LABEL not in on_front(Evidence(with_cell(invalid=["the machine was disturbed"])))
    audit = sample_audit(wrong=False)
    (model,) = audit.models
    failed = [one.model_copy(update={"passed": one.subject != LABEL, "reason": "differs"}) for one in model.comparisons]
    changed = audit.model_copy(update={"models": [model.model_copy(update={"comparisons": failed})]})
    assert LABEL not in on_front(Evidence(with_cell(), audit=changed))
    assert LABEL in on_front(Evidence(with_cell(), audit=audit))


def judged(share_right: float, name: str) -> Judgement:
    known = Interval(value=share_right, low=share_right - 0.05, high=share_right + 0.04)
    flips = Flips(decisions=200, flipped=0, excused=0, records=0)
    quality = Quality(name=name, value=known, base=known, method="Wilson")
    return Judgement(
        task="classification", output="scores", against="float64", records=200, flips=flips, qualities=[quality]
    )


@pytest.mark.parametrize("name", ["classification", "segmentation"])
def test_a_labelled_model_of_a_user_s_has_its_cells_on_a_front(name: str) -> None:
    """The task's measure with the given labels; test splits, architectures and sizes are not mentioned."""
    measure = task(name).quality
    assert quality_against_latency in task(name).sections()
    cells = [
        cell.model_copy(update={"judgement": judged(0.95 if cell.label == LABEL else 0.9, measure)})
        for cell in with_cell().cells
    ]
    changes = {"kind": "model", "task": name, "cells": cells, "trainings": []}
    section = quality_against_latency(Evidence(TIMED.model_copy(update=changes)))
    assert section is not None
    (table,) = (one for one in section.blocks if isinstance(one, Table))
    assert {row[0].text for row in table.rows} == {LABEL}
    assert [column.heading for column in table.columns] == [
        "Runtime", "Batch", "Threads", "Median, ms", f"{measure[:1].upper()}{measure[1:]}, %"
    ]  # fmt: skip
    (figure,) = (one for one in section.blocks if isinstance(one, Figure))
    said = f"{section.title} {section.lead} {figure.caption} {figure.panels[0].description}"
    assert measure in said.lower() or measure in said
    assert "test" not in said.lower().replace("fastest", "")
    assert "bloodnet" not in said


def test_without_labels_there_is_no_front() -> None:
    cells = [cell.model_copy(update={"judgement": None}) for cell in TIMED.cells]
    changes = {"kind": "model", "cells": cells, "trainings": []}
    assert quality_against_latency(Evidence(TIMED.model_copy(update=changes))) is None
