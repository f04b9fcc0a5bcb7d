"""Which machine does what next, and what becomes of that which fails: pure bookkeeping, without a clock or a process.

A group is timed on one machine, which has nothing else to do meanwhile. Training and exporting an architecture is
ordinary work, for any machine that times nothing. Work that a machine does not finish is started again on another one.
An event takes the same time however many machines there are.
"""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from enum import Enum
from functools import partial

from assay.bench.fleet.machines import Machine
from assay.bench.fleet.waiting import Waiting
from assay.fleet.section import EACH_KIND, FleetSection

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
    CUT = "timed, but somebody ended a process of it"
    LOST = "the machine or the process went away"
    UNFIT = "its machine may not time"
    REFUSED = "it cannot be done"


@dataclass(frozen=True)
class EarlierTry:
    """The outcome of a unit in an earlier run.

    Attributes:
        machine: key of the machine of the try that counts, "" without one.
        end: how that try ended.
        begun: key of the machine that was at work on it when the earlier run ended, "" without one.
    """

    machine: str = ""
    end: Ending | None = None
    begun: str = ""


@dataclass
class Dispatch:
    """The work of a fleet, and the machines for it.

    Attributes:
        groups: groups of the study in the order in which they are timed.
        asked: which machines they are timed on.
        known: returns the outcome of a unit in an earlier run.
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
    _waiting: Waiting[Assignment] = field(default_factory=Waiting)
    _idle: dict[str, dict[str, None]] = field(default_factory=lambda: defaultdict(dict))
    _doing: dict[Work, Machine] = field(default_factory=dict)
    _busy: dict[str, Work] = field(default_factory=dict)
    _used: dict[tuple[str, str], set[str]] = field(default_factory=lambda: defaultdict(set))
    _lost_on: dict[tuple[str, str], set[str]] = field(default_factory=lambda: defaultdict(set))
    _losses: dict[Work, int] = field(default_factory=lambda: defaultdict(int))
    _times: dict[Assignment, set[Ending]] = field(default_factory=lambda: defaultdict(set))
    _begun: dict[Assignment, str] = field(default_factory=dict)
    _unfit: dict[str, str] = field(default_factory=dict)
    _had_unfit: dict[str, str] = field(default_factory=dict)
    _ready: set[str] = field(default_factory=set)
    _copies: dict[str, int] = field(default_factory=dict)
    _of_slot: dict[str, dict[str, set[str]]] = field(default_factory=lambda: defaultdict(dict))
    _slots: dict[str, list[str]] = field(default_factory=dict)
    _resting: list[str] = field(default_factory=list)
    _of_architecture: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))
    _rank: dict[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for group in self.groups:
            self._of_architecture[architecture_of(group)].append(group)
        self._preparing.extend(map(Preparation, self._of_architecture))
        if isinstance(self.asked.machines, dict):
            self._copies = dict(self.asked.machines)
        elif not isinstance(self.asked.machines, str):
            self._copies = dict.fromkeys(self.asked.machines, 1)
        self._rank = {slot: rank for rank, slot in enumerate(self._copies)}

    @property
    def under_way(self) -> int:
        """Number of pieces of work that some machine does."""
        return len(self._doing)

    @property
    def is_over(self) -> bool:
        """Check whether there is nothing left to do or to wait for."""
        return not (self._doing or self._preparing or self._waiting) and bool(self._copies)

    @property
    def left(self) -> int:
        """Number of units that wait."""
        return len(self._waiting)

    @property
    def with_times(self) -> list[Assignment]:
        """The finished units in the order of the study, whichever of them ended first."""
        order = {group: place for place, group in enumerate(self.groups)}
        return sorted(self.finished, key=lambda unit: (order[unit.group], unit.slot, unit.copy))

    def sees(self, machines: Iterable[Machine]) -> None:
        """Take note of the machines that are there now; `ended` is told of the work of those that went away."""
        now = {machine.place: machine for machine in machines if not machine.refused}
        gone = [place for place in self._there if place not in now]
        for place in gone:
            self._leave(self._there.pop(place))
        for place, machine in now.items():
            if place not in self._there:
                self._join(machine)
        self._free.extend(self._resting)
        self._resting.clear()

    def next(self) -> Iterator[tuple[Work, Machine]]:
        """Iterate over work to begin now, each on its machine."""
        while self._free:
            place = self._free.popleft()
            machine = self._there.get(place)
            if machine is None or place in self._busy:
                continue
            work = self._for(machine)
            if work is None:
                for slot in ("", *self._slots[place]):
                    self._idle[slot][place] = None
                continue
            self._doing[work], self._busy[place] = machine, work
            if isinstance(work, Assignment):
                self._used[work.slot, work.group].add(machine.key)
                self._lost_on[work.slot, work.group].discard(machine.key)
                self._begun.pop(work, None)
                if self._lost_on[work.slot, work.group]:  # there may be no other machine any more
                    self._wake(work.slot)
            yield work, machine

    def ended(self, work: Work, end: Ending, why: str = "") -> bool:
        """Take note of how something ended.

        Returns:
            Whether its result is to be kept; otherwise it is done again, or given up.
        """
        machine = self._doing.pop(work)
        self._busy.pop(machine.place, None)
        (self._resting if end is Ending.LOST else self._free).append(machine.place)
        if isinstance(work, Assignment):
            return self._timed(work, machine, end, why)
        if end is Ending.LOST and self._may_be_lost_again(work):
            self._preparing.appendleft(work)
            self._wake("")
        elif end is not Ending.DONE:
            self._give_up(work, why)
        else:
            self._ready.add(work.architecture)
            for slot in self._copies:
                self._wait(slot, self._of_architecture[work.architecture])
        return end is Ending.DONE

    def _timed(self, unit: Assignment, machine: Machine, end: Ending, why: str) -> bool:
        """The same for a unit: what has times is shown with them when it is not timed any more."""
        if end is Ending.UNFIT:
            self._bar(machine, why)
            self._again(unit)
            return False
        has_times = end in (Ending.DONE, Ending.DISTURBED, Ending.CUT)
        first_disturbance = end is Ending.DISTURBED and end not in self._times[unit]
        if has_times:
            self._times[unit].add(end)
        again = end in (Ending.LOST, Ending.CUT) and self._may_be_lost_again(unit)
        if again or end is Ending.LOST:
            self._lost_on[unit.slot, unit.group].add(machine.key)
            self._wake(unit.slot)
        if again or (first_disturbance and self._elsewhere(unit)):
            self._again(unit)
        elif self._times[unit]:
            self.finished[unit] = None
        else:
            self._give_up(unit, why)
        return has_times

    def _may_be_lost_again(self, work: Work) -> bool:
        self._losses[work] += 1
        return self._losses[work] <= MOST_LOSSES

    def settle(self) -> list[Work]:
        """Give up what no machine that is there may do any more, where nothing is under way: an only try stands, and
        what waits for a machine that turned out to be unfit has no times.

        Returns:
            The work that still waits for a machine.
        """
        left: list[Work] = list(self._preparing) if not self._there else []
        for slot in self._copies:
            settled = set[Assignment]()
            for unit in self._waiting.of(slot):
                if self._anywhere(unit):
                    left.append(unit)
                elif Ending.DISTURBED in self._times[unit]:
                    self.finished[unit] = None
                    settled.add(unit)
                elif slot in self._had_unfit:
                    self._give_up(unit, self._had_unfit[slot])
                    settled.add(unit)
                else:
                    left.append(unit)
            if settled:
                self._waiting.drop(slot, settled)
        return left

    def _join(self, machine: Machine) -> None:
        self._there[machine.place] = machine
        self._free.append(machine.place)
        self._slots[machine.place] = self._slots_of(machine)
        if machine.key in self._unfit:
            self._bar(machine, self._unfit[machine.key])
        for slot in self._slots[machine.place]:
            self._of_slot[slot].setdefault(machine.key, set()).add(machine.place)
            if slot not in self._copies:
                self._copies[slot] = 1
                self._wait(slot, [group for group in self.groups if architecture_of(group) in self._ready])

    def _slots_of(self, machine: Machine) -> list[str]:
        """Return the slots that a machine may fill, in the order in which they are asked for."""
        if self.asked.machines == EACH_KIND:
            return [machine.kind.key]
        names = machine.names_of_kind if isinstance(self.asked.machines, dict) else machine.names
        return sorted((one for one in names if one in self._rank), key=self._rank.__getitem__)

    def _wait(self, slot: str, groups: Sequence[str]) -> None:
        units = [Assignment(group, slot, copy) for copy in range(self._copies[slot]) for group in groups]
        for unit in units:
            tried = self.known(unit) or EarlierTry()
            used = self._used[slot, unit.group]
            if tried.end:
                used.add(tried.machine)
                self._times[unit].add(tried.end)
            if tried.end is Ending.DONE:
                self.finished[unit] = None
            elif tried.begun and tried.begun not in used:
                self._begun[unit] = tried.begun
                self._waiting.put(slot, str(unit), unit, first=True)
            else:
                self._waiting.put(slot, unit.group, unit)
        self._wake(slot)

    def _wake(self, slot: str) -> None:
        """Let machines that had nothing to do look again."""
        self._free.extend(self._idle.pop(slot, ()))

    def _for(self, machine: Machine) -> Work | None:
        """Take the next piece of work for a machine: what others wait for first."""
        if self._preparing:
            return self._preparing.popleft()
        found = (self._waiting.take(slot, partial(self._may, machine)) for slot in self._slots[machine.place])
        return next((unit for unit in found if unit), None)

    def _may(self, machine: Machine, unit: Assignment) -> bool:
        """Check whether a machine may time a unit: not a group that it has timed, nor what another one goes on with. A
        machine that lost one of the group is as good as any where there is no other.
        """
        key, of = machine.key, (unit.slot, unit.group)
        unused = key not in self._used[of] or (key in self._lost_on[of] and not self._elsewhere(unit))
        return unused and not self._goes_on_elsewhere(unit, machine)

    def _goes_on_elsewhere(self, unit: Assignment, machine: Machine) -> bool:
        """Check whether another machine that is there has a part of it from an earlier run."""
        begun = self._begun.get(unit, machine.key)
        return begun != machine.key and begun in self._of_slot[unit.slot]

    def _elsewhere(self, unit: Assignment) -> bool:
        """Check whether another machine that is there may do it."""
        used = self._used[unit.slot, unit.group]
        return any(key not in used for key in self._of_slot[unit.slot])

    def _anywhere(self, unit: Assignment) -> bool:
        """Check whether any machine that is there may do it, even one that lost one of its group."""
        lost = self._lost_on[unit.slot, unit.group]
        return self._elsewhere(unit) or any(key in lost for key in self._of_slot[unit.slot])

    def _again(self, unit: Assignment) -> None:
        self._waiting.put(unit.slot, unit.group, unit, first=True)
        self._wake(unit.slot)

    def _bar(self, machine: Machine, why: str) -> None:
        """Give a machine no timing any more; it may still prepare."""
        self._unfit[machine.key] = why
        self._had_unfit |= dict.fromkeys(self._slots[machine.place], why)
        self._leave(machine)
        self._slots[machine.place] = []

    def _leave(self, machine: Machine) -> None:
        """Have a machine wait for no units any more; others may go on with what it had begun."""
        for slot in self._slots[machine.place]:
            places = self._of_slot[slot].get(machine.key, set())
            places.discard(machine.place)
            if not places:
                self._of_slot[slot].pop(machine.key, None)
            self._idle[slot].pop(machine.place, None)
            self._wake(slot)

    def _give_up(self, work: Work, why: str) -> None:
        self.failed[work] = why
        if isinstance(work, Preparation):
            for slot, copies in self._copies.items():
                for group in self._of_architecture[work.architecture]:
                    self.failed |= {Assignment(group, slot, copy): why for copy in range(copies)}


def architecture_of(group: str) -> str:
    """Return the architecture of a group's name, "bloodnet/28/t1"."""
    return group.partition("/")[0]
