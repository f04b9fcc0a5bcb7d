"""Section on how right every runtime's answers are: each measure with its interval, beside the reference's."""

from __future__ import annotations

from collections.abc import Iterator

from assay.bench.report.evidence import Evidence
from assay.bench.report.page.blocks import Section, Table, Value, headings
from assay.bench.report.page.values import whole
from assay.bench.tasks.measure import measured_by
from assay.bench.words.numbers import interval, listed, scaled, significant
from assay.numerics.judgement import Quality
from assay.records.results import Cell

FIRST = headings("Runtime | # Batch | # Threads | Precision | Measure")


def scores(evidence: Evidence) -> Section | None:
    """Tabulate all measures of all cells of a user's labelled model."""
    found = [
        (cell, place, quality)
        for cell in evidence.results.cells
        for place, quality in enumerate(cell.judgement.qualities if cell.judgement else ())
    ]
    if not found:
        return None
    against = listed(list(dict.fromkeys(cell.judgement.against for cell, _, _ in found if cell.judgement)))
    records = max(cell.judgement.records for cell, _, _ in found if cell.judgement)
    columns = (*FIRST, *headings("# Value | # Reference | # Difference | # p of no difference"))
    rows = tuple(tuple(_row(evidence, *one)) for one in found)
    methods = dict.fromkeys(one for _, _, quality in found for one in (quality.method, quality.test) if one)
    lead = (
        f"Measured on {records:,} labelled records; higher is better. The reference is {against}, on the same records, "
        f"and the difference is paired with it. Methods: {'; '.join(methods)}."
    )
    return Section("scores", "How right the answers are", lead, (Table("scores", "Every measure", columns, rows),))


def _row(evidence: Evidence, cell: Cell, place: int, quality: Quality) -> Iterator[Value]:
    at = evidence.place_of(cell)
    path, measure = f"/cells/{at}/judgement/qualities/{place}", measured_by(quality)
    yield Value(cell.label)
    yield whole(cell.batch, f"/cells/{at}/batch")
    yield whole(cell.threads, f"/cells/{at}/threads")
    yield Value(cell.precision)
    yield Value(measure.axis)
    for name, one in (("value", quality.value), ("base", quality.base)):
        yield Value(measure.points(one), one.value * measure.factor, f"{path}/{name}/value", measure.factor)
    by = quality.difference
    if by is None:
        yield from (Value(""), Value(""))
        return
    yield Value(
        interval(scaled(by, measure.factor)), by.value * measure.factor, f"{path}/difference/value", measure.factor
    )
    p_value = quality.p_value
    yield Value("") if p_value is None else Value(significant(p_value, 2), p_value, f"{path}/p_value")
