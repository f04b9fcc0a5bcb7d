"""Workers from the conductor's side: a runtime in a process, commanded, frozen while others are timed."""

from __future__ import annotations

import math
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from assay.boxed.boxing import Box
from assay.infer.commands import (
    BURST,
    IMPORT,
    LOAD,
    LOGITS,
    MEMORY,
    MODULE,
    OBSERVE,
    TIMED,
    TOGETHER,
    WARM,
    Burst,
    CalledTogether,
    SessionLoaded,
    SessionObserved,
    ToBurst,
    ToCallTogether,
    ToImport,
    ToKeep,
    ToLoad,
    ToPredict,
    ToWarm,
    Warmed,
)
from assay.infer.runtime import ModelFiles
from assay.jobs.host import Starter
from assay.jobs.job import Answered, Asked, Job, Nothing
from assay.jobs.killed import KilledError, killed
from assay.jobs.patience import Patience
from assay.jobs.running import answer_to, answer_within, tell_to
from assay.registry import FRAMEWORKS, RUNTIMES
from assay.runtimes.entry import AS_IT_COMES
from assay.spec import ENGINES_VARIABLE, Settings
from assay.steps import SLOWER, in_proportion, waiting_for

DOES = {
    LOAD.name: "Loading",
    WARM.name: "Warming up",
    BURST.name: "A timed call of",
    TOGETHER.name: "Calls at the same time of",
    LOGITS.name: "Computing the outputs of",
    TIMED.name: "Writing the timed outputs of",
    MEMORY.name: "Asking for the memory of",
    OBSERVE.name: "Inspecting a call of",
    IMPORT.name: "Importing the framework of",
}
"""By command of a worker, what it is at."""
READYING = {LOAD.name, WARM.name}
LEAST_SECONDS = 0.5
"""Time for a command that is begun when time is up."""


@dataclass(frozen=True)
class Candidate:
    """Something that can be timed: a runtime, with the model files it runs.

    Attributes:
        runtime: a registered runtime.
        exporter: exporter of its ONNX file, "" for native runtimes.
        variant: distinguishes two that run the same in different environments, otherwise "".
        python: interpreter of its environment; None is this one.
        trusted: whether a user's model runs outside its box, see `assay.boxed.boxing.Box`.
        made_seconds: seconds that making its program took, where it has one; None where unknown.
    """

    runtime: str
    exporter: str
    model: ModelFiles
    variant: str = ""
    python: Path | None = None
    trusted: bool = False
    made_seconds: float | None = None

    @property
    def label(self) -> str:
        """ "ort.cpu@tf2onnx", or the runtime's name alone; "ort.cpu@tf2onnx[old]" with a variant."""
        base = f"{self.runtime}@{self.exporter}" if self.exporter else self.runtime
        return f"{base}[{self.variant}]" if self.variant else base

    @property
    def framework(self) -> str:
        return RUNTIMES[self.runtime].framework

    @property
    def asked_precision(self) -> str:
        """Precision requested by a runtime or the file's variant; "" where it is left open, as for a user's model."""
        own = RUNTIMES[self.runtime].precision
        if own:
            return "" if own == AS_IT_COMES else own
        return "" if self.model.user and self.model.precision == "fp32" else self.model.precision

    def asked_device(self, wanted: str) -> str:
        """Return the requested device, where the runtime runs on it, otherwise its own."""
        return RUNTIMES[self.runtime].asked_device(wanted)


