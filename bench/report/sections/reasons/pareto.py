"""Section on correct answers against latency: which models are worth choosing from.

A study's models differ in it by architecture and resolution, and it is the accuracy on the test split. A model that a
user brought and labelled is one, whose cells differ by what they compute in; it is the task's measure on the records.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from assay.bench.report.drawing.charts import Plot, Row, Scale, notes, scatter_with_front
from assay.bench.report.drawing.palette import series_of
from assay.bench.report.evidence import (
    Evidence,
    chart_notice,
    legend_of,
    median_of,
    split_by,
)
from assay.bench.report.page.blocks import Column, Figure, Panel, Section, Table, Value, headings
from assay.bench.report.page.values import estimate, whole
from assay.bench.report.quality import qualities
from assay.bench.report.sections.reasons.knee import knees
from assay.bench.statistics.knee import pareto_front
from assay.bench.tasks.measure import Measure, measure_of
from assay.bench.words.numbers import counted, interval, pixels
from assay.records.base import Interval
from assay.records.results import Cell

COLUMNS = headings("Runtime | Architecture | # Image size, px | # Batch | # Threads | # Median, ms")


def quality_against_latency(evidence: Evidence) -> Section | None:
    """Show the task's measure of each cell against the time of a call, with the Pareto front."""
    known, words = qualities(evidence), _words_of(evidence)
    usable = [cell for cell in evidence.timed if cell.name in known]
    if not usable:
        return None
    panels: list[Panel] = []
    rows: list[tuple[Value, ...]] = []
    for cells in split_by(usable, lambda cell: (cell.batch, cell.threads)):
        for facet in split_by(cells, lambda cell: (cell.architecture,)):
            panels.append(_panel(evidence, facet, _front(facet, known), known, words, f"pareto-{len(panels) + 1}"))
        rows += [_table_row(evidence, cell, known[cell.name]) for cell in _front(cells, known)]
    lead = (
        f"No cell is both faster and better than one on the front. Cells whose outputs do not agree, that did not pass "
        f"their audit, or whose {words.measure.name} is not known on the same {words.inputs} are left out."
    )
    figure = Figure("pareto", words.caption, tuple(panels), legend_of(usable))
    columns = (*(COLUMNS if words.has_architectures else COLUMNS[:1] + COLUMNS[3:]), Column(words.axis, numeric=True))
    caption = f"The Pareto front{' of all models' if words.has_architectures else ''}, from the fastest on"
    table = Table("pareto-front", caption, columns, tuple(rows))
    name = words.measure.name if words.measure.is_metric else _capital(words.measure.name)
    return Section("pareto", f"{name} against latency", lead, (figure, table, *knees(evidence)))


@dataclass(frozen=True)
class _Words:
    """Words of the section.

    Attributes:
        measure: the measure.
        axis: name of the measure on a chart's axis and in a table's column.
        inputs: name of the inputs that it was measured on.
        has_architectures: whether the cells are of several models and sizes.
    """

    measure: Measure
    axis: str
    inputs: str
    caption: str
    has_architectures: bool


def _words_of(evidence: Evidence) -> _Words:
    measure = measure_of(evidence.results)
    name = measure.name if measure.is_metric else _capital(measure.name)
    if evidence.results.kind == "study":
        caption = (
            f"{name} on the whole test split against median latency. Cells that compute in fp32 and agree "
            "have the answers of the weights; cells that compute in less have their own, from the audit. Rings: each "
            "model's front."
        )
        return _Words(measure, f"Test {measure.name}, %", "images", caption, has_architectures=True)
    caption = f"{name} on the labelled records against median latency. Rings mark the Pareto front."
    return _Words(measure, measure.axis, "records", caption, has_architectures=False)


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]


def _front(cells: Sequence[Cell], known: dict[str, Interval]) -> list[Cell]:
    return [cells[index] for index in pareto_front([(known[one.name].value, median_of(one).value) for one in cells])]


def _panel(
    evidence: Evidence,
    cells: list[Cell],
    front: list[Cell],
    known: dict[str, Interval],
    words: _Words,
    identifier: str,
) -> Panel:
    first = cells[0]
    threads = f", {counted(first.threads, 'thread')}" if evidence.threads_vary else ""
    plot = Plot(
        title=f"{f'{first.architecture}, ' if words.has_architectures else ''}batch {first.batch}{threads}",
        measure=words.axis,
        notice=chart_notice(evidence.results),
        rows=[_row(cell, known[cell.name], words, cell in front) for cell in cells],
        series=legend_of(cells),
    )
    ends = " to ".join(dict.fromkeys(_in_words(cell, known[cell.name], words) for cell in (front[0], front[-1])))
    description = f"{plot.title}: {words.measure.name} against median latency. The Pareto front runs from {ends}."
    x = Scale("latency", "median latency, ms", log=True)
    return Panel(identifier, scatter_with_front(plot, x, Scale("quality")), description)


def _row(cell: Cell, quality: Interval, words: _Words, on_front: bool) -> Row:
    return {
        "cell": cell.name,
        "label": cell.label,
        "family": series_of(cell.label, cell.framework).family,
        "latency": median_of(cell).value,
        "quality": quality.value * words.measure.factor,
        "front": on_front,
        "notes": notes(
            ("", _named(cell, words)),
            ("median", interval(median_of(cell), " ms")),
            (words.measure.name, words.measure.words(quality)),
        ),
    }


def _table_row(evidence: Evidence, cell: Cell, quality: Interval) -> tuple[Value, ...]:
    index, measure = evidence.place_of(cell), measure_of(evidence.results)
    of_model = (Value(cell.architecture), whole(cell.size, f"/cells/{index}/size"))
    return (
        Value(cell.label),
        *(of_model if evidence.results.kind == "study" else ()),
        whole(cell.batch, f"/cells/{index}/batch"),
        whole(cell.threads, f"/cells/{index}/threads"),
        estimate(median_of(cell), f"/cells/{index}/host/median_ms"),
        Value(measure.points(quality), quality.value * measure.factor),
    )


def _named(cell: Cell, words: _Words) -> str:
    return f"{cell.label}, {cell.architecture} at {pixels(cell.size)}" if words.has_architectures else cell.label


def _in_words(cell: Cell, quality: Interval, words: _Words) -> str:
    numbers = f"{interval(median_of(cell), ' ms')}, {words.measure.words(quality)}"
    of_model = f"{cell.architecture} at {pixels(cell.size)} in " if words.has_architectures else ""
    return f"{of_model}{cell.label} ({numbers})"
