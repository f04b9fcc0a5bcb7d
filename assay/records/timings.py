"""Records of timing: calls, cold starts, disturbances, and several processes at the same time."""

from __future__ import annotations

import operator

from pydantic import Field

from assay.records.base import Duration, Interval, IntervalOfTime, Record, TailOfTime


class Timing(Record):
    """Steady-state time of one call in milliseconds, at one boundary, over `samples` calls.

    The 99th percentile has the bounds of a tail (`assay.bench.statistics.tails`), none above if calls are too few.

    Attributes:
        median_ms: median of all calls, with its interval over processes.
        p90_ms, p99_ms: percentiles of the calls, in milliseconds; see above for the bounds of the second.
        samples: number of timed calls.
        processes: number of fresh processes that they were made in.
    """

    median_ms: IntervalOfTime
    p90_ms: IntervalOfTime
    p99_ms: TailOfTime
    samples: int
    processes: int


class ColdStart(Record):
    """Seconds until a fresh process is ready.

    Attributes:
        import_seconds: importing the framework, while others import on cores of their own; median over processes.
        load_seconds: building or opening the model; median over processes.
        first_call_seconds: the first call of the first process, when no compiler has anything in its cache.
        made_seconds: time to make its program, once, before any process; None where there is none, and in old records.
        first_calls: where sizes are mixed, the first call at each of them in the first process, in ascending order:
            those after the first show what a new shape costs a process that is warm.
    """

    import_seconds: Duration
    load_seconds: Duration
    first_call_seconds: Duration
    made_seconds: Duration | None = Field(default=None, exclude_if=operator.not_)
    first_calls: tuple[Duration, ...] = Field(default=(), exclude_if=operator.not_)


class GpuConditions(Record):
    """The GPU while one cell was timed, over its bursts; None where the driver does not say.

    Attributes:
        bursts: number of bursts.
        unsteady: number of those that began although the clock had not become steady.
        lowest_mhz, highest_mhz: clock of its multiprocessors, before and after the timed calls of each burst.
        most_celsius, most_watts: highest temperature of the chip and power of the board.
        held_back: reasons for which the clock was not higher in some burst.
        foreign_processes: most processes of others on the GPU at a time.
        used_mib: most memory in use by all processes.
        own_mib: most memory of a process of this cell, its context and its framework's reserve included.
        allocated_mib: most memory that its framework's allocator had given out at a time; ONNX Runtime does not say it.
        synchronising_us: median cost of waiting for an idle GPU, which every call has once at the device boundary.
        to_gpu_us, from_gpu_us: medians of the transfers of inputs and of outputs, from and to pageable memory.
        to_gpu_pinned_us, from_gpu_pinned_us: medians of CUDA's own copies of as many bytes from and to page-locked
            memory, in every runtime alike.
    """

    bursts: int
    unsteady: int
    lowest_mhz: int | None = None
    highest_mhz: int | None = None
    most_celsius: int | None = None
    most_watts: float | None = None
    held_back: list[str] | None = None
    foreign_processes: int | None = None
    used_mib: float | None = None
    own_mib: float | None = None
    synchronising_us: float | None = None
    to_gpu_us: float | None = None
    from_gpu_us: float | None = None
    to_gpu_pinned_us: float | None = None
    from_gpu_pinned_us: float | None = None
    allocated_mib: float | None = None


class Steadiness(Record):
    """Signs of unsteadiness while one cell was timed; None where the system does not show them or data are too few.

    Attributes:
        drift: relative change over the blocks of a process, by the trend that fits best; median over processes.
        drift_p_value: chance of such a trend where there is none.
        autocorrelation: correlation of successive calls of a burst; calls that resemble their neighbours tell less.
        involuntary_switches_per_second: how often the system took the processor away.
        stolen_share: processor time a hypervisor kept from the pinned cores over wall time of the bursts.
        throttle_events: how often the cores were slowed down for heat or power.
        floor_share: the median of the runtime that does nothing, over this runtime's median.
        kinds: a sentence on two kinds of processes, one of them slower (`assay.bench.statistics.modes`), or "".
        not_testable: rules that could not have found anything here, each with its reason; empty in older records.
        gpu: the GPU meanwhile; None for a cell on the CPU.
    """

    drift: float | None = None
    drift_p_value: float | None = None
    autocorrelation: float | None = None
    involuntary_switches_per_second: float | None = None
    stolen_share: float | None = None
    throttle_events: int | None = None
    floor_share: float | None = None
    kinds: str = ""
    not_testable: list[str] = Field(default_factory=list)
    gpu: GpuConditions | None = Field(default=None, exclude_if=operator.not_)


class Instances(Record):
    """The joint performance of so many processes of one cell.

    Attributes:
        cell: the cell that each process runs.
        instances: number of processes at the same time; 1 is measured in the same way, for comparison.
        cores: number of cores that they had, all together.
        sets: images a second of all processes, in each set of fresh ones.
        throughput: images a second of all processes, with its 95 % interval over sets.
        median_ms: median of a call while all ran, with its 95 % interval over sets.
        p99_ms: p99 of all calls of all sets; `p99_at_most_ms` bounds it with 95 % confidence, None where the calls are
            too few.
        p99_at_most_ms: upper bound of the 99th percentile, with 95 % confidence.
        calls: number of calls that these were computed from.
        slowed: how many times as long a call takes as with a single instance, in the same rounds; None where no single
            instance was measured.
        memory_mib: highest resident memory of all processes, each counted whole.
        reason: why there are no numbers, or "".
        invalid: why the numbers are not to be trusted; empty if VALID.
    """

    cell: str
    instances: int = Field(ge=1)
    cores: int = Field(ge=1)
    sets: list[float] = Field(default_factory=list)
    throughput: Interval | None = None
    median_ms: Interval | None = None
    p99_ms: float | None = None
    p99_at_most_ms: float | None = None
    calls: int = 0
    slowed: Interval | None = None
    memory_mib: float | None = None
    reason: str = ""
    invalid: list[str] = Field(default_factory=list)

    @property
    def is_valid(self) -> bool:
        """Whether its numbers may be trusted."""
        return self.throughput is not None and not self.invalid
