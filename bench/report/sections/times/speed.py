"""Sections on steady-state time: latency by resolution, throughput by batch."""

from __future__ import annotations

from collections.abc import Sequence

from assay.bench.report.contenders import called, firsts_of
from assay.bench.report.drawing.charts import SMALL_PANEL_HEIGHT_PX, Plot, Row, Scale, dots, lit_lines, notes
from assay.bench.report.drawing.palette import series_of
from assay.bench.report.evidence import (
    Evidence,
    chart_notice,
    conditions,
    is_timed,
    legend_of,
    median_of,
    split_by,
    worded,
)
from assay.bench.report.page.blocks import Figure, Panel, Section, Spec
from assay.bench.words.names import is_mixed
from assay.bench.words.no_verdict import may_be_ranked
from assay.bench.words.numbers import counted, difference, in_processes, interval, pixels, significant
from assay.records.base import Interval
from assay.records.races import SpeedComparison
from assay.records.results import Cell

MILLISECONDS = ("median", " ms")
IMAGES_A_SECOND = ("throughput", " images/s")


def latency(evidence: Evidence) -> Section | None:
    """Draw the median time of a call against image size, one panel for each architecture, batch and thread count."""
    timed = [cell for cell in evidence.timed if not is_mixed(cell, evidence.results)]
    if not timed:
        return None
    groups = split_by(timed, lambda cell: (cell.architecture, cell.batch, cell.threads))
    panels = tuple(_latency_panel(evidence, cells, f"latency-{n}") for n, cells in enumerate(groups, start=1))
    caption = (
        "Median time of one call at the host boundary (input prepared, run, output fetched), "
        "with its 95 % interval. On logarithmic axes equal distances are equal ratios."
    )
    sizes = [len({cell.size for cell in cells}) for cells in groups]
    ranked = min(sizes) == 1
    if max(sizes) > 1:
        caption += (
            " In colour: the fastest of each family and precision at the right end; the rest is grey until chosen."
        )
    figure = Figure("latency", caption, panels, legend_of(timed), named=ranked, legend_in_file=False)
    lead = f"Lower is faster. {_ruler_zero(evidence)}".rstrip()
    title = "Latency by resolution" if max(sizes) > 1 else "Latency"
    return Section("latency", title, lead, (figure,))


def throughput(evidence: Evidence) -> Section | None:
    """Draw images per second against batch size, one panel for each architecture, resolution and thread count.

    At batch 1 alone there is nothing to draw that the latency does not say already.
    """
    timed = [cell for cell in evidence.timed if cell.throughput is not None]
    if all(cell.batch == 1 for cell in timed):
        return None
    groups = split_by(timed, lambda cell: (cell.architecture, cell.size, cell.threads))
    panels = tuple(_throughput_panel(evidence, cells, f"throughput-{n}") for n, cells in enumerate(groups, start=1))
    caption = worded("Images a second at the host boundary, with 95 % intervals.", evidence.results)
    batches = [len({cell.batch for cell in cells}) for cells in groups]
    ranked = min(batches) == 1
    legend = legend_of(timed)
    figure = Figure("throughput", caption, panels, legend, named=ranked, legend_in_file=False, small=not ranked)
    title = "Throughput by batch" if max(batches) > 1 else "Throughput"
    return Section("throughput", title, "Higher is faster.", (figure,))


