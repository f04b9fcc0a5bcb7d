"""A study on many machines: its conductor gives out work, keeps what comes back, and joins it at the end.

The conductor may be killed at any time: what has come back is kept in its folder, and what a machine had finished is
kept on that machine.
"""

from __future__ import annotations

import hashlib
import queue
import shutil
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path

from pydantic import Field, JsonValue

from assay.bench.fleet.dispatch import Assignment, Dispatch, EarlierTry, Ending, Preparation, Work, architecture_of
from assay.bench.fleet.join import join
from assay.bench.fleet.machines import Fleet, LostError, Machine
from assay.bench.fleet.on_machine import PREPARE, RESULT_FILES, TIME_GROUP, GroupTimed, ToPrepare, ToTimeGroup
from assay.bench.fleet.runs import read_run
from assay.bench.stages.time import names_of_groups
from assay.bench.words.numbers import counted
from assay.bench.words.progress import Narrator
from assay.errors import AssayError, DiskError, FailedError, WorkerError
from assay.files.disk import short_name
from assay.fleet.joined import Joined
from assay.fleet.section import FleetSection
from assay.jobs.host import Starter
from assay.jobs.running import run_job
from assay.records.base import Record
from assay.records.results import RESULTS_FILE, Results, read_results
from assay.steps import Limit
from assay.store import Artifact, Store, facts_of, write_atomically
from assay.study import Study
from assay.train.datasets.data import DataRequest, resolve_auto

LOOK_SECONDS = 5.0
"""How often the conductor looks which machines there are."""
BEYOND_SECONDS = 4 * 3600.0
"""Time for references, ceilings, attribution and comparisons beside the minutes of timing, and for a training."""
KIND = "timed on a machine"
BEFORE = "on another machine before: "
ON = "-on-"
MOST_THREADS = 4096
AT_ONCE = 8
"""How many threads work for their machines at once: enough for the disk to be busy while one of them computes."""


class KeptTimes(Record):
    """Facts about a kept result, and about the tries before the one that gave it.

    Attributes:
        machine: key of its machine.
        disturbed, cut: see `GroupTimed`, of the last try.
        before: disturbance of the first try that was disturbed and not cut, where that is an earlier one.
        before_on: key of its machine.
        invalid: by cell, why it was INVALID in all tries, the last one first.
    """

    machine: str
    disturbed: str = ""
    cut: str = ""
    before: str = ""
    before_on: str = ""
    invalid: dict[str, list[str]] = Field(default_factory=dict)

    @property
    def as_tried(self) -> EarlierTry:
        """The try that counts for what comes next: the last one where no other is due, else the first disturbed one."""
        if self.cut:
            return EarlierTry(self.before_on, Ending.DISTURBED) if self.before_on else EarlierTry()
        return EarlierTry(self.machine, Ending.DISTURBED if self.disturbed and not self.before else Ending.DONE)

    def then(self, machine: str, timed: GroupTimed, invalid: Mapping[str, list[str]]) -> KeptTimes:
        """Return the facts after one more try, in which cells were INVALID for these reasons."""
        disturbed = "" if self.cut else self.disturbed
        return KeptTimes(
            machine=machine,
            disturbed=timed.disturbed,
            cut=timed.cut,
            before=self.before or disturbed,
            before_on=self.before_on or (self.machine if disturbed else ""),
            invalid={
                name: [*invalid.get(name, ()), *self.invalid.get(name, ())] for name in {**invalid, **self.invalid}
            },
        )


Do = Callable[[Work, Machine], tuple[Ending, str]]
Ends = queue.SimpleQueue[tuple[Work, Ending, str] | BaseException]


