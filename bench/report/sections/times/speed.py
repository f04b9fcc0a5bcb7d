"""Sections on steady-state time: latency by resolution, throughput by batch, native against ONNX."""

from __future__ import annotations

import math
from collections.abc import Sequence

import altair as alt

from assay.bench.report.drawing.charts import SMALL_PANEL_HEIGHT_PX, Plot, Row, Scale, dots, heat, lines, notes
from assay.bench.report.drawing.palette import ordered, series_of
from assay.bench.report.evidence import (
    CellGroup,
    Evidence,
    agreement_fails,
    chart_notice,
    conditions,
    group_of,
    is_timed,
    legend_of,
    median_of,
    split_by,
    worded,
)
from assay.bench.report.page.blocks import Figure, Panel, Section, Spec
from assay.bench.words.numbers import TIMES, counted, in_processes, interval, pixels, ratio, significant
from assay.records.base import Interval
from assay.records.races import SpeedComparison
from assay.records.results import Cell

MILLISECONDS = ("median", " ms")
IMAGES_A_SECOND = ("throughput", " images/s")
RATIO_LIMIT_LOG2 = 3.0
HEAT_LABELS_PX, HEAT_COLUMN_PX = 170, 58


def latency(evidence: Evidence) -> Section | None:
    """Median time of a call against image size, one panel for each architecture, batch and thread count."""
    timed = evidence.timed
    if not timed:
        return None
    groups = split_by(timed, lambda cell: (cell.architecture, cell.batch, cell.threads))
    panels = tuple(_latency_panel(evidence, cells, f"latency-{n}") for n, cells in enumerate(groups, start=1))
    caption = (
        "Median time of one call at the host boundary (input prepared, run, output fetched), "
        "with its 95 % interval. On logarithmic axes equal distances are equal ratios."
    )
    ranked = any(len({cell.size for cell in cells}) == 1 for cells in groups)
    figure = Figure("latency", caption, panels, legend_of(timed), named=ranked, legend_in_file=not ranked)
    lead = f"Lower is faster. {_ruler_zero(evidence)}".rstrip()
    return Section("latency", "Latency by resolution", lead, (figure,))


def throughput(evidence: Evidence) -> Section | None:
    """Images a second against batch size, one panel for each architecture, resolution and thread count."""
    timed = [cell for cell in evidence.timed if cell.throughput is not None]
    if not timed:
        return None
    groups = split_by(timed, lambda cell: (cell.architecture, cell.size, cell.threads))
    panels = tuple(_throughput_panel(evidence, cells, f"throughput-{n}") for n, cells in enumerate(groups, start=1))
    caption = worded("Images a second at the host boundary, with 95 % intervals.", evidence.results)
    ranked = any(len({cell.batch for cell in cells}) == 1 for cells in groups)
    legend = legend_of(timed)
    figure = Figure("throughput", caption, panels, legend, named=ranked, legend_in_file=not ranked, small=not ranked)
    return Section("throughput", "Throughput by batch", "Higher is faster.", (figure,))


def ratios(evidence: Evidence) -> Section | None:
    """Every runtime's median over the fastest native runtime's, as a heat map."""
    comparisons = [comparison for comparison in evidence.results.comparisons if comparison.ratios]
    if not comparisons:
        return None
    keys = sorted({(comparison.architecture, comparison.threads) for comparison in comparisons})
    panels = tuple(
        _ratio_panel(evidence, [c for c in comparisons if (c.architecture, c.threads) == key], f"ratios-{number}")
        for number, key in enumerate(keys, start=1)
    )
    caption = (
        f"Median time over that of the fastest native runtime of the same column. Below 1{TIMES}, in blue, is "
        f"faster than every native runtime; above, in orange, slower. Colours are fullest from 8{TIMES} on."
    )
    lead = f"In each column the fastest native runtime is 1{TIMES}. {what_is_told(comparisons)}".rstrip()
    return Section("ratios", "Native against ONNX", lead, (Figure("ratios", caption, panels),))


