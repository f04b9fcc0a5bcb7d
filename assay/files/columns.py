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