def conduct(
    dispatch: Dispatch, fleet: Fleet, do: Do, narrator: Narrator, *, look_seconds: float = LOOK_SECONDS
) -> None:
    """Give out work until there is none left.

    Args:
        do: does one piece of work on a machine, in a thread of its own, and says how it ended.

    Raises:
        FailedError: no machine came for what still waits, within the study's limit.
    """
    ends: Ends = queue.SimpleQueue()
    waiting_since = looked = 0.0
    with ThreadPoolExecutor(MOST_THREADS, thread_name_prefix="assay-fleet") as pool:
        try:
            while not dispatch.is_over:
                now = time.monotonic()
                if now - looked >= look_seconds:
                    dispatch.sees(_machines(fleet, narrator))
                    looked = now
                for work, machine in dispatch.next():
                    narrator.tell(f"{work}: begun on {machine.name}, {dispatch.left} wait")
                    pool.submit(_done, do, work, machine, ends)
                if dispatch.under_way:
                    waiting_since = 0.0
                    _take(dispatch, ends, narrator, look_seconds)
                elif left := dispatch.settle():
                    waiting_since = waiting_since or _say_waiting(left, dispatch.asked, narrator)
                    _give_up_late(left, waiting_since, dispatch.asked)
                    time.sleep(min(look_seconds, 1.0))
                elif not dispatch.is_over:  # nobody has come yet
                    waiting_since = waiting_since or _say_waiting([], dispatch.asked, narrator)
                    _give_up_late([], waiting_since, dispatch.asked)
                    time.sleep(min(look_seconds, 1.0))
        except BaseException:
            fleet.close()
            pool.shutdown(wait=True, cancel_futures=True)
            raise


def _machines(fleet: Fleet, narrator: Narrator) -> Sequence[Machine]:
    """The machines that are there: none while the engine does not answer."""
    try:
        return fleet.machines()
    except LostError as error:
        narrator.note(str(error))
        return ()


def _done(do: Do, work: Work, machine: Machine, ends: Ends) -> None:
    """Do a piece of work; whatever happens, its end is told."""
    try:
        ending, why = do(work, machine)
    except (WorkerError, DiskError) as error:  # the machine's failure, or nobody's: another one may do it
        ends.put((work, Ending.LOST, f"on {machine.name}: {error}"))
    except AssayError as error:
        ends.put((work, Ending.REFUSED, f"on {machine.name}: {error}"))
    except BaseException as error:  # noqa: BLE001  the conductor raises it
        ends.put(error)
    else:
        ends.put((work, ending, why))


def _take(dispatch: Dispatch, ends: Ends, narrator: Narrator, seconds: float) -> None:
    """Wait for an end, for so long, and take note of it.

    Raises:
        BaseException: an unforeseen error of the work.
    """
    try:
        end = ends.get(timeout=seconds)
    except queue.Empty:
        return
    if isinstance(end, BaseException):
        raise end
    work, ending, why = end
    dispatch.ended(work, ending, why)
    narrator.note(f"{work}: {ending.value}{f': {why}' if why else ''}")


def _say_waiting(left: list[Work], asked: FleetSection, narrator: Narrator) -> float:
    what = f" for {counted(len(left), 'piece')} of work ({left[0]})" if left else ""
    narrator.note(f"waiting for a machine{what}; given up after {asked.wait_minutes:g} minutes (fleet.wait_minutes)")
    return time.monotonic()


def _give_up_late(left: list[Work], since: float, asked: FleetSection) -> None:
    """
    Raises:
        FailedError: it has been waited for long enough.
    """
    if time.monotonic() - since > asked.wait_minutes * 60:
        raise FailedError(
            "No machine came for " + (", ".join(map(str, left[:3])) if left else "the study"),
            expected=f"one within {asked.wait_minutes:g} minutes (fleet.wait_minutes)",
            remedy="What was finished is kept; the same command goes on from here when there are machines",
        )


