"""The accuracy that a cell has in the report: its own where it computes in less than fp32, on one set of images."""

from __future__ import annotations

from assay.bench.report.evidence import Evidence
from assay.bench.report.page.blocks import Table
from assay.bench.report.sections.reasons.pareto import accuracy_against_latency
from assay.records.results import Cell, Results
from tests.bench.report.sample_audit import TIMED, sample_audit

LABEL = "ort.cpu@torch-dynamo"


def with_cell(**changes: object) -> Results:
    """The sample's results, one cell changed and made by far the fastest."""

    def changed(cell: Cell) -> Cell:
        if cell.label != LABEL or cell.host is None:
            return cell
        tiny = cell.host.median_ms.model_copy(update={"value": 0.001, "low": 0.001, "high": 0.001})
        return cell.model_copy(update={"host": cell.host.model_copy(update={"median_ms": tiny}), **changes})

    return TIMED.model_copy(update={"cells": [changed(one) for one in TIMED.cells]})


def on_front(evidence: Evidence) -> list[str]:
    section = accuracy_against_latency(evidence)
    assert section is not None
    (table,) = (one for one in section.blocks if isinstance(one, Table))
    return [row[0].text for row in table.rows]


def test_in_fp32_a_cell_has_the_accuracy_of_its_weights() -> None:
    assert LABEL in on_front(Evidence(with_cell()))


def test_reduced_precision_has_no_accuracy_but_its_own() -> None:
    """Without an audit nobody knows it, and the weights' is not it."""
    assert LABEL not in on_front(Evidence(with_cell(precision="int8")))


def test_an_accuracy_on_a_sample_is_not_set_beside_those_of_the_whole_split() -> None:
    assert LABEL not in on_front(Evidence(with_cell(precision="int8"), audit=sample_audit(wrong=False)))


def test_what_is_invalid_or_did_not_pass_its_audit_is_on_no_front() -> None:
    assert LABEL not in on_front(Evidence(with_cell(invalid=["the machine was disturbed"])))
    audit = sample_audit(wrong=False)
    (model,) = audit.models
    failed = [one.model_copy(update={"passed": one.subject != LABEL, "reason": "differs"}) for one in model.comparisons]
    changed = audit.model_copy(update={"models": [model.model_copy(update={"comparisons": failed})]})
    assert LABEL not in on_front(Evidence(with_cell(), audit=changed))
    assert LABEL in on_front(Evidence(with_cell(), audit=audit))
