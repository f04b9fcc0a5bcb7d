"""The times so far, as a table for the terminal while more are taken."""

from __future__ import annotations

import math
from collections.abc import Iterable

from rich.table import Table

from assay.bench.words.terminal import shown
from assay.records.results import Cell


def times_table(cells: Iterable[Cell]) -> Table:
    """Tabulate every timed cell, fastest first in each batch: median ms of a call with its interval, and its processes.

    Nothing is judged yet: numbers are compared when everything is timed.
    """
    timed = [(cell, cell.host) for cell in cells if cell.framework and cell.host is not None]
    alone = any(host.processes < 2 for _, host in timed)
    title = f"Interim times, not judged yet{'; intervals come with a second process' if alone else ''}"
    table = Table(box=None, pad_edge=False, title=shown(title), title_justify="left")
    varied = [name for name in ("batch", "threads") if len({getattr(cell, name) for cell, _ in timed}) > 1]
    table.add_column("runtime", overflow="fold")
    for name in (*varied, "median ms", "95 % interval", "processes"):
        table.add_column(name, justify="right", no_wrap=True)
    places = max((_decimals(host.median_ms.value) for _, host in timed), default=0)  # points below each other
    for cell, host in sorted(timed, key=lambda one: (one[0].batch, one[0].threads, one[1].median_ms.value)):
        median = host.median_ms
        interval = f"{median.low:.{places}f} to {median.high:.{places}f}" if host.processes > 1 else ""
        told = (*(str(getattr(cell, name)) for name in varied), f"{median.value:.{places}f}", interval)
        table.add_row(*map(shown, (cell.label, *told, str(host.processes))))
    return table


def _decimals(milliseconds: float) -> int:
    """Return how many decimals show three digits."""
    return max(0, 2 - math.floor(math.log10(max(milliseconds, 1e-6))))
