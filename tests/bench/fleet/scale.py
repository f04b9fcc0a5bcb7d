"""How a fleet's conductor and its report grow with the number of machines, on simulated ones.

python -m tests.bench.fleet.scale [MACHINES...]

Prints for each number of machines, which each time 20 groups, the processor time of the conductor for each unit: of
planning alone, of its whole course (giving out, asking a machine, keeping what comes back), and of continuing where
everything is finished; then the seconds to read as many runs with planted times, to join them and to draw their page.
A simulated machine answers at once and times nothing, so that only the conductor's own cost is left.
"""

from __future__ import annotations

import resource
import sys
import tempfile
import threading
import time
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from io import StringIO
from pathlib import Path
from typing import Unpack

from rich.console import Console

from assay.bench.fleet.conduct import FleetRun, conduct
from assay.bench.fleet.dispatch import Dispatch, Ending
from assay.bench.fleet.join import join
from assay.bench.fleet.machines import Machine
from assay.bench.fleet.on_machine import RESULT_FILES, GroupTimed, Ready
from assay.bench.fleet.page import render_joined
from assay.bench.fleet.runs import read_run
from assay.bench.words.progress import Narrator
from assay.errors import AssayError
from assay.fleet.section import FleetSection
from assay.jobs.host import How
from assay.jobs.job import Message
from assay.jobs.patience import Spent
from assay.study import load_study
from tests.bench.fleet import planted
from tests.bench.fleet.test_dispatch import machine
from tests.small_study import small_study

MACHINES = (10, 100, 1000)
SIZES = range(12, 32)
KINDS = 10
LOOK_EVERY = 2000
"""The number of ends between two looks at which machines there are."""


class Watch:
    """Processor seconds since the last look."""

    def __init__(self) -> None:
        self._since = time.process_time()

    def look(self) -> float:
        since, self._since = self._since, time.process_time()
        return self._since - since


@dataclass
class SimulatedProcess:
    """A process that answers at once, with empty results."""

    module: str
    out: Path | None = None

    def send(self, message: Message, limit_seconds: float) -> None:
        request = message["request"]
        assert isinstance(request, dict)
        self.out = Path(str(request["out"])) if "out" in request else None

    def receive(self, limit_seconds: float) -> Message:
        if self.out is None:
            return {"result": Ready(made={"weights": "0"}).model_dump(mode="json")}
        for name in RESULT_FILES:
            (self.out / name).write_text("{}")
        return {"result": GroupTimed().model_dump(mode="json")}

    def explained(self, error: AssayError) -> AssayError:
        return error

    def spent(self) -> Spent:
        return Spent(0.0)

    def freeze(self) -> None: ...

    def thaw(self) -> None: ...

    def kill(self) -> None: ...

    def close(self) -> None: ...


class SimulatedHost:
    """A host of such processes, with this machine's files."""

    def start(self, module: str, log: Path, **how: Unpack[How]) -> SimulatedProcess:
        return SimulatedProcess(module)

    def there(self, path: Path, written: bool) -> Path:
        return path

    def here(self, path: Path) -> Path:
        return path

    def fetch(self, path: Path) -> None: ...


@dataclass
class SimulatedFleet:
    """Machines that are always there. They answer one after the other: real ones take minutes, so that the conductor's
    threads do not contend for the interpreter.
    """

    there: Sequence[Machine]
    turn: threading.Lock = field(default_factory=threading.Lock)

    def machines(self) -> Sequence[Machine]:
        return self.there

    @contextmanager
    def host(self, machine: Machine, *, whole: bool) -> Iterator[SimulatedHost]:
        with self.turn:
            yield SimulatedHost()

    def close(self) -> None: ...


def planned(groups: Sequence[str], there: Sequence[Machine]) -> Dispatch:
    """The bookkeeping of a study that each of the machines times whole."""
    dispatch = Dispatch(groups, FleetSection(machines=tuple(one.name for one in there)))
    dispatch.sees(there)
    doing, ends = deque(dispatch.next()), 0
    while doing:
        work, _ = doing.popleft()
        dispatch.ended(work, Ending.DONE)
        ends += 1
        if ends % LOOK_EVERY == 0:
            dispatch.sees(there)
        doing.extend(dispatch.next())
    return dispatch


def conducted(run: FleetRun, there: Sequence[Machine]) -> Dispatch:
    """The whole course of such a study."""
    dispatch = Dispatch(run.groups, FleetSection(machines=tuple(one.name for one in there)), run.known)
    conduct(dispatch, run.fleet, run.do, run.narrator)
    return dispatch


def main(numbers: tuple[int, ...]) -> None:
    print("             ms a unit:                        seconds:")
    print("machines    units    plan  conduct  continue    read    join    page  page MB  peak MB")
    for number in numbers:
        there = [machine(one, f"kind{one % KINDS}") for one in range(number)]
        with tempfile.TemporaryDirectory() as folder:
            root = Path(folder)
            (root / "study.toml").write_text(small_study(sizes=SIZES))
            study = load_study(root / "study.toml", ())
            run = FleetRun(study, root / "out", SimulatedFleet(there), Narrator(Console(file=StringIO())), None)
            watch = Watch()
            units = len(planned(run.groups, there).finished)
            planning = watch.look()
            assert len(conducted(run, there).finished) == units
            conducting = watch.look()
            again = FleetRun(study, root / "out", SimulatedFleet(there), Narrator(Console(file=StringIO())), None)
            assert len(conducted(again, there).finished) == units
            continuing = watch.look()
            for one in range(number):
                kind = planted.kind(f"kind{one % KINDS}")
                planted.Machine(kind, f"identity{one}").write(root / "runs" / f"{one}", one)
            watch.look()
            runs = [read_run(root / "runs" / f"{one}") for one in range(number)]
            reading = watch.look()
            joined = join(runs, root / "joined")
            joining = watch.look()
            page = render_joined(joined)
            drawing = watch.look()
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        each = [seconds / units * 1e3 for seconds in (planning, conducting, continuing)]
        print(
            f"{number:8,} {units:8,} {each[0]:7.3f} {each[1]:8.3f} {each[2]:9.3f} {reading:7.1f} {joining:7.1f} "
            f"{drawing:7.1f} {len(page) / 1e6:8.2f} {peak:8.0f}",
            flush=True,
        )


if __name__ == "__main__":
    main(tuple(map(int, sys.argv[1:])) or MACHINES)