@dataclass
class FleetRun:
    """A study under way on a fleet.

    Attributes:
        folder: folder of the study on the conductor's machine.
        store: the shared store that machines reach by themselves; "" where files are sent.
        again: whether results of an earlier run are timed once more.
    """

    study: Study
    folder: Path
    fleet: Fleet
    narrator: Narrator
    images: Path | None
    store: str = ""
    again: bool = False
    _made: dict[str, dict[str, str]] = field(default_factory=dict)
    _tries: dict[Assignment, KeptTimes] = field(default_factory=dict)
    _turn: threading.BoundedSemaphore = field(default_factory=lambda: threading.BoundedSemaphore(AT_ONCE))
    """Held by a thread while it prepares a request or keeps a result. The others wait for it asleep, and not for the
    interpreter and for the folder of all results, where a thousand wake each other.
    """

    @property
    def units(self) -> Store:
        """The results that came back."""
        return Store(self.folder / "units")

    @property
    def groups(self) -> list[str]:
        return names_of_groups(self.study)

    def do(self, work: Work, machine: Machine) -> tuple[Ending, str]:
        """Do a piece of work on a machine.

        Raises:
            WorkerError: the machine or the process went away.
            AssayError: it cannot be done there.
        """
        with self.fleet.host(machine, whole=isinstance(work, Assignment)) as host:
            if isinstance(work, Preparation):
                log = self.folder / "logs" / f"prepare-{work.architecture}.log"
                mine = tuple(group for group in self.groups if architecture_of(group) == work.architecture)
                asked = ToPrepare(**self._asked(mine), shelf=None if self.store else self.folder / "shelf")
                limit = Limit(BEYOND_SECONDS, f"Preparing {work.architecture} on {machine.name}")
                found = run_job(PREPARE, asked, log, limit_seconds=limit, host=host)
                self._made[work.architecture] = found.made
                return Ending.DONE, ""
            timed = self._time(work, machine, host)
        told = ((Ending.UNFIT, timed.unfit), (Ending.CUT, timed.cut), (Ending.DISTURBED, timed.disturbed))
        return next(((end, f"on {machine.name}: {why}") for end, why in told if why), (Ending.DONE, ""))

    def known(self, unit: Assignment) -> EarlierTry | None:
        """Return what an earlier run has of a unit."""
        tried = EarlierTry()
        if found := None if self.again else self._found(unit):
            self._tries[unit] = facts_of(found, KeptTimes)
            tried = self._tries[unit].as_tried
        begun = next((one.name.removeprefix(_begun(unit)) for one in self._parts.get(_begun(unit), ())), "")
        return replace(tried, begun=begun) if tried.end or begun else None

    @cached_property
    def _parts(self) -> dict[str, list[Path]]:
        """By the beginning of their names, the folders for what comes back of a unit until it is finished."""
        found = defaultdict[str, list[Path]](list)
        for part in self.units.folder.glob(f".*{ON}*"):
            found[part.name.rpartition(ON)[0] + ON].append(part)
        return found

    def results(self, units: list[Assignment]) -> list[Path]:
        """Return the folders of the units' results."""
        return [found.folder for unit in units if (found := self._found(unit))]

    def _time(self, unit: Assignment, machine: Machine, host: Starter) -> GroupTimed:
        with self._turn:
            request = self._to_time(unit, machine)
        seconds = (self.study.bench.budget_minutes + self.study.bench.instance_minutes) * 60 + BEYOND_SECONDS
        limit = Limit(seconds, f"Timing {unit.group} on {machine.name}")
        log = self.folder / "logs" / f"{_name(unit)}.log"
        timed = run_job(TIME_GROUP, request, log, limit_seconds=limit, host=host)
        if not timed.unfit:
            with self._turn:
                self._keep(unit, machine, request.out, timed)
        return timed

    def _to_time(self, unit: Assignment, machine: Machine) -> ToTimeGroup:
        """Return the request for a unit, with an empty folder for what comes back."""
        out = self.units.folder / f"{_begun(unit)}{machine.key}"
        shutil.rmtree(out, ignore_errors=True)
        out.mkdir(parents=True)
        self._parts[_begun(unit)].append(out)
        shelf = None if self.store else self.folder / "shelf"
        return ToTimeGroup(**self._asked((unit.group,)), shelf=shelf, again=self.again, out=out)

    def _keep(self, unit: Assignment, machine: Machine, out: Path, timed: GroupTimed) -> None:
        """Keep what came back of a unit; where it was disturbed, with the reasons of the tries before."""
        before = self._tries.get(unit, KeptTimes(machine=""))
        results = read_results(out / RESULTS_FILE) if timed.disturbed else None
        invalid = {cell.name: cell.invalid for cell in results.cells if cell.invalid} if results else {}
        kept = before.then(machine.key, timed, invalid)

        def fill(work: Path) -> dict[str, JsonValue]:
            for file in RESULT_FILES:
                shutil.copyfile(out / file, work / file)
            if results and before.invalid:
                said = _with_reasons(results, before.invalid).model_dump_json(indent=1)
                write_atomically(work / RESULTS_FILE, said.encode())
            return kept.model_dump(mode="json")

        self.units.kept(KIND, self._inputs(unit), fill, name=_name(unit), single=True, anew=True)
        self._tries[unit] = kept
        parts = self._parts[_begun(unit)]
        while parts:
            shutil.rmtree(parts.pop(), ignore_errors=True)

    def _asked(self, groups: tuple[str, ...]) -> dict[str, object]:
        course = f"{self.study.name}-{hashlib.sha256(str(self.folder).encode()).hexdigest()[:12]}"
        return {"study": self.study, "images": self.images, "groups": groups, "course": course, "store": self.store}

    @cached_property
    def _settings(self) -> dict[str, JsonValue]:
        """The settings that decide the times."""
        return self.study.model_dump(mode="json", exclude={"fleet", "data"})

    def _inputs(self, unit: Assignment) -> dict[str, JsonValue]:
        made: dict[str, JsonValue] = dict(self._made[architecture_of(unit.group)])
        return {"study": self._settings, "made": made, "group": unit.group, "slot": unit.slot, "copy": unit.copy}

    def _found(self, unit: Assignment) -> Artifact | None:
        return self.units.found(KIND, self._inputs(unit), name=_name(unit), single=True)


