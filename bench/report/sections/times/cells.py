"""Sections on the single cells: those that failed or were skipped, and all of them in one table."""

from __future__ import annotations

from assay.bench.judging.summary import is_short_of_samples
from assay.bench.report.evidence import CellGroup, Evidence, agreement_fails, group_of, is_timed, worded_columns
from assay.bench.report.page.blocks import Column, Section, Table, Tone, Value, headings
from assay.bench.report.page.values import amount, estimate, whole
from assay.bench.words.numbers import TIMES, counted, significant
from assay.records.base import Interval, Tail
from assay.records.races import SpeedComparison
from assay.records.results import Cell
from assay.records.timings import ColdStart, Timing

STATUS_TONES: dict[str, Tone] = {
    "wrong": "bad",
    "failed": "bad",
    "invalid": "bad",
    "too few": "notice",
    "skipped": "notice",
    "ok": "good",
}
ORDER = list(STATUS_TONES)
"""The order of rows, wrong cells first."""
PLACE_COLUMNS = headings("Runtime | Architecture | # Image size, px | # Batch | # Threads | Status")
NUMBER_COLUMNS = tuple(
    Column(heading, numeric=True)
    for heading in (
        "Median, ms",
        f"Over fastest native, {TIMES}",
        "p90, ms",
        "p99, ms",
        "Device only, ms",
        "Images/s",
        "Processor use",
        "Peak memory, MiB",
        "Import, s",
        "Load, s",
        "First call, s",
        "Making, s",
        "Calls",
        "Processes",
    )
)
NOT_RUN_COLUMNS = (*PLACE_COLUMNS, Column("Reason"))


def not_run(evidence: Evidence) -> Section | None:
    """Show the cells without a time, each with its reason."""
    rows = tuple(
        (*_place(index, cell, cell.status), Value(cell.reason or "no reason was recorded"))
        for index, cell in sorted(enumerate(evidence.results.cells), key=lambda pair: pair[1].status != "failed")
        if cell.status != "ok"
    )
    if not rows:
        return None
    failed = sum(cell.status == "failed" for cell in evidence.results.cells)
    lead = f"{counted(failed, 'cell')} failed and {len(rows) - failed} were skipped. They have no times and no rank."
    table = Table("not-run", "Cells without a time, and why", worded_columns(NOT_RUN_COLUMNS, evidence.results), rows)
    return Section("not-run", "Failed and skipped", lead, (table,))


def all_cells(evidence: Evidence) -> Section | None:
    """Show every cell with all its numbers."""
    cells = evidence.results.cells
    if not cells:
        return None
    wrong = {cell.name for cell in cells if is_timed(cell) and agreement_fails(cell, evidence.results)}
    comparisons = {
        CellGroup(c.architecture, c.size, c.batch, c.threads): (index, c)
        for index, c in enumerate(evidence.results.comparisons)
    }
    stands = {cell.name: "wrong" if cell.name in wrong else _status(cell) for cell in cells}
    rows = tuple(
        (
            *_place(index, cell, stands[cell.name]),
            *_numbers(index, cell, comparisons.get(group_of(cell))),
            Value(cell.precision),
        )
        for index, cell in sorted(enumerate(cells), key=lambda pair: ORDER.index(stands[pair[1].name]))
    )
    columns = worded_columns((*PLACE_COLUMNS, *NUMBER_COLUMNS, Column("Precision")), evidence.results)
    caption = "All cells; times at the host boundary unless said otherwise, with 95 % intervals"
    lead = (
        "Select a heading to sort; cells that are wrong, failed or INVALID stand first and have no rank. "
        "The same table is in cells.csv and cells.parquet, with full precision."
    )
    return Section("cells", "All cells", lead, (Table("all-cells", caption, columns, rows, filterable=True),))


def _place(index: int, cell: Cell, status: str) -> tuple[Value, ...]:
    path = f"/cells/{index}"
    return (
        Value(cell.label),
        Value(cell.architecture),
        whole(cell.size, f"{path}/size"),
        whole(cell.batch, f"{path}/batch"),
        whole(cell.threads, f"{path}/threads"),
        Value(status, tone=STATUS_TONES[status]),
    )


def _status(cell: Cell) -> str:
    if is_short_of_samples(cell):
        return "too few"
    return "invalid" if cell.invalid else cell.status


def _numbers(index: int, cell: Cell, compared: tuple[int, SpeedComparison] | None) -> tuple[Value, ...]:
    path = f"/cells/{index}"
    median, p90, p99, calls, processes = _timing(cell.host, f"{path}/host")
    device_median = _timing(cell.device, f"{path}/device")[0]
    return (
        median,
        _ratio(cell, compared),
        p90,
        p99,
        device_median,
        estimate(cell.throughput, f"{path}/throughput"),
        amount(cell.processor_use, f"{path}/processor_use"),
        amount(cell.peak_memory_mib, f"{path}/peak_memory_mib"),
        *_cold(cell.cold, f"{path}/cold"),
        calls,
        processes,
    )


def _timing(timing: Timing | None, path: str) -> tuple[Value, Value, Value, Value, Value]:
    """Return median, p90, p99, calls and processes; empty where the cell was not timed at this boundary."""
    if timing is None:
        return (Value(""), Value(""), Value(""), Value(""), Value(""))
    return (
        estimate(timing.median_ms, f"{path}/median_ms"),
        estimate(timing.p90_ms, f"{path}/p90_ms"),
        _tail(timing.p99_ms, f"{path}/p99_ms"),
        whole(timing.samples, f"{path}/samples"),
        whole(timing.processes, f"{path}/processes"),
    )


def _cold(cold: ColdStart | None, path: str) -> tuple[Value, ...]:
    if cold is None:
        return (Value(""),) * 4
    return (
        amount(cold.import_seconds, f"{path}/import_seconds"),
        amount(cold.load_seconds, f"{path}/load_seconds"),
        amount(cold.first_call_seconds, f"{path}/first_call_seconds"),
        amount(cold.made_seconds, f"{path}/made_seconds"),
    )


def _ratio(cell: Cell, compared: tuple[int, SpeedComparison] | None) -> Value:
    if compared is None or cell.label not in compared[1].ratios:
        return Value("")
    pointer = cell.label.replace("~", "~0").replace("/", "~1")
    return estimate(compared[1].ratios[cell.label], f"/comparisons/{compared[0]}/ratios/{pointer}")


def _tail(found: Tail, path: str) -> Value:
    """Return the quantile with its bounds, or with "or more" where nothing bounds it from above."""
    if found.high is not None:
        return estimate(Interval(value=found.value, low=found.low, high=found.high), path)
    return Value(f"{significant(found.value)} or more", found.value, f"{path}/value")
