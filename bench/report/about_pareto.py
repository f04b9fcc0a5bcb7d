"""Section on accuracy against latency: which models at which resolutions are worth choosing between."""

from __future__ import annotations

from collections.abc import Sequence

from assay.records import Interval
from assay.results import Cell
from bench.report.blocks import Column, Figure, Panel, Section, Table, Value
from bench.report.charts import Plot, Row, Scale, notes, scatter_with_front
from bench.report.evidence import (
    Evidence,
    agreement_fails,
    chart_notice,
    legend_of,
    median_of,
    split_by,
    training_of,
)
from bench.report.numbers import counted, interval, percent, pixels, points
from bench.report.palette import series_of

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
    """Test accuracy of the weights against the time of a call, with the Pareto front."""
    usable = [
        cell
        for cell in evidence.timed
        if training_of(evidence.results, cell.weights) and not agreement_fails(cell, evidence.results)
    ]
    if not usable:
        return None
    panels: list[Panel] = []
    rows: list[tuple[Value, ...]] = []
    for cells in split_by(usable, lambda cell: (cell.batch, cell.threads)):
        points = [(_accuracy(evidence, cell).value, median_of(cell).value) for cell in cells]
        front = [cells[index] for index in pareto_front(points)]
        panels.append(_panel(evidence, cells, front, f"pareto-{len(panels) + 1}"))
        rows += [_table_row(evidence, cell) for cell in front]
    caption = "Test accuracy of the weights that were timed, against median latency. Rings mark the Pareto front."
    lead = "On the front nothing is both faster and more accurate. Cells whose outputs do not agree are left out."
    figure = Figure("pareto", caption, tuple(panels), legend_of(usable))
    table = Table("pareto-front", "The Pareto front, from fast to accurate", COLUMNS, tuple(rows))
    return Section("pareto", "Accuracy against latency", lead, (figure, table))


def pareto_front(points: Sequence[tuple[float, float]]) -> list[int]:
    """Indices of the (accuracy, latency) points that no other beats in both, from low latency to high."""
    front: list[int] = []
    for index in sorted(range(len(points)), key=lambda i: (points[i][1], -points[i][0])):
        if not front or points[index][0] > points[front[-1]][0]:
            front.append(index)
    return front


def _panel(evidence: Evidence, cells: list[Cell], front: list[Cell], identifier: str) -> Panel:
    first = cells[0]
    threads = f", {counted(first.threads, 'thread')}" if evidence.threads_vary else ""
    plot = Plot(
        title=f"batch {first.batch}{threads}",
        measure="Test accuracy, %",
        notice=chart_notice(evidence.results),
        rows=[_row(evidence, cell, cell in front) for cell in cells],
        series=legend_of(cells),
    )
    ends = " to ".join(dict.fromkeys(_in_words(evidence, cell) for cell in (front[0], front[-1])))
    description = f"{plot.title}: test accuracy against median latency. The Pareto front runs from {ends}."
    x = Scale("latency", "median latency, ms", log=True)
    return Panel(identifier, scatter_with_front(plot, x, Scale("accuracy")), description)


def _row(evidence: Evidence, cell: Cell, on_front: bool) -> Row:
    accuracy = _accuracy(evidence, cell)
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


def _table_row(evidence: Evidence, cell: Cell) -> tuple[Value, ...]:
    index = evidence.place_of(cell)
    accuracy = _accuracy(evidence, cell)
    return (
        Value(cell.label),
        Value(cell.architecture),
        Value(str(cell.size), cell.size, f"/cells/{index}/size"),
        Value(str(cell.batch), cell.batch, f"/cells/{index}/batch"),
        Value(str(cell.threads), cell.threads, f"/cells/{index}/threads"),
        Value(interval(median_of(cell)), median_of(cell).value, f"/cells/{index}/host/median_ms/value"),
        Value(points(accuracy), accuracy.value * 100),
    )


def _in_words(evidence: Evidence, cell: Cell) -> str:
    accuracy = percent(_accuracy(evidence, cell))
    return (
        f"{cell.architecture} at {pixels(cell.size)} in {cell.label} ({interval(median_of(cell), ' ms')}, {accuracy})"
    )


def _accuracy(evidence: Evidence, cell: Cell) -> Interval:
    training = training_of(evidence.results, cell.weights)
    assert training is not None
    return training.test.accuracy