def run_on_fleet(
    study: Study,
    folder: Path,
    cache: Path,
    fleet: Fleet,
    narrator: Narrator,
    *,
    store: str = "",
    again: bool = False,
) -> tuple[Joined | None, dict[Work, str]]:
    """Run a study on the machines that it asks for, or the rest of it, and join what they gave.

    Args:
        folder: folder for everything that comes back, with the joined results.
        store: see `FleetRun`.

    Returns:
        The joined results, None where there are none, and what was given up, with the reasons.

    Raises:
        AssayError: bad input, or no machine within the limit.
    """
    resolved, images = _with_images(study, cache, narrator)
    run = FleetRun(resolved, folder.resolve(), fleet, narrator, images, store, again)
    dispatch = Dispatch(run.groups, study.fleet, run.known)
    with narrator.showing():
        narrator.stage(f"{len(run.groups)} groups, by machines of the fleet")
        conduct(dispatch, fleet, run.do, narrator)
    kept = run.results(dispatch.with_times)
    joined = join([read_run(one) for one in kept], folder, least=1) if kept else None
    return joined, dispatch.failed


def _with_images(study: Study, cache: Path, narrator: Narrator) -> tuple[Study, Path | None]:
    """Return the study with one data set for all machines, and its files where they are this machine's."""
    asked = study.data
    sizes = sorted({size for model in study.models for size in model.sizes})
    request = DataRequest(asked.name, sizes[0], asked.root, asked.limit, asked.seed, cache)
    found = resolve_auto(request, sizes, narrator.bar)
    name, _, place = found.name.partition(":")
    of_files = name == "pbc"
    images = Path(place) if of_files else found.root
    told = {"name": f"{name}:images" if of_files else found.name, "root": None}
    data = asked.model_copy(update=told)
    return study.model_copy(update={"data": data}), images and images.expanduser().resolve()


def _name(unit: Assignment) -> str:
    return short_name(f"{unit.group}-{unit.slot}-{unit.copy + 1}".replace("/", "-").replace(" ", "-"))


def _begun(unit: Assignment) -> str:
    """The name of the folder for what comes back of a unit, before the key of the machine that works on it."""
    return f".{_name(unit)}{ON}"


def _with_reasons(results: Results, before: Mapping[str, list[str]]) -> Results:
    """Return the results with cells that are INVALID saying why they were so on other machines too."""
    cells = [
        cell.model_copy(update={"invalid": [*cell.invalid, *(BEFORE + one for one in before.get(cell.name, ()))]})
        if cell.invalid
        else cell
        for cell in results.cells
    ]
    return results.model_copy(update={"cells": cells})
