"""All cells as one flat table, for spreadsheets and notebooks."""

from __future__ import annotations

from pathlib import Path

import polars

from assay.files.tables import write_table
from assay.records.base import Tail
from assay.records.results import Cell, Results
from assay.records.timings import Timing
from assay.store import write_atomically
from assay.texts import spreadsheet

Plain = str | int | float | bool | None

SCHEMA: dict[str, type[polars.DataType]] = {
    "cell": polars.String,
    "architecture": polars.String,
    "size_px": polars.Int64,
    "batch": polars.Int64,
    "threads": polars.Int64,
    "device": polars.String,
    "runtime": polars.String,
    "framework": polars.String,
    "exporter": polars.String,
    "label": polars.String,
    "status": polars.String,
    "reason": polars.String,
    "weights": polars.String,
    **{
        f"{boundary}_{statistic}_{part}": polars.Float64
        for boundary in ("host", "device")
        for statistic in ("median_ms", "p90_ms", "p99_ms")
        for part in ("value", "low", "high")
    },
    **{f"{boundary}_{count}": polars.Int64 for boundary in ("host", "device") for count in ("samples", "processes")},
    **{f"throughput_images_s_{part}": polars.Float64 for part in ("value", "low", "high")},
    "import_s": polars.Float64,
    "load_s": polars.Float64,
    "first_call_s": polars.Float64,
    "made_s": polars.Float64,
    "processor_use": polars.Float64,
    "peak_memory_mib": polars.Float64,
    "precision": polars.String,
    "agrees": polars.Boolean,
    "largest_error": polars.Float64,
    "tolerated_error": polars.Float64,
    "synthetic_images": polars.Boolean,
    "data_notice": polars.String,
}


def cells_frame(results: Results) -> polars.DataFrame:
    """Return one row for each cell, with columns as in `SCHEMA`; null for what a cell does not have.

    The last two columns say for every row which images it rests on.
    """
    rows = [
        {**_cell_row(cell), "synthetic_images": results.data.synthetic, "data_notice": results.data.notice}
        for cell in results.cells
    ]
    return polars.DataFrame(rows, schema=SCHEMA)


def write_cells(results: Results, out: Path) -> list[Path]:
    """Write cells.csv and cells.parquet into `out`; in the CSV no text is a formula.

    Raises:
        InputError: the folder cannot be written.
    """
    frame = cells_frame(results)
    csv, parquet = out / "cells.csv", out / "cells.parquet"
    texts = polars.col(polars.String).map_elements(spreadsheet, return_dtype=polars.String)
    write_atomically(csv, frame.with_columns(texts).write_csv().encode())
    write_table(parquet, frame)
    return [csv, parquet]


def _cell_row(cell: Cell) -> dict[str, Plain]:
    row: dict[str, Plain] = {
        "cell": cell.name,
        "size_px": cell.size,
        "device": cell.device_kind,
        "processor_use": cell.processor_use,
        "peak_memory_mib": cell.peak_memory_mib,
    }
    names = ("architecture", "runtime", "framework", "exporter", "label", "status", "reason", "weights", "precision")
    row |= {name: getattr(cell, name) for name in names}
    row |= {"batch": cell.batch, "threads": cell.threads}
    row |= _timing("host", cell.host) | _timing("device", cell.device)
    row |= _estimate("throughput_images_s", cell.throughput)
    if cell.cold is not None:
        row |= {"import_s": cell.cold.import_seconds, "load_s": cell.cold.load_seconds}
        row |= {"first_call_s": cell.cold.first_call_seconds, "made_s": cell.cold.made_seconds}
    if cell.agreement is not None:
        row |= {"agrees": cell.agreement.passed, "tolerated_error": cell.agreement.tolerance}
        row |= {"largest_error": cell.agreement.max_absolute if cell.agreement.max_absolute >= 0 else None}
    return row


def _timing(boundary: str, timing: Timing | None) -> dict[str, Plain]:
    if timing is None:
        return {}
    return (
        _estimate(f"{boundary}_median_ms", timing.median_ms)
        | _estimate(f"{boundary}_p90_ms", timing.p90_ms)
        | _estimate(f"{boundary}_p99_ms", timing.p99_ms)
        | {f"{boundary}_samples": timing.samples, f"{boundary}_processes": timing.processes}
    )


def _estimate(name: str, estimate: Tail | None) -> dict[str, Plain]:
    if estimate is None:
        return {}
    return {f"{name}_value": estimate.value, f"{name}_low": estimate.low, f"{name}_high": estimate.high}
