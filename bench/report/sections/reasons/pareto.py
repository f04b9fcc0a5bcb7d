"""Section on accuracy against latency: which models at which resolutions are worth choosing between."""

from __future__ import annotations

from collections.abc import Sequence

from assay.bench.judging.accuracy import accuracy_of_cell
from assay.bench.report.drawing.charts import Plot, Row, Scale, notes, scatter_with_front
from assay.bench.report.drawing.palette import series_of
from assay.bench.report.evidence import (
    Evidence,
    agreement_fails,
    chart_notice,
    legend_of,
    median_of,
    split_by,
    training_of,
)
from assay.bench.report.page.blocks import Column, Figure, Panel, Section, Table, Value
from assay.bench.words.numbers import counted, interval, percent, pixels, points
from assay.errors import FailedError
from assay.records.base import Interval
from assay.records.results import Cell
from assay.records.stale import is_of, stale_parts

COLUMNS = (
    Column("Runtime"),
    Column("Architecture"),
    Column("Image size, px", numeric=True),
    Column("Batch", numeric=True),
    Column("Threads", numeric=True),
    Column("Median, ms", numeric=True),
    Column("Accuracy, %", numeric=True),
)


def accuracy_against_latency(evidence: Evidence) -> Section | None:
    """Test accuracy of each cell against the time of a call, with the Pareto front."""
    known = _accuracies(evidence)
    usable = [cell for cell in evidence.timed if cell.name in known]
    if not usable:
        return None
    panels: list[Panel] = []
    rows: list[tuple[Value, ...]] = []
    for cells in split_by(usable, lambda cell: (cell.batch, cell.threads)):
        points = [(known[cell.name].value, median_of(cell).value) for cell in cells]
        front = [cells[index] for index in pareto_front(points)]
        panels.append(_panel(evidence, cells, front, known, f"pareto-{len(panels) + 1}"))
        rows += [_table_row(evidence, cell, known[cell.name]) for cell in front]
    caption = (
        "Accuracy on the whole test split against median latency: what computes in fp32 and agrees has the classes of "
        "the weights, what computes in less has its own, from the audit. Rings mark the Pareto front."
    )
    lead = (
        "On the front nothing is both faster and more accurate. Cells whose outputs do not agree, that did not pass "
        "their audit, or whose accuracy is not known on the same images are left out."
    )
    figure = Figure("pareto", caption, tuple(panels), legend_of(usable))
    table = Table("pareto-front", "The Pareto front, from fast to accurate", COLUMNS, tuple(rows))
    return Section("pareto", "Accuracy against latency", lead, (figure, table))


def _accuracies(evidence: Evidence) -> dict[str, Interval]:
    """By cell, its accuracy on the whole test split, where it is known and the cell may be believed."""
    found = {cell.name: _accuracy(evidence, cell) for cell in evidence.timed if not cell.invalid}
    return {name: accuracy for name, accuracy in found.items() if accuracy}


def _accuracy(evidence: Evidence, cell: Cell) -> Interval | None:
    """That of the audit; without one, in fp32, that of the weights that the cell runs."""
    training = training_of(evidence.results, cell.weights)
    if training is None or agreement_fails(cell, evidence.results):
        return None
    audit = evidence.audit
    model = next((one for one in audit.models if is_of(cell, one)), None) if audit else None
    if audit is None or model is None or model.name in stale_parts(audit, evidence.results):
        return None if cell.reduced_precision else training.test.accuracy
    try:
        known = accuracy_of_cell(audit, cell)
    except FailedError:
        return None
    if known.images == training.test.count:
        return known.interval
    return None if cell.reduced_precision else training.test.accuracy


def pareto_front(points: Sequence[tuple[float, float]]) -> list[int]:
    """Indices of the (accuracy, latency) points that no other beats in both, from low latency to high."""
    front: list[int] = []
    for index in sorted(range(len(points)), key=lambda i: (points[i][1], -points[i][0])):
        if not front or points[index][0] > points[front[-1]][0]:
            front.append(index)
    return front


def _panel(
    evidence: Evidence, cells: list[Cell], front: list[Cell], known: dict[str, Interval], identifier: str
) -> Panel:
    first = cells[0]
    threads = f", {counted(first.threads, 'thread')}" if evidence.threads_vary else ""
    plot = Plot(
        title=f"batch {first.batch}{threads}",
        measure="Test accuracy, %",
        notice=chart_notice(evidence.results),
        rows=[_row(cell, known[cell.name], cell in front) for cell in cells],
        series=legend_of(cells),
    )
    ends = " to ".join(dict.fromkeys(_in_words(cell, known[cell.name]) for cell in (front[0], front[-1])))
    description = f"{plot.title}: test accuracy against median latency. The Pareto front runs from {ends}."
    x = Scale("latency", "median latency, ms", log=True)
    return Panel(identifier, scatter_with_front(plot, x, Scale("accuracy")), description)


def _row(cell: Cell, accuracy: Interval, on_front: bool) -> Row:
    return {
        "cell": cell.name,
        "label": cell.label,
        "family": series_of(cell.label, cell.framework).family,
        "latency": median_of(cell).value,
        "accuracy": accuracy.value * 100,
        "front": on_front,
        "notes": notes(
            ("", f"{cell.label}, {cell.architecture} at {pixels(cell.size)}"),
            ("median", interval(median_of(cell), " ms")),
            ("accuracy", percent(accuracy)),
        ),
    }


def _table_row(evidence: Evidence, cell: Cell, accuracy: Interval) -> tuple[Value, ...]:
    index = evidence.place_of(cell)
    return (
        Value(cell.label),
        Value(cell.architecture),
        Value(str(cell.size), cell.size, f"/cells/{index}/size"),
        Value(str(cell.batch), cell.batch, f"/cells/{index}/batch"),
        Value(str(cell.threads), cell.threads, f"/cells/{index}/threads"),
        Value(interval(median_of(cell)), median_of(cell).value, f"/cells/{index}/host/median_ms/value"),
        Value(points(accuracy), accuracy.value * 100),
    )


def _in_words(cell: Cell, accuracy: Interval) -> str:
    numbers = f"{interval(median_of(cell), ' ms')}, {percent(accuracy)}"
    return f"{cell.architecture} at {pixels(cell.size)} in {cell.label} ({numbers})"
