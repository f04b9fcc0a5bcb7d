"""Which machine does what next, and what becomes of that which fails: pure bookkeeping, without a clock or a process.

A group is timed on one machine, which has nothing else to do meanwhile. Training and exporting an architecture is
ordinary work, for any machine that times nothing. Work that a machine does not finish is started again on another one.
Every event costs a time that does not grow with the number of machines or groups.
"""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from enum import Enum

from assay.bench.fleet.machines import Machine
from assay.fleet.section import FleetSection

MOST_LOSSES = 2
"""How often a piece of work that its machine did not finish is begun on another."""


@dataclass(frozen=True)
class Preparation:
    """Everything that the groups of one architecture are timed with: images, weights, exports."""

    architecture: str

    def __str__(self) -> str:
        return f"preparing {self.architecture}"


@dataclass(frozen=True)
class Assignment:
    """A group to be timed on one machine.

    Attributes:
        slot: the kind or the machine that is asked for.
        copy: number of it among the machines of a kind that time the same group.
    """

    group: str
    slot: str
    copy: int = 0

    def __str__(self) -> str:
        return f"{self.group} on {self.slot}{f', machine {self.copy + 1}' if self.copy else ''}"


Work = Preparation | Assignment


class Ending(Enum):
    """The end of a piece of work on a machine."""

    DONE = "done"
    DISTURBED = "timed, but something disturbed it"
    LOST = "the machine or the process went away"
    REFUSED = "it cannot be done"


@dataclass(frozen=True)
class EarlierTry:
    """A try of an earlier run.

    Attributes:
        machine: the machine's key.
        disturbed: its disturbance, where it is to be tried elsewhere once; "" where it is finished.
    """

    machine: str
    disturbed: str = ""