class Worker:
    """One candidate in one process. Between commands it can be frozen: it then uses no processor.

    Args:
        limit_seconds: time limit of one command; a burst has less, in proportion to its calls.
        log: file for everything it prints.
        answers: folder that it writes outputs into.
        compile_cache: folder for compilers that keep one, fresh for every study run.
        host: the host that runs it.
        ready_by: on the clock of `time.monotonic`; importing, loading and warming are given up by then.
    """

    def __init__(
        self,
        candidate: Candidate,
        *,
        limit_seconds: float,
        log: Path,
        answers: Path,
        compile_cache: Path,
        host: Starter,
        ready_by: float = math.inf,
    ) -> None:
        self.candidate = candidate
        self._limit_seconds, self._ready_by = limit_seconds, ready_by
        self._call_seconds = math.inf
        folder = compile_cache / candidate.label
        environment = {"TORCHINDUCTOR_CACHE_DIR": str(folder), ENGINES_VARIABLE: str(folder)}
        folder.mkdir(parents=True, exist_ok=True)
        box = Box((answers, folder), candidate.trusted) if candidate.model.user else None
        self._host = host
        self._process = host.start(MODULE, log, environment=environment, python=candidate.python, box=box)

    def begin_import(self, cores: Sequence[int], device: str) -> None:
        """Let it import its framework, pinned to as many cores as it is timed on, without waiting for it."""
        self._importing = ToImport(runtime=self.candidate.runtime, cores=tuple(cores), device=device)
        tell_to(self._process, IMPORT, self._importing, self._host)
        self._patience = Patience(self._limit_seconds, self._process.spent, self._until_ready())

    def has_imported(self, wait_seconds: float) -> bool:
        """Wait so long until it has finished the import, freeze it then, and return whether it has."""
        doing = self._does(IMPORT.name)
        with self._saying(IMPORT.name):
            asked = (IMPORT, self._importing, self._host, self._patience, doing)
            if answer_within(wait_seconds, self._process, *asked) is None:
                return False
        self._process.freeze()
        return True

    def wait_for_import(self) -> None:
        """Wait until it has finished the import, in as many turns as there is patience with it, and freeze it."""
        while not self.has_imported(math.inf):
            pass

    def load(self, settings: Settings) -> SessionLoaded:
        """Take the cores that it is timed on, import anything that `begin_import` did not, and load."""
        wanted = ToLoad(runtime=self.candidate.runtime, model=self.candidate.model, settings=settings)
        return self._ask(LOAD, wanted)

    def warm(self, images: Path, batch: int, limit_seconds: float, others: tuple[Path, ...] = ()) -> Warmed:
        """See `assay.infer.commands.ToWarm`."""
        warmed = self._ask(WARM, ToWarm(images=images, batch=batch, limit_seconds=limit_seconds, others=others))
        self._call_seconds = warmed.median_ns / 1e9
        return warmed

    def burst(self, calls: int, drop: int) -> Burst:
        """Make so many calls at either boundary, and return their times; see `assay.infer.commands.ToBurst`."""
        return self._ask(BURST, ToBurst(calls=calls, drop=drop), calls=2 * calls + drop)

    def begin_calls(self, seconds: float, out: Path) -> None:
        """Let it call for so long, without waiting for it; see `assay.infer.commands.ToCallTogether`."""
        self._calling = ToCallTogether(seconds=seconds, out=out)
        tell_to(self._process, TOGETHER, self._calling, self._host)

    def end_calls(self) -> CalledTogether:
        """Wait until it has finished its calls."""
        limit = self._calling.seconds + self._limit_seconds
        with self._saying(TOGETHER.name):
            return self._answer(TOGETHER, self._calling, limit)

    def write_logits(self, images: Path, count: int, batch: int, out: Path) -> None:
        """Write its outputs for the first `count` images, `batch` at a time, as an .npy file."""
        self._ask(LOGITS, ToPredict(images=images, count=count, batch=batch, out=out))

    def write_timed(self, out: Path) -> None:
        """Write the outputs kept of timed calls at the present batch size, see `assay.infer.commands.ToKeep`."""
        self._ask(TIMED, ToKeep(out=out))

    def peak_memory_mib(self) -> float:
        """Return the most memory that the process has held, in MiB."""
        return self._ask(MEMORY, Nothing()).peak_mib

    def observe(self) -> SessionObserved:
        """Make one more call, which is not timed."""
        return self._ask(OBSERVE, Nothing())

    @contextmanager
    def awake(self) -> Iterator[None]:
        """Thaw the worker inside the block, and freeze it afterwards."""
        self._process.thaw()
        try:
            yield
        finally:
            self._process.freeze()

    def kill(self) -> None:
        """End the process at once."""
        self._process.kill()

    def _ask(self, command: Job[Asked, Answered], asked: Asked, calls: int = 0) -> Answered:
        """
        Args:
            calls: number of calls that the command makes of a warm model; 0 where others have to be expected.

        Raises:
            AssayError: the worker's own error.
            WorkerError: it crashed, or did not answer in time.
        """
        limit, left = self._limit_seconds, self._until_ready() if command.name in READYING else math.inf
        if calls and math.isfinite(self._call_seconds):
            limit = min(limit, in_proportion(calls * self._call_seconds, SLOWER))
        with self._saying(command.name):
            tell_to(self._process, command, asked, self._host)
            if calls:  # nobody is told anything while a call is timed
                return self._answer(command, asked, limit)
            with waiting_for(self._does(command.name), min(limit, left)):
                return self._answer(command, asked, limit, left)

    def _answer(
        self, command: Job[Asked, Answered], asked: Asked, limit: float, clock_seconds: float = math.inf
    ) -> Answered:
        return answer_to(
            self._process,
            command,
            asked,
            self._host,
            limit_seconds=limit,
            clock_seconds=clock_seconds,
            doing=self._does(command.name),
        )

    def _until_ready(self) -> float:
        """Seconds on the clock that a command may take which only makes it ready."""
        return max(self._ready_by - time.monotonic(), LEAST_SECONDS)

    def _does(self, command: str) -> str:
        return f"{DOES[command]} {self.candidate.label}"

    @contextmanager
    def _saying(self, command: str) -> Iterator[None]:
        """Name the activity of a process that is killed."""
        try:
            yield
        except KilledError as error:
            raise killed(self._does(command), error.number, error.said, remedy=error.remedy) from None


def sides_of(candidates: Iterable[Candidate]) -> set[bool]:
    """Return which sides some candidates are of: True for native ones, False for ONNX."""
    return {one.framework in FRAMEWORKS for one in candidates if one.framework}
