"""The quality of each cell's answers, by the measure of the task, which a report draws against time."""

from __future__ import annotations

from assay.bench.judging.quality import quality_of_cell
from assay.bench.report.evidence import Evidence, agreement_fails, training_of
from assay.bench.tasks.measure import measure_of
from assay.errors import FailedError
from assay.records.base import Interval
from assay.records.results import Cell
from assay.records.stale import is_of, stale_parts


def qualities(evidence: Evidence) -> dict[str, Interval]:
    """Return each trustworthy cell's quality on all images, by cell, if it is known."""
    timed = [cell for cell in evidence.timed if not cell.invalid and not agreement_fails(cell, evidence.results)]
    found = {cell.name: _judged(evidence, cell) or _accuracy(evidence, cell) for cell in timed}
    return {name: known for name, known in found.items() if known}


def _judged(evidence: Evidence, cell: Cell) -> Interval | None:
    """Return the measure of a user's model, against their labels; all cells are judged on the same records."""
    found = cell.judgement.quality(measure_of(evidence.results).name) if cell.judgement else None
    return found.value if found else None


def _accuracy(evidence: Evidence, cell: Cell) -> Interval | None:
    """Return the accuracy in the audit; without an audit, in fp32, that of the weights that the cell runs."""
    training = training_of(evidence.results, cell.weights)
    if training is None:
        return None
    audit = evidence.audit
    model = next((one for one in audit.models if is_of(cell, one)), None) if audit else None
    if audit is None or model is None or model.name in stale_parts(audit, evidence.results):
        return None if cell.reduced_precision else training.test.accuracy
    try:
        known = quality_of_cell(audit, cell)
    except FailedError:
        return None
    if known.images == training.test.count:
        return known.interval
    return None if cell.reduced_precision else training.test.accuracy