def what_is_told(comparisons: Sequence[SpeedComparison]) -> str:
    """Which differences between the fastest of both sides these samples could tell; "" where nobody knows."""
    told = sorted(100 * one.told for one in comparisons if one.told is not None)
    if not told:
        return ""
    counts = sorted({one.processes for one in comparisons})
    processes = in_processes(counts[0]) if len(counts) == 1 else f"{counts[0]} to {counts[-1]} processes"
    middle, least, most = (f"{significant(one, 2)} %" for one in (told[len(told) // 2], told[0], told[-1]))
    between = f" ({least} to {most})" if len(told) > 1 else ""
    return (
        f"With {processes}, differences between the fastest of both sides under {middle}{between} cannot be told: they "
        "would have been found less than four times of five."
    )


def _latency_panel(evidence: Evidence, cells: list[Cell], identifier: str) -> Panel:
    plot = Plot(
        title=conditions(cells[0], batch=True, threads=evidence.threads_vary),
        measure="Median latency, ms",
        notice=chart_notice(evidence.results),
        rows=[_row(cell, median_of(cell), MILLISECONDS) for cell in cells],
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
    rate = (measure, worded(unit, evidence.results))
    plot = Plot(
        title=conditions(cells[0], size=True, threads=evidence.threads_vary),
        measure=worded("Throughput, images a second", evidence.results),
        notice=chart_notice(evidence.results),
        rows=[_row(cell, found[cell.name], rate) for cell in cells],
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
    """Lines over several values of the field; with a single one, names in order of their value say more."""
    if len(values) > 1:
        x = Scale(field, title, log=True, ticks=tuple(float(value) for value in sorted(values)))
        return lines(plot, x, Scale("value", log=True))
    ranked = sorted(plot.rows, key=lambda row: float(str(row["value"])), reverse=more_is_better)
    return dots(plot, [str(row["name"]) for row in ranked], Scale("value", log=True))


def _row(cell: Cell, estimate: Interval, quantity: tuple[str, str]) -> Row:
    name, unit = quantity
    return {
        "cell": cell.name,
        "name": cell.label,
        "label": cell.label,
        "line": cell.label,
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
    """What the instrument itself adds to every time: the runtime that does nothing."""
    medians = [median_of(cell).value for cell in evidence.results.cells if is_timed(cell) and not cell.framework]
    if not medians:
        return ""
    return (
        f"The ruler's own zero, a runtime that does nothing, takes up to {significant(max(medians), 2)} ms a call "
        "in the same loop; it is not subtracted."
    )


def _ratio_panel(evidence: Evidence, comparisons: Sequence[SpeedComparison], identifier: str) -> Panel:
    across = {_group(c): _column(_group(c)) for c in sorted(comparisons, key=lambda c: (c.size, c.batch))}
    cells = [cell for cell in evidence.results.cells if group_of(cell) in across and cell.framework]
    down = [entry.label for entry in ordered(series_of(cell.label, cell.framework) for cell in cells)]
    rows = [_ratio_row(label, c, across[_group(c)]) for c in comparisons for label in c.ratios]
    ranked = {(_group(c), label) for c in comparisons for label in c.ratios}
    rows += [
        _unranked_row(cell, evidence, across[group_of(cell)])
        for cell in cells
        if (group_of(cell), cell.label) not in ranked
    ]
    first = comparisons[0]
    threads = f", {counted(first.threads, 'thread')}" if evidence.threads_vary else ""
    title = f"{first.architecture}{threads}"
    plot = Plot(title, "Median over the fastest native median", chart_notice(evidence.results), rows)
    limit = [-RATIO_LIMIT_LOG2, 0.0, RATIO_LIMIT_LOG2]
    tokens = ["@heat-low", "@heat-middle", "@heat-high"]
    colour = alt.Scale(type="linear", domain=limit, range=tokens, clamp=True, interpolate="lab")
    spec = heat(plot, down, list(across.values()), colour, strong="abs(datum.colour) > 1.7")
    best = min(comparisons, key=lambda c: min(estimate.value for estimate in c.ratios.values()))
    label, least = min(best.ratios.items(), key=lambda pair: pair[1].value)
    description = (
        f"{title}: heat map of each runtime's median over the fastest native one's. The least is {ratio(least)}, "
        f"{label} at {pixels(best.size)} and batch {best.batch}."
    )
    return Panel(identifier, spec, description, HEAT_LABELS_PX + HEAT_COLUMN_PX * len(across))


def _ratio_row(label: str, comparison: SpeedComparison, column: str) -> Row:
    estimate = comparison.ratios[label]
    return {
        "row": label,
        "column": column,
        "colour": math.log2(estimate.value) if estimate.value > 0 else None,
        "ratio": estimate.value,
        "text": f"{significant(estimate.value, 2)}{TIMES}",
        "notes": notes(("", label), (f"over {comparison.native}", ratio(estimate)), ("at", column.replace("\n", ", "))),
    }


def _unranked_row(cell: Cell, evidence: Evidence, column: str) -> Row:
    """A cell without a ratio: it did not run, or its output does not agree."""
    text, reason = (cell.status, cell.reason) if not is_timed(cell) else ("not ranked", "no ratio was recorded")
    if is_timed(cell) and agreement_fails(cell, evidence.results):
        text, reason = "wrong", "its output does not agree with the reference"
    why = notes(("", cell.label), (text, reason))
    return {"row": cell.label, "column": column, "colour": None, "text": text, "notes": why}


def _column(group: CellGroup) -> str:
    return f"{pixels(group.size)}\nbatch {group.batch}"


def _group(comparison: SpeedComparison) -> CellGroup:
    return CellGroup(comparison.architecture, comparison.size, comparison.batch, comparison.threads)