@dataclass
class Dispatch:
    """The work of a fleet, and the machines for it.

    Attributes:
        groups: groups of the study in the order in which they are timed.
        asked: which machines they are timed on.
        known: returns the try that an earlier run kept of a unit.
        failed: work that is given up, and why.
        finished: units that have their times.
    """

    groups: Sequence[str]
    asked: FleetSection
    known: Callable[[Assignment], EarlierTry | None] = lambda unit: None
    failed: dict[Work, str] = field(default_factory=dict)
    finished: dict[Assignment, None] = field(default_factory=dict)
    _there: dict[str, Machine] = field(default_factory=dict)
    _free: deque[str] = field(default_factory=deque)
    _preparing: deque[Preparation] = field(default_factory=deque)
    _waiting: dict[str, deque[Assignment]] = field(default_factory=dict)
    _idle: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set))
    _doing: dict[Work, Machine] = field(default_factory=dict)
    _busy: dict[str, Work] = field(default_factory=dict)
    _used: dict[tuple[str, str], set[str]] = field(default_factory=lambda: defaultdict(set))
    _losses: dict[Work, int] = field(default_factory=lambda: defaultdict(int))
    _disturbed: dict[Assignment, str] = field(default_factory=dict)
    _ready: set[str] = field(default_factory=set)
    _copies: dict[str, int] = field(default_factory=dict)
    _of_slot: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set))
    _slots: dict[str, list[tuple[str, int]]] = field(default_factory=dict)
    _resting: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._preparing.extend(Preparation(one) for one in dict.fromkeys(map(architecture_of, self.groups)))
        if isinstance(self.asked.machines, dict):
            self._copies = dict(self.asked.machines)
        elif not isinstance(self.asked.machines, str):
            self._copies = dict.fromkeys(self.asked.machines, 1)
        self._waiting = {slot: deque() for slot in self._copies}

    @property
    def under_way(self) -> int:
        """Number of pieces of work that some machine does."""
        return len(self._doing)

    @property
    def is_over(self) -> bool:
        """Check whether there is nothing left to do or to wait for."""
        return not (self._doing or self._preparing or any(self._waiting.values())) and bool(self._copies)

    @property
    def left(self) -> int:
        """Number of units that wait."""
        return sum(map(len, self._waiting.values()))

    def sees(self, machines: Iterable[Machine]) -> list[Work]:
        """Take note of the machines that are there now.

        Returns:
            The work of those that went away, which `ended` is to be told of when its end is known.
        """
        now = {machine.place: machine for machine in machines if not machine.refused}
        gone = [place for place in self._there if place not in now]
        for place in gone:
            del self._there[place]
            for slot, _ in self._slots[place]:
                self._of_slot[slot].discard(place)
                self._idle[slot].discard(place)
        for place, machine in now.items():
            if place not in self._there:
                self._join(machine)
        self._free.extend(self._resting)
        self._resting.clear()
        return [self._busy[place] for place in gone if place in self._busy]

    def next(self) -> Iterator[tuple[Work, Machine]]:
        """Iterate over work to begin now, each on its machine."""
        while self._free:
            place = self._free.popleft()
            machine = self._there.get(place)
            if machine is None or place in self._busy:
                continue
            work = self._for(machine)
            if work is None:
                self._idle[""].add(place)
                for slot, _ in self._slots[place]:
                    self._idle[slot].add(place)
                continue
            self._doing[work], self._busy[place] = machine, work
            if isinstance(work, Assignment):
                self._used[work.slot, work.group].add(machine.key)
            yield work, machine

    def ended(self, work: Work, end: Ending, why: str = "") -> bool:
        """Take note of how something ended.

        Returns:
            Whether its result is to be kept; otherwise it is done again, or given up.
        """
        machine = self._doing.pop(work)
        self._busy.pop(machine.place, None)
        (self._resting if end is Ending.LOST else self._free).append(machine.place)
        if end is Ending.LOST:
            self._losses[work] += 1
            if self._losses[work] <= MOST_LOSSES:
                self._again(work)
                return False
        if end is Ending.DISTURBED and isinstance(work, Assignment) and work not in self._disturbed:
            self._disturbed[work] = why
            if self._elsewhere(work):
                self._again(work)
                return True
        if end in (Ending.LOST, Ending.REFUSED) and not (isinstance(work, Assignment) and work in self._disturbed):
            self._give_up(work, why)
            return False
        if isinstance(work, Preparation):
            self._ready.add(work.architecture)
            for slot in self._copies:
                self._wait(slot, [group for group in self.groups if architecture_of(group) == work.architecture])
        else:
            self.finished[work] = None
        return end in (Ending.DONE, Ending.DISTURBED)

    def settle(self) -> list[Work]:
        """Give up what no machine that is there may do any more, where nothing is under way: an only try stands.

        Returns:
            The work that still waits for a machine.
        """
        left: list[Work] = list(self._preparing) if not self._there else []
        for waiting in self._waiting.values():
            for unit in [one for one in waiting if one in self._disturbed and not self._elsewhere(one)]:
                waiting.remove(unit)
                self.finished[unit] = None
            left += waiting
        return left

    def _join(self, machine: Machine) -> None:
        self._there[machine.place] = machine
        self._free.append(machine.place)
        self._slots[machine.place] = list(machine.slots(self.asked))
        for slot, number in self._slots[machine.place]:
            self._of_slot[slot].add(machine.place)
            if slot not in self._copies:
                self._copies[slot] = number
                self._waiting[slot] = deque()
                self._wait(slot, [group for group in self.groups if architecture_of(group) in self._ready])

    def _wait(self, slot: str, groups: Sequence[str]) -> None:
        units = [Assignment(group, slot, copy) for copy in range(self._copies[slot]) for group in groups]
        for unit in units:
            tried = self.known(unit)
            if tried and not tried.disturbed:
                self.finished[unit] = None
            elif unit not in self.finished and unit not in self.failed:
                self._waiting[slot].append(unit)
            if tried:
                self._used[slot, unit.group].add(tried.machine)
            if tried and tried.disturbed:
                self._disturbed[unit] = tried.disturbed
        self._wake(slot)

    def _wake(self, slot: str) -> None:
        """Let machines that had nothing to do look again."""
        self._free.extend(self._idle.pop(slot, ()))

    def _for(self, machine: Machine) -> Work | None:
        """Take the next piece of work for a machine: what others wait for first."""
        if self._preparing:
            return self._preparing.popleft()
        for slot, _ in self._slots[machine.place]:
            waiting = self._waiting[slot]
            for place, unit in enumerate(waiting):
                if machine.key not in self._used[slot, unit.group]:
                    del waiting[place]
                    return unit
        return None

    def _elsewhere(self, unit: Assignment) -> bool:
        """Check whether another machine that is there may do it."""
        used = self._used[unit.slot, unit.group]
        return any(self._there[place].key not in used for place in self._of_slot[unit.slot])

    def _again(self, work: Work) -> None:
        if isinstance(work, Preparation):
            self._preparing.appendleft(work)
            self._wake("")
            return
        if not self._elsewhere(work):  # whoever lost it may come back, and is then as good as any
            self._used[work.slot, work.group].clear()
        self._waiting[work.slot].appendleft(work)
        self._wake(work.slot)

    def _give_up(self, work: Work, why: str) -> None:
        self.failed[work] = why
        if isinstance(work, Preparation):
            for slot, copies in self._copies.items():
                for group in self.groups:
                    if architecture_of(group) == work.architecture:
                        self.failed |= {Assignment(group, slot, copy): why for copy in range(copies)}


def architecture_of(group: str) -> str:
    """Return the architecture of a group's name, "bloodnet/28/t1"."""
    return group.partition("/")[0]
