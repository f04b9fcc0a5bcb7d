"""Machines that time nothing: a process of theirs answers at once, with the results that a test determines."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from io import StringIO
from pathlib import Path
from typing import Unpack

from rich.console import Console

from assay.bench.fleet.conduct import LOOK_SECONDS, FleetRun, conduct
from assay.bench.fleet.dispatch import Dispatch
from assay.bench.fleet.machines import Machine
from assay.bench.fleet.on_machine import RESULT_FILES, GroupTimed, Ready
from assay.bench.words.progress import Narrator
from assay.errors import AssayError
from assay.fleet.section import FleetSection
from assay.jobs.host import How
from assay.jobs.job import Message
from assay.jobs.patience import Spent
from assay.study import Study

Answer = Callable[[Machine, Path], GroupTimed]
"""Writes the results of a machine into a folder, and says how its timing ended."""


def nothing(machine: Machine, out: Path) -> GroupTimed:
    """Empty results."""
    for name in RESULT_FILES:
        (out / name).write_text("{}")
    return GroupTimed()


@dataclass
class SimulatedProcess:
    """A process on a machine."""

    module: str
    machine: Machine
    answer: Answer
    out: Path | None = None

    def send(self, message: Message, limit_seconds: float) -> None:
        request = message["request"]
        assert isinstance(request, dict)
        self.out = Path(str(request["out"])) if "out" in request else None

    def receive(self, limit_seconds: float) -> Message:
        if self.out is None:
            return {"result": Ready(made={"weights": "0"}).model_dump(mode="json")}
        return {"result": self.answer(self.machine, self.out).model_dump(mode="json")}

    def explained(self, error: AssayError) -> AssayError:
        return error

    def spent(self) -> Spent:
        return Spent(0.0)

    def freeze(self) -> None: ...

    def thaw(self) -> None: ...

    def kill(self) -> None: ...

    def close(self) -> None: ...


@dataclass
class SimulatedHost:
    """A host of such processes, with this machine's files."""

    machine: Machine
    answer: Answer

    def start(self, module: str, log: Path, **how: Unpack[How]) -> SimulatedProcess:
        return SimulatedProcess(module, self.machine, self.answer)

    def there(self, path: Path, written: bool) -> Path:
        return path

    def here(self, path: Path) -> Path:
        return path

    def fetch(self, path: Path) -> None: ...


@dataclass
class SimulatedFleet:
    """Machines that are there until a test takes them away.

    Attributes:
        turn: entered for each piece of work; a lock lets one machine after the other answer.
    """

    there: Sequence[Machine]
    answer: Answer = nothing
    turn: AbstractContextManager[object] = field(default_factory=threading.Lock)

    def machines(self) -> Sequence[Machine]:
        return tuple(self.there)

    @contextmanager
    def host(self, machine: Machine, *, whole: bool) -> Iterator[SimulatedHost]:
        with self.turn:
            yield SimulatedHost(machine, self.answer)

    def close(self) -> None: ...


def course(study: Study, out: Path, fleet: SimulatedFleet) -> FleetRun:
    """A study on such a fleet, with its results in a folder."""
    return FleetRun(study, out, fleet, Narrator(Console(file=StringIO())), None)


def conducted(
    run: FleetRun, asked: FleetSection, kind: type[Dispatch] = Dispatch, look_seconds: float = LOOK_SECONDS
) -> Dispatch:
    """The bookkeeping of a study after its whole course."""
    dispatch = kind(run.groups, asked, run.known)
    conduct(dispatch, run.fleet, run.do, run.narrator, look_seconds=look_seconds)
    return dispatch
