"""The times so far, as a table for the terminal while more are taken."""

from __future__ import annotations

from collections.abc import Iterable

from rich.table import Table

from assay.bench.words.terminal import shown
from assay.records.results import Cell


def times_table(cells: Iterable[Cell]) -> Table:
    """Tabulate every timed cell, fastest first in each batch: median ms of a call with its interval, and its processes.

    Nothing is judged yet: numbers are compared when everything is timed.
    """
    table = Table(box=None, pad_edge=False, title="Interim times, not judged yet", title_justify="left")
    for name in ("runtime", "batch", "threads", "median ms", "95 % interval", "processes"):
        table.add_column(name, justify="left" if name == "runtime" else "right")
    timed = [(cell, cell.host) for cell in cells if cell.framework and cell.host is not None]
    for cell, host in sorted(timed, key=lambda one: (one[0].batch, one[0].threads, one[1].median_ms.value)):
        median = host.median_ms
        interval = f"{median.low:.4g} to {median.high:.4g}" if host.processes > 1 else "from two processes on"
        row = (cell.label, str(cell.batch), str(cell.threads), f"{median.value:.4g}", interval, str(host.processes))
        table.add_row(*map(shown, row))
    return table
