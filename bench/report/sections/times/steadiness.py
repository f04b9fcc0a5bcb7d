"""Section on steadiness: how well fresh processes repeat one another, from the raw samples."""

from __future__ import annotations

import polars

from assay.bench.report.drawing.charts import Plot, Row, Scale, dots, notes
from assay.bench.report.drawing.palette import families_of, series_of
from assay.bench.report.evidence import Evidence, chart_notice, conditions, legend_of, split_by
from assay.bench.report.page.blocks import Figure, Panel, Section
from assay.bench.words.numbers import pixels, significant
from assay.records.results import Cell


def steadiness(evidence: Evidence) -> Section | None:
    """Show how far the medians of a cell's processes lie apart, where raw samples were kept."""
    if evidence.samples is None or evidence.samples.is_empty():
        return None
    deviations = process_deviations(evidence.samples)
    timed = [cell for cell in evidence.timed if len(deviations.get(cell.name, [])) > 1]
    if not timed:
        return None
    groups = split_by(timed, lambda cell: (cell.architecture, cell.batch, cell.threads))
    panels = tuple(_panel(evidence, cells, deviations, f"steadiness-{n}") for n, cells in enumerate(groups, start=1))
    caption = "Each mark is the median of one fresh process, relative to the median over the processes of its cell."
    lead = "Processes are the sample, not calls: a number is only as good as its agreement across fresh processes."
    figure = Figure("steadiness", caption, panels, families_of(legend_of(timed)), named=True, legend_in_file=False)
    return Section("steadiness", "Steadiness", lead, (figure,))


def process_deviations(samples: polars.DataFrame) -> dict[str, list[float]]:
    """Return, by cell, each process's median host time relative to the median over processes, in percent."""
    medians = (
        samples.filter(polars.col("boundary") == "host")
        .group_by("cell", "process")
        .agg(polars.col("wall_ns").median().alias("median_ns"))
        .sort("cell", "process")
        .with_columns(
            (polars.col("median_ns") / polars.col("median_ns").median().over("cell") * 100 - 100).alias("off")
        )
    )
    found: dict[str, list[float]] = {}
    for cell, deviation in medians.select("cell", "off").iter_rows():
        found.setdefault(cell, []).append(deviation)
    return found


def _panel(evidence: Evidence, cells: list[Cell], deviations: dict[str, list[float]], identifier: str) -> Panel:
    rows = [_row(cell, deviation) for cell in cells for deviation in deviations[cell.name]]
    title = conditions(cells[0], batch=True, threads=evidence.threads_vary)
    series = legend_of(cells)
    measure = "Process median against its cell's, %"
    plot = Plot(title, measure, chart_notice(evidence.results), rows, series)
    worst_cell = max(cells, key=lambda cell: max(map(abs, deviations[cell.name])))
    worst = max(map(abs, deviations[worst_cell.name]))
    description = (
        f"{title}: deviation of each process's median from its cell's, in percent. The largest is "
        f"{significant(worst, 2)} % in {worst_cell.label} at {pixels(worst_cell.size)}."
    )
    spec = dots(plot, [entry.label for entry in series], Scale("deviation"))
    return Panel(identifier, spec, description)


def _row(cell: Cell, deviation: float) -> Row:
    return {
        "name": cell.label,
        "label": cell.label,
        "family": series_of(cell.label, cell.framework).family,
        "deviation": deviation,
        "notes": notes(("", cell.label), ("off by", f"{deviation:+.2f} %"), ("at", pixels(cell.size))),
    }
