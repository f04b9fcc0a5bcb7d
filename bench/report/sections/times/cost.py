"""Sections on the costs of a runtime besides time: getting ready, and memory."""

from __future__ import annotations

from assay.bench.report.drawing.charts import Plot, Row, Scale, bars, dots, notes
from assay.bench.report.drawing.palette import Series, families_of, series_of
from assay.bench.report.evidence import Evidence, chart_notice, conditions, legend_of, split_by, worded, worded_columns
from assay.bench.report.page.blocks import Column, Figure, Panel, Section, Table, Value, headings
from assay.bench.words.numbers import duration, pixels, significant
from assay.records.results import Cell
from assay.records.timings import ColdStart

STAGES = (
    Series("import", "import", "@stage-import", "square", (1, 0)),
    Series("load", "load", "@stage-load", "square", (1, 0)),
    Series("first call", "first call", "@stage-first", "square", (1, 0)),
)
MADE_COLUMNS = (
    *headings("Runtime | Architecture | # Image size, px"),
    *(
        Column(f"{what}, s", numeric=True)
        for what in ("Making", "Import", "Load", "First call", "Until the first result")
    ),
)


def cold_start(evidence: Evidence) -> Section | None:
    """Show import, load and first call of every runtime, stacked."""
    started = [cell for cell in evidence.results.cells if cell.cold is not None and cell.framework]
    if not started:
        return None
    groups = split_by(started, lambda cell: (cell.architecture,))
    panels = tuple(_cold_panel(evidence, _smallest_work(cells), f"cold-{n}") for n, cells in enumerate(groups, start=1))
    caption = "Seconds from a fresh process to the first result, each a median over processes."
    lead = (
        "One-time costs of a process: importing the framework, building or opening the model, and the first call "
        "with any compilation in it. The table of all cells has the other sizes and batches."
    )
    figure = Figure("cold-start", caption, panels, STAGES, named=True)
    made = _made_beforehand(evidence)
    return Section("cold-start", "Cold start", lead, (figure, made) if made else (figure,))


def _made_beforehand(evidence: Evidence) -> Table | None:
    """Tabulate the making of what a runtime loads, and how soon a process that loads it is ready.

    The batch with the least work stands for all.
    """
    least: dict[tuple[str, int, str], tuple[int, Cell, ColdStart]] = {}
    for index, cell in enumerate(evidence.results.cells):
        if cell.cold is not None and cell.cold.made_seconds is not None:
            key = (cell.architecture, cell.size, cell.label)
            known = least.get(key)
            if known is None or (cell.batch, cell.threads) < (known[1].batch, known[1].threads):
                least[key] = (index, cell, cell.cold)
    if not least:
        return None
    caption = (
        "Conversion of a model to the file that processes load, done once for any number of processes; "
        "the import of the converter is left out"
    )
    rows = tuple(_made_row(index, cell, cold) for index, cell, cold in least.values())
    return Table("made-beforehand", caption, worded_columns(MADE_COLUMNS, evidence.results), rows)


def _made_row(index: int, cell: Cell, cold: ColdStart) -> tuple[Value, ...]:
    path = f"/cells/{index}"
    seconds = ("made_seconds", "import_seconds", "load_seconds", "first_call_seconds")
    numbers = [(name, float(getattr(cold, name))) for name in seconds]
    return (
        Value(cell.label),
        Value(cell.architecture),
        Value(str(cell.size), cell.size, f"{path}/size"),
        *(Value(significant(number), number, f"{path}/cold/{name}") for name, number in numbers),
        Value(significant(_total(cold)), _total(cold)),
    )


def memory(evidence: Evidence) -> Section | None:
    """Show the peak resident memory of every runtime."""
    measured = [cell for cell in evidence.results.cells if cell.peak_memory_mib is not None and cell.framework]
    if not measured:
        return None
    groups = split_by(measured, lambda cell: (cell.architecture, cell.batch, cell.threads))
    panels = tuple(_memory_panel(evidence, cells, f"memory-{n}") for n, cells in enumerate(groups, start=1))
    caption = worded(
        "Highest resident memory of the worker process, framework included. Larger marks are larger images.",
        evidence.results,
    )
    figure = Figure("memory", caption, panels, families_of(legend_of(measured)), named=True, legend_in_file=False)
    return Section("memory", "Peak memory", "Further left uses less memory.", (figure,))


def _smallest_work(cells: list[Cell]) -> list[Cell]:
    """Return the cells at the largest size, and at the smallest batch and fewest threads of that size."""
    size = max(cell.size for cell in cells)
    at_size = [cell for cell in cells if cell.size == size]
    least = min((cell.batch, cell.threads) for cell in at_size)
    return [cell for cell in at_size if (cell.batch, cell.threads) == least]


def _cold_panel(evidence: Evidence, cells: list[Cell], identifier: str) -> Panel:
    totals = {cell.label: _total(cell.cold) for cell in cells if cell.cold is not None}
    names = sorted(totals, key=lambda label: totals[label])
    title = conditions(cells[0], size=True, batch=True, threads=evidence.threads_vary)
    rows = [row for cell in cells if cell.cold is not None for row in _cold_rows(cell.label, cell.cold)]
    plot = Plot(title, "Seconds until the first result", chart_notice(evidence.results), rows, STAGES)
    description = (
        f"{title}: import, load and first call stacked. {names[0]} is ready first, after "
        f"{duration(totals[names[0]])}; {names[-1]} last, after {duration(totals[names[-1]])}."
    )
    return Panel(identifier, bars(plot, names, Scale("seconds", from_zero=True)), description)


def _cold_rows(label: str, cold: ColdStart) -> list[Row]:
    parts = (cold.import_seconds, cold.load_seconds, cold.first_call_seconds)
    says = notes(
        ("", label),
        *((stage.label, duration(seconds)) for stage, seconds in zip(STAGES, parts, strict=True)),
        ("together", duration(_total(cold))),
    )
    return [
        {
            "name": label,
            "label": stage.label,
            "family": stage.label,
            "order": order,
            "seconds": seconds,
            "notes": says,
        }
        for order, (stage, seconds) in enumerate(zip(STAGES, parts, strict=True))
    ]


def _total(cold: ColdStart) -> float:
    return cold.import_seconds + cold.load_seconds + cold.first_call_seconds


def _memory_panel(evidence: Evidence, cells: list[Cell], identifier: str) -> Panel:
    peaks = {cell.name: cell.peak_memory_mib for cell in cells if cell.peak_memory_mib is not None}
    rows: list[Row] = [
        {
            "cell": cell.name,
            "name": cell.label,
            "label": cell.label,
            "family": series_of(cell.label, cell.framework).family,
            "size": cell.size,
            "mib": peaks[cell.name],
            "notes": notes(
                ("", cell.label), ("peak", f"{significant(peaks[cell.name])} MiB"), ("at", pixels(cell.size))
            ),
        }
        for cell in cells
    ]
    title = conditions(cells[0], batch=True, threads=evidence.threads_vary)
    series = legend_of(cells)
    plot = Plot(title, "Peak memory, MiB", chart_notice(evidence.results), rows, series)
    most, least = (pick(cells, key=lambda cell: peaks[cell.name]) for pick in (max, min))
    description = (
        f"{title}: peak memory of each runtime, from {significant(peaks[least.name])} MiB ({least.label}) to "
        f"{significant(peaks[most.name])} MiB ({most.label} at {pixels(most.size)})."
    )
    names = [entry.label for entry in series]
    return Panel(identifier, dots(plot, names, Scale("mib", from_zero=True), size_field="size"), description)
