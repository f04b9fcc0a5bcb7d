"""The quality of a cell's answers, as far as its audit knows it, by the measure of its model's task."""

from __future__ import annotations

from assay.bench.deployment.subject import audited_comparisons
from assay.bench.tasks.measure import known_quality
from assay.bench.tasks.task import KnownQuality
from assay.records.audit import Audit
from assay.records.results import Cell


def quality_of_cell(audit: Audit, cell: Cell) -> KnownQuality:
    """
    Raises:
        FailedError: the cell was not audited, did not pass, or its audit lacks the measure.
    """
    model, comparisons = audited_comparisons(audit, cell)
    return known_quality(model, comparisons)
