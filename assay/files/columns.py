"""Columns of the tables beside a study's results: its timed calls, and its bursts of calls."""

from __future__ import annotations

import polars

# One row a call. `process` counts fresh processes of a cell, `block` the interleaved blocks in it (-1 before the
# first), `call` the calls of one burst. `boundary` is "host" or "device" for timed calls; "warm-up" and "dropped"
# calls, at the host boundary, are kept and enter no statistics. Times are nanoseconds of a monotonic clock; cpu_ns is
# the processor time the whole burst used, divided by its calls.
SAMPLE_COLUMNS = {
    "cell": polars.String,
    "process": polars.Int32,
    "block": polars.Int32,
    "call": polars.Int32,
    "boundary": polars.String,
    "wall_ns": polars.Int64,
    "cpu_ns": polars.Int64,
}

# One row a burst, in the order of time: when it began on the conductor's monotonic clock, what its timed calls took,
# how often the system took the processor away from the worker, the time a hypervisor kept from its cores, and how
# often they were throttled (the last two null where the system does not show them).
BURST_COLUMNS = {
    "cell": polars.String,
    "process": polars.Int32,
    "block": polars.Int32,
    "begun_ns": polars.Int64,
    "wall_ns": polars.Int64,
    "processor_ns": polars.Int64,
    "involuntary_switches": polars.Int64,
    "stolen_seconds": polars.Float64,
    "throttle_events": polars.Int64,
}

# Further columns where a burst may have computed on a GPU (null where it did not, or where the driver does not say):
# see `assay.infer.commands.DuringBurst`. `gpu_held_back` has the reasons with commas between, "" for none;
# `gpu_foreign_processes` counts the processes of others on the GPU.
GPU_BURST_COLUMNS = {
    "gpu_spun_seconds": polars.Float64,
    "gpu_is_steady": polars.Boolean,
    "gpu_clock_before_mhz": polars.Int64,
    "gpu_clock_mhz": polars.Int64,
    "gpu_celsius": polars.Int64,
    "gpu_watts": polars.Float64,
    "gpu_held_back": polars.String,
    "gpu_foreign_processes": polars.Int64,
    "gpu_used_mib": polars.Float64,
    "gpu_own_mib": polars.Float64,
    "gpu_synchronising_ns": polars.Int64,
    "gpu_to_ns": polars.Int64,
    "gpu_from_ns": polars.Int64,
    "gpu_to_pinned_ns": polars.Int64,
    "gpu_from_pinned_ns": polars.Int64,
    "gpu_allocated_mib": polars.Float64,
}
