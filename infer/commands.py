"""The commands that a worker takes and its answers: the protocol between `assay.infer.worker` and its callers."""

from __future__ import annotations

from pathlib import Path
from typing import Self

from pydantic import model_validator

from assay.errors import WorkerError
from assay.infer.runtime import ModelFiles
from assay.jobs.files import Written
from assay.jobs.job import Job, Nothing
from assay.records.base import Record
from assay.spec import Settings

MODULE = "assay.infer.worker"
NOT_OBSERVED = "not observed"
"""The name of the fact that says why nothing was seen of a call."""


class ToImport(Record):
    """A runtime, the cores to import it on, which may differ from those it is timed on, and the study's device."""

    runtime: str
    cores: tuple[int, ...]
    device: str


class ToLoad(Record):
    """A runtime, and the model it is to run."""

    runtime: str
    model: ModelFiles
    settings: Settings


class SessionLoaded(Record):
    """The seconds that loading took, the session's precision, versions and facts, and the id of the process."""

    import_seconds: float
    load_seconds: float
    precision: str
    facts: dict[str, str]
    pid: int = 0


class ToWarm(Record):
    """The .npy file of images that calls take in turn, the images per call, and the longest time to go on calling.

    Attributes:
        others: files of records of other sizes: what is timed is then a round, one call at every size
            (`assay.infer.rounds`).
    """

    images: Path
    batch: int
    limit_seconds: float
    others: tuple[Path, ...] = ()


class Warmed(Record):
    """Nanoseconds of every call, in order, and the median of the last ones. Where sizes are mixed, the first calls are
    one at each size, in the order of the files.
    """

    calls_ns: list[int]
    median_ns: int


class ToBurst(Record):
    """The number of calls to time at each boundary, after `drop` untimed ones; where sizes are mixed, as many rounds as
    make so many calls.
    """

    calls: int
    drop: int


class DuringBurst(Record):
    """The GPU while one burst was timed; None where the driver does not say.

    Attributes:
        spun_seconds: untimed calls before the burst, until the clock was steady.
        is_steady: whether it was when the burst began.
        clock_before_mhz, clock_mhz: clock of its multiprocessors right before and right after the timed calls.
        celsius, watts: temperature of the chip and power of the board right after them.
        held_back: reasons for which the clock was not higher, before or after.
        processes: ids of the processes that compute there, as the driver numbers them.
        used_mib: memory in use by all processes.
        own_mib: memory of this process, its context and its framework's reserve included.
        synchronising_ns, to_ns, from_ns: waiting for an idle GPU, inputs to it and outputs from it; with
            `to_pinned_ns`, `from_pinned_ns` and `allocated_mib` see `assay.infer.gpu.parts.Parts`.
    """

    spun_seconds: float
    is_steady: bool
    clock_before_mhz: int | None
    clock_mhz: int | None
    celsius: int | None
    watts: float | None
    held_back: tuple[str, ...] | None
    processes: tuple[int, ...] | None
    used_mib: float | None
    own_mib: float | None
    synchronising_ns: int | None
    to_ns: int
    from_ns: int
    to_pinned_ns: int | None = None
    from_pinned_ns: int | None = None
    allocated_mib: float | None = None


class Burst(Record):
    """Nanoseconds of every call at both boundaries and of the dropped ones; for all timed calls together, wall time,
    processor time, and how often the system took the processor away; and the GPU meanwhile, where it computes on one.
    """

    host_ns: list[int]
    device_ns: list[int]
    dropped_ns: list[int]
    wall_ns: int
    processor_ns: int
    involuntary_switches: int
    gpu: DuringBurst | None = None

    @model_validator(mode="after")
    def _forward(self) -> Self:
        """
        Raises:
            WorkerError: a time is below zero.
        """
        least = min(*self.host_ns, *self.device_ns, *self.dropped_ns, self.wall_ns, self.processor_ns)
        if least < 0:
            raise WorkerError(
                "The worker's clock went backwards",
                expected="times of 0 ns or more",
                found=f"{least} ns",
                remedy="Measure on a machine whose monotonic clock never goes back: check its clock source "
                "and its hypervisor",
            )
        return self


class ToCallTogether(Record):
    """The time to call without a pause, alongside other processes that do the same, and the .npy file for the stamps of
    the calls: int64 (calls, 2), the beginning and end of each in nanoseconds of the machine's monotonic clock.
    """

    seconds: float
    out: Written


class CalledTogether(Record):
    """Wall and processor nanoseconds of all calls, and how often the system took the processor away."""

    wall_ns: int
    processor_ns: int
    involuntary_switches: int


class ToPredict(Record):
    """The first `count` images, `batch` at a time; their logits are written to `out` (.npy)."""

    images: Path
    count: int
    batch: int
    out: Written


class ToKeep(Record):
    """The .npz file for the kept outputs of timed calls: `places` of their images (n,), `logits` (n, classes); where
    sizes are mixed, those of the second file are `places-1` and `logits-1`, and so on (`kept_names`).
    """

    out: Written


def kept_names(file: int) -> tuple[str, str]:
    """Return the names of the kept places and logits of a file of records, by its number."""
    return ("places", "logits") if file == 0 else (f"places-{file}", f"logits-{file}")


class OutputsKept(Record):
    """The number of calls that the kept outputs come from."""

    calls: int


class PeakMemory(Record):
    """The highest resident memory so far, in MiB."""

    peak_mib: float


class SessionObserved(Record):
    """The device and precision of one more call; see `assay.infer.observing.observed.Observed`."""

    device: str
    precision: str
    computed: str
    model: str
    facts: dict[str, str]


IMPORT = Job(MODULE, "import", ToImport, Nothing)
LOAD = Job(MODULE, "load", ToLoad, SessionLoaded)
WARM = Job(MODULE, "warm", ToWarm, Warmed)
BURST = Job(MODULE, "burst", ToBurst, Burst)
TOGETHER = Job(MODULE, "together", ToCallTogether, CalledTogether)
LOGITS = Job(MODULE, "logits", ToPredict, Nothing)
TIMED = Job(MODULE, "timed", ToKeep, OutputsKept)
MEMORY = Job(MODULE, "memory", Nothing, PeakMemory)
OBSERVE = Job(MODULE, "observe", Nothing, SessionObserved)