def what_is_told(comparisons: Sequence[SpeedComparison]) -> str:
    """Say which differences between the fastest of both sides these samples could detect; "" where unknown."""
    told = sorted(one.told for one in comparisons if one.told is not None)
    if not told:
        return ""
    counts = sorted({one.processes for one in comparisons})
    processes = in_processes(counts[0]) if len(counts) == 1 else f"{counts[0]} to {counts[-1]} processes"
    middle, least, most = map(difference, (told[len(told) // 2], told[0], told[-1]))
    between = f" ({least} to {most}, case by case)" if len(told) > 1 else ""
    return (
        f"With {processes}, differences under {middle}{between} cannot be detected: they are missed more than one time "
        "in five."
    )


def _in_colour(evidence: Evidence, cells: Sequence[Cell]) -> set[str]:
    """Return the labels drawn in colour: the fastest of each family and precision where a call takes longest."""
    ranked = [cell for cell in cells if may_be_ranked(cell, evidence.results)] or cells
    most = max((cell.size, cell.batch) for cell in ranked)
    at_most = [cell for cell in ranked if (cell.size, cell.batch) == most]
    return {cell.label for cell in firsts_of(sorted(at_most, key=lambda cell: median_of(cell).value))}


def _latency_panel(evidence: Evidence, cells: list[Cell], identifier: str) -> Panel:
    lit = _in_colour(evidence, cells)
    plot = Plot(
        title=conditions(cells[0], batch=True, threads=evidence.threads_vary),
        measure="Median latency, ms",
        notice=chart_notice(evidence.results),
        rows=[_row(cell, median_of(cell), MILLISECONDS, cell.label in lit) for cell in cells],
        series=legend_of(cells),
    )
    best = min(cells, key=lambda cell: (-cell.size, median_of(cell).value))
    measured = worded("median latency in milliseconds by image size", evidence.results)
    description = (
        f"{plot.title}: {measured}, for {counted(len(plot.series), 'runtime')}. "
        f"At {pixels(best.size)} {best.label} is fastest with {interval(median_of(best), ' ms')}."
    )
    axis = worded("image size, pixels", evidence.results)
    return Panel(identifier, _over(plot, "size", axis, {cell.size for cell in cells}), description)


def _throughput_panel(evidence: Evidence, cells: list[Cell], identifier: str) -> Panel:
    found = {cell.name: cell.throughput for cell in cells if cell.throughput is not None}
    measure, unit = IMAGES_A_SECOND
    lit = _in_colour(evidence, cells)
    rate = (measure, worded(unit, evidence.results))
    plot = Plot(
        title=conditions(cells[0], size=True, threads=evidence.threads_vary),
        measure=worded("Throughput, images a second", evidence.results),
        notice=chart_notice(evidence.results),
        rows=[_row(cell, found[cell.name], rate, cell.label in lit) for cell in cells],
        series=legend_of(cells),
        height_px=SMALL_PANEL_HEIGHT_PX,
    )
    best = max(cells, key=lambda cell: found[cell.name].value)
    measured = worded("images a second by batch size", evidence.results)
    description = (
        f"{plot.title}: {measured}, for {counted(len(plot.series), 'runtime')}. The most is "
        f"{interval(found[best.name])} with {best.label} at batch {best.batch}."
    )
    batches = {cell.batch for cell in cells}
    axis = worded("batch, images", evidence.results)
    return Panel(identifier, _over(plot, "batch", axis, batches, more_is_better=True), description)


def _over(plot: Plot, field: str, title: str, values: set[int], *, more_is_better: bool = False) -> Spec:
    """Draw lines over several values of the field; for a single one, draw the names in order of their value."""
    if len(values) > 1:
        x = Scale(field, title, log=True, ticks=tuple(float(value) for value in sorted(values)))
        return lit_lines(plot, x, Scale("value", log=True))
    ranked = sorted(plot.rows, key=lambda row: float(str(row["value"])), reverse=more_is_better)
    return dots(plot, [str(row["name"]) for row in ranked], Scale("value", log=True))


def _row(cell: Cell, estimate: Interval, quantity: tuple[str, str], lit: bool) -> Row:
    name, unit = quantity
    return {
        "cell": cell.name,
        "name": cell.label,
        "label": cell.label,
        "line": cell.label,
        "lit": lit,
        "called": called(cell),
        "family": series_of(cell.label, cell.framework).family,
        "size": cell.size,
        "batch": cell.batch,
        "value": estimate.value,
        "low": estimate.low,
        "high": estimate.high,
        "notes": notes(
            ("", cell.label),
            (name, interval(estimate, unit)),
            ("at", f"{pixels(cell.size)}, batch {cell.batch}"),
        ),
    }


def _ruler_zero(evidence: Evidence) -> str:
    """Say how much the instrument itself adds to every time, by the runtime that does nothing."""
    medians = [median_of(cell).value for cell in evidence.results.cells if is_timed(cell) and not cell.framework]
    if not medians:
        return ""
    return (
        f"The ruler's own zero, a runtime that does nothing, takes up to {significant(max(medians), 2)} ms a call "
        "in the same loop; it is not subtracted."
    )
