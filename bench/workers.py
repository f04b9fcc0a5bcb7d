"""Workers as the conductor sees them: a runtime in a process, commanded, frozen while others are timed."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import cast

from pydantic import ConfigDict, with_config

from assay.boxing import Box
from assay.errors import WorkerError
from assay.jobs import Message, Process, read_answer
from assay.registry import RUNTIMES
from assay.spec import Settings
from assay.steps import SLOWER, in_proportion
from infer.runtime import ModelFiles

MODULE = "infer.worker"
STRICT = ConfigDict(extra="forbid")


@dataclass(frozen=True)
class Candidate:
    """Something that can be timed: a runtime, with the model files it runs.

    Attributes:
        runtime: a registered runtime.
        exporter: where its ONNX file came from, "" for native runtimes.
        variant: tells two apart that run the same in different environments, else "".
        python: the interpreter of its environment; None is this one.
        trusted: a user's model runs outside of its box, see `assay.boxing.Box`.
    """

    runtime: str
    exporter: str
    model: ModelFiles
    variant: str = ""
    python: Path | None = None
    trusted: bool = False

    @property
    def label(self) -> str:
        """ "ort.cpu@tf2onnx", or the runtime's name alone; "ort.cpu@tf2onnx[old]" with a variant."""
        base = f"{self.runtime}@{self.exporter}" if self.exporter else self.runtime
        return f"{base}[{self.variant}]" if self.variant else base

    @property
    def framework(self) -> str:
        return RUNTIMES[self.runtime].framework


@with_config(STRICT)
@dataclass(frozen=True)
class Loaded:
    """What a worker told when it had loaded."""

    import_seconds: float
    load_seconds: float
    precision: str
    facts: dict[str, str]


@with_config(STRICT)
@dataclass(frozen=True)
class Warmed:
    """What a worker told when it was warm: nanoseconds of every call, the first one first, and of the median."""

    calls_ns: list[int]
    median_ns: int


@with_config(STRICT)
@dataclass(frozen=True)
class Burst:
    """Nanoseconds of every call at both boundaries and of the dropped ones, and of all timed calls together the wall
    and processor time and how often the system took the processor away.
    """

    host_ns: list[int]
    device_ns: list[int]
    dropped_ns: list[int]
    wall_ns: int
    processor_ns: int
    involuntary_switches: int

    def __post_init__(self) -> None:
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
                remedy="Measure on a machine whose monotonic clock is one: see its clock source and its hypervisor",
            )


@with_config(STRICT)
@dataclass(frozen=True)
class Memory:
    """The highest resident memory that a worker told, in MiB."""

    peak_mib: float


@with_config(STRICT)
@dataclass(frozen=True)
class Seen:
    """Where a worker computed and in what, as one call showed; see `infer.observed.Observed`."""

    device: str
    precision: str
    computed: str
    model: str
    facts: dict[str, str]


class Worker:
    """One candidate in one process. Between commands it can be frozen: it then uses no processor.

    Args:
        limit_seconds: time limit of one command; a burst has less, in proportion to its calls.
        log: file for everything it prints.
        answers: folder that it writes outputs into.
        compile_cache: folder for compilers that keep one, fresh for every study run.
    """

    def __init__(
        self, candidate: Candidate, *, limit_seconds: float, log: Path, answers: Path, compile_cache: Path
    ) -> None:
        self.candidate = candidate
        self._limit_seconds = limit_seconds
        self._call_seconds = math.inf
        folder = compile_cache / candidate.label
        environment = {"TORCHINDUCTOR_CACHE_DIR": str(folder), "TF_CPP_MIN_LOG_LEVEL": "2"}
        folder.mkdir(parents=True, exist_ok=True)
        box = Box((answers, folder), candidate.trusted) if candidate.model.user else None
        self._process = Process(MODULE, log, environment=environment, python=candidate.python, box=box)

    def begin_import(self, cores: Sequence[int]) -> None:
        """Let it import its framework, pinned to so many cores as it is timed on, and do not wait for it."""
        self._process.send({"do": "imports", "runtime": self.candidate.runtime, "cores": list(cores)})

    def end_import(self) -> None:
        """Wait until it has, and freeze it."""
        self._answer(self._limit_seconds)
        self._process.freeze()

    def load(self, settings: Settings) -> Loaded:
        """Take the cores that it is timed on, import what `begin_import` did not, and load."""
        answer = self._ask(
            {
                "do": "load",
                "runtime": self.candidate.runtime,
                "model": self.candidate.model.model_dump(mode="json"),
                "settings": cast("Message", asdict(settings)),
            }
        )
        return read_answer(Loaded, answer, MODULE)

    def warm(self, images: Path, batch: int, limit_seconds: float) -> Warmed:
        answer = self._ask({"do": "warm", "images": str(images), "batch": batch, "limit_seconds": limit_seconds})
        warmed = read_answer(Warmed, answer, MODULE)
        self._call_seconds = warmed.median_ns / 1e9
        return warmed

    def burst(self, calls: int, drop: int) -> Burst:
        answer = self._ask({"do": "burst", "calls": calls, "drop": drop}, calls=2 * calls + drop)
        return read_answer(Burst, answer, MODULE)

    def write_logits(self, images: Path, count: int, batch: int, out: Path) -> None:
        self._ask({"do": "logits", "images": str(images), "count": count, "batch": batch, "out": str(out)})

    def write_timed(self, out: Path) -> None:
        """The outputs kept of timed calls at the present batch size, see `infer.worker.Worker.timed`."""
        self._ask({"do": "timed", "out": str(out)})

    def peak_memory_mib(self) -> float:
        return read_answer(Memory, self._ask({"do": "memory"}), MODULE).peak_mib

    def observe(self) -> Seen:
        """One more call, of which nothing is timed."""
        return read_answer(Seen, self._ask({"do": "observe"}), MODULE)

    @contextmanager
    def awake(self) -> Iterator[None]:
        """Thawed inside the block, frozen after it."""
        self._process.thaw()
        try:
            yield
        finally:
            self._process.freeze()

    def kill(self) -> None:
        self._process.kill()

    def _ask(self, message: Message, calls: int = 0) -> Message:
        """
        Args:
            calls: of a model that is warm, which the command makes; 0 where others have to be expected.

        Raises:
            AssayError: the worker's own error.
            WorkerError: it crashed, or did not answer in time.
        """
        self._process.send(message)
        limit = self._limit_seconds
        if calls and math.isfinite(self._call_seconds):
            limit = min(limit, in_proportion(calls * self._call_seconds, SLOWER))
        return self._answer(limit)

    def _answer(self, limit_seconds: float) -> Message:
        answer = self._process.receive(limit_seconds)
        if "error" in answer:
            raise self._process.refusal(answer)
        return answer
