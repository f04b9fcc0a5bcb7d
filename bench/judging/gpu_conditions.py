"""The GPU while a cell was timed, and what counts against its times. Pure functions."""

from __future__ import annotations

import polars

from assay.bench.statistics.steadiness import DRIFT_LARGEST
from assay.files.columns import GPU_BURST_COLUMNS
from assay.infer.gpu.nvml import THROTTLED
from assay.records.timings import GpuConditions

MOST_CHANGE = DRIFT_LARGEST
"""The largest change of the clock over the bursts of a cell, relative to the highest: time follows the clock, and may
drift by as much.
"""


def conditions(bursts: polars.DataFrame) -> GpuConditions | None:
    """Return the conditions over the bursts of one cell; None where none was on a GPU whose driver answers."""
    if not GPU_BURST_COLUMNS.keys() <= {*bursts.columns} or bursts["gpu_spun_seconds"].null_count() == len(bursts):
        return None
    clocks = polars.concat([bursts["gpu_clock_before_mhz"], bursts["gpu_clock_mhz"].alias("gpu_clock_before_mhz")])
    told = bursts["gpu_held_back"].drop_nulls().to_list()
    reasons = dict.fromkeys(reason for one in told for reason in one.split(", ") if reason)
    foreign = bursts["gpu_foreign_processes"]
    return GpuConditions(
        bursts=len(bursts),
        unsteady=int((~bursts["gpu_is_steady"]).sum()),
        lowest_mhz=clocks.min(),
        highest_mhz=clocks.max(),
        most_celsius=bursts["gpu_celsius"].max(),
        most_watts=bursts["gpu_watts"].max(),
        held_back=list(reasons) if told else None,
        foreign_processes=None if foreign.null_count() else foreign.max(),
        used_mib=bursts["gpu_used_mib"].max(),
        own_mib=bursts["gpu_own_mib"].max(),
        synchronising_us=_microseconds(bursts["gpu_synchronising_ns"]),
        to_gpu_us=_microseconds(bursts["gpu_to_ns"]),
        from_gpu_us=_microseconds(bursts["gpu_from_ns"]),
        to_gpu_pinned_us=_microseconds(bursts["gpu_to_pinned_ns"]),
        from_gpu_pinned_us=_microseconds(bursts["gpu_from_pinned_ns"]),
        allocated_mib=bursts["gpu_allocated_mib"].max(),
    )


def _microseconds(times: polars.Series) -> float | None:
    """Return the median of nanoseconds, over bursts."""
    found = times.median()
    return found / 1e3 if isinstance(found, float) else None


def against(found: GpuConditions | None) -> list[str]:
    """Return why times are not to be trusted."""
    if found is None:
        return []
    told = []
    throttled = [reason for reason in found.held_back or () if reason in THROTTLED]
    if throttled:
        told.append(f"throttled GPU: {', '.join(throttled)}")
    if found.foreign_processes:
        told.append(f"processes of others on the GPU: {found.foreign_processes}, which may compute at the same time")
    if found.lowest_mhz and found.highest_mhz and found.lowest_mhz < (1 - MOST_CHANGE) * found.highest_mhz:
        told.append(
            f"clock of the GPU: {found.lowest_mhz} to {found.highest_mhz} MHz, at most {MOST_CHANGE:.0%} is tolerated"
        )
    return told


def not_testable(found: GpuConditions | None) -> list[str]:
    """Return the rules that cannot find anything, as the driver does not say what they need."""
    if found is None:
        return []
    told = []
    if found.held_back is None:
        told.append("throttling of the GPU: its driver does not say what holds the clock back")
    if found.foreign_processes is None:
        told.append("other processes on the GPU: its driver does not name those of the study, as inside a container")
    if found.highest_mhz is None:
        told.append("clock of the GPU: its driver does not say it")
    return told
