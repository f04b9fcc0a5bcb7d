"""The user's request about a model, and the comparison under way."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

from assay.bench.course import MOST_TOGETHER, Course
from assay.bench.machine.host import LOCAL, Host
from assay.bench.tasks.metrics.metric import Metric
from assay.bench.words.progress import Narrator
from assay.boxed.boxing import Box
from assay.export.programs.programs import Workshop
from assay.export.variants.mixed import MIXED_MINUTES
from assay.files.disk import short_name
from assay.jobs.job import Answered, Asked, Job
from assay.jobs.running import run_job
from assay.jobs.sharing import shared
from assay.registry import PLAIN_TASK
from assay.steps import LONGER, MOST_SECONDS, Limit, limits_told
from assay.train.brought.model import Declared, Location

CALLS_OF_A_JOB = 10


@dataclass(frozen=True)
class Wanted:
    """The user's request; see the options of `assay model`.

    Attributes:
        without: outputs to leave out.
        original: the model in full precision that this one was made from; None where none was given.
        tolerances: the user's own tolerances, by output (`assay.train.brought.own`).
        sizes: sizes of the dimensions along which the model is compared, by name, all equally many and ascending: the
            first of each belong together, and so on.
        mixed_sizes: whether calls of all these sizes in turn are timed too (`assay.bench.brought.mixed_sizes`).
        ranges: least and largest number to draw for an input, by name.
        runtimes: the runtimes to time, if they apply; empty for all that do.
        command: the command that repeats it.
        call_limit: seconds that one call of the model may take; None for a limit in proportion to its file.
        again: whether to time everything once more, whatever an earlier run has finished.
        reduced: precisions in which every right file is also made, "int8" or "fp16".
        mixed_minutes: minutes to search each int8 file that fails for layers that may not be int8; 0 for no search.
        task: task by which answers are judged; see `assay.bench.tasks`.
        labels: file of the right answer for each input; None without labels.
        metric: metric of outputs and labels that the user gives; None without one.
        device: device on which it is timed, "cpu" or "cuda".
        threshold: number above which an output with one number for each decision means class 1; None if not given.
        trusted: whether to run the model outside its box; see `assay.boxed.boxing.Box`.
    """

    location: Location
    shapes: tuple[Declared, ...] = ()
    dimensions: dict[str, int] = field(default_factory=dict)
    sizes: dict[str, tuple[int, ...]] = field(default_factory=dict)
    mixed_sizes: bool = False
    ranges: dict[str, tuple[float, float]] = field(default_factory=dict)
    inputs: Path | None = None
    original: Location | None = None
    batches: tuple[int, ...] = (1,)
    threads: int = 1
    device: str = "cpu"
    runtimes: tuple[str, ...] = ()
    reduced: tuple[str, ...] = ()
    mixed_minutes: float = MIXED_MINUTES
    minutes: float = 5.0
    interval_width: float = 0.02
    processes: int = 3
    opset: int = 18
    command: str = ""
    trusted: bool = False
    again: bool = False
    call_limit: float | None = None
    without: tuple[str, ...] = ()
    tolerances: dict[str, float] = field(default_factory=dict)
    task: str = PLAIN_TASK
    labels: Path | None = None
    metric: Metric | None = None
    threshold: float | None = None

    @property
    def points(self) -> list[dict[str, int]]:
        """The sizes at which the model is compared, by dimension; one point without any where no dimension varies."""
        each = zip(*self.sizes.values(), strict=True)
        return [dict(zip(self.sizes, point, strict=True)) for point in each] if self.sizes else [{}]


@dataclass
class Work(Course):
    """One comparison under way; see also `Course`.

    Attributes:
        call_seconds: seconds of the slowest call of the model when it was probed; other limits are in proportion.
        load_seconds: seconds then to import its framework and to make or read it.
        held: parts of the box that the platform enforces, by name.
        jobs: number of requested jobs that go on at a time.
    """

    wanted: Wanted
    folder: Path
    narrator: Narrator
    host: Host = LOCAL
    seconds: dict[str, float] = field(default_factory=dict)
    held: dict[str, str] = field(default_factory=dict)
    call_seconds: float = 0.0
    load_seconds: float = 0.0
    jobs: int = 1

    def side_by_side(self, jobs: int) -> Work:
        """The same for so many jobs that go on at a time, as far as there are cores."""
        return replace(self, jobs=min(jobs, len(self.host.cores()), MOST_TOGETHER))

    @property
    def trusted(self) -> bool:
        return self.wanted.trusted

    @property
    def _calls_seconds(self) -> float:
        """The time of the calls of one job, as the user limits a call; 0 where they say nothing."""
        return CALLS_OF_A_JOB * (self.wanted.call_limit or 0.0)

    def workshop(self, calibration: Callable[[], Path | None]) -> Workshop:
        """See `Course`; what a user's model may do, and how long, is what the user says."""
        return replace(
            super().workshop(calibration),
            limit_seconds=max(MOST_SECONDS, self._calls_seconds),
            trusted=self.trusted,
            call_limit=self.wanted.call_limit,
            told=self.held.update,
        )

    def ask(self, job: Job[Asked, Answered], request: Asked, log: Path, limit: Limit, *answers: Path) -> Answered:
        """Run a job, see `Course`; it is allowed at least ten times what the user allows one call of the model."""
        return run_job(
            job,
            request,
            log,
            limit_seconds=Limit(max(limit.seconds, self._calls_seconds), limit.doing, LONGER),
            environment=limits_told(self.wanted.call_limit),
            box=Box(answers, self.trusted, told=self.held.update),
            host=shared(self.host, len(self.host.cores()), self.jobs),
        )


def folder_name(location: Location) -> str:
    """Return a harmless name for the model's folder of artifacts."""
    return f"model-{short_name(re.sub(r'[^A-Za-z0-9_-]', '-', location.name))}"
