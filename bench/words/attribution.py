"""Attribution as a table on the terminal."""

from __future__ import annotations

from rich.table import Table

from assay.bench.report.sections.reasons.attribution import what_intervals_rest_on
from assay.bench.words.numbers import interval, significant
from assay.bench.words.terminal import Terminal, shown
from assay.records.base import Interval
from assay.records.results import Results

WIDTH = 150


def render(results: Results) -> None:
    """Print one line for each cell: wall time, kernels and framework by both estimators, transfer."""
    table = Table("cell", "wall, ms", "kernels by profile", "framework by profile", "framework by skeleton", "transfer")
    for one in results.attributions:
        table.add_row(
            shown(one.cell),
            interval(one.wall_ms),
            shown(_or_reason(one.profiled.kernel_ms, one.profiled.reason)),
            _or_reason(one.profiled.overhead_ms, ""),
            shown(_or_reason(one.skeleton.overhead_ms, one.skeleton.reason)),
            significant(one.transfer_ms, 2),
        )
    console = Terminal(width=WIDTH)
    console.print(table)
    for one in results.attributions:
        if one.agree is False:
            console.print(f"{one.cell}: the estimators differ: {one.remark}")
    if said := what_intervals_rest_on(results.attributions):
        console.print(said)
    if not results.attributions:
        console.print("No cell of this study was timed, so there is nothing to attribute.")


def _or_reason(estimate: Interval | None, reason: str) -> str:
    if estimate is None:
        return reason or "-"
    return f"{interval(estimate)}{' (not trusted)' if reason else ''}"
