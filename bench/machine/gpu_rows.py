"""The state of a GPU during the bursts of a unit, as a row of its table."""

from __future__ import annotations

from collections.abc import Collection, Sequence

import polars

from assay.files.columns import GPU_BURST_COLUMNS
from assay.infer.commands import DuringBurst

GpuRow = tuple[float | int | bool | str | None, ...]
"""Values of `assay.files.columns.GPU_BURST_COLUMNS`."""


def gpu_row(found: DuringBurst | None, timed: int, own: Collection[int]) -> GpuRow:
    """Return the row of a burst.

    Args:
        found: state of the GPU; None where the burst was on the CPU.
        timed: id of the process that was timed.
        own: ids of the processes of the unit.
    """
    if found is None:
        return (None,) * len(GPU_BURST_COLUMNS)
    return (
        found.spun_seconds,
        found.is_steady,
        found.clock_before_mhz,
        found.clock_mhz,
        found.celsius,
        found.watts,
        None if found.held_back is None else ", ".join(found.held_back),
        foreign(found.processes, timed, own),
        found.used_mib,
        found.own_mib,
        found.synchronising_ns,
        found.to_ns,
        found.from_ns,
        found.to_pinned_ns,
        found.from_pinned_ns,
        found.allocated_mib,
    )


def beside(bursts: polars.DataFrame, rows: Sequence[GpuRow]) -> polars.DataFrame:
    """Return a table of bursts with the columns of the GPU, or as it is where no burst was on one."""
    if all(row[0] is None for row in rows):
        return bursts
    return bursts.hstack(polars.DataFrame(rows, schema=GPU_BURST_COLUMNS, orient="row"))


def foreign(processes: Collection[int] | None, timed: int, own: Collection[int]) -> int | None:
    """Return the number of processes that are not ours.

    It is None where the driver does not name the process that was timed: it then numbers processes in another name
    space, as it does inside a container, and no number can be told to be ours.
    """
    if processes is None or timed not in processes:
        return None
    return len({*processes} - {*own, timed})
