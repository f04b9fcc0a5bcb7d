"""Which units are run, in which order within the time budget, and which are already finished."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

from pydantic import JsonValue

from assay.bench.judging.summary import CellSamples
from assay.bench.machine.host import Host
from assay.bench.timing.limits import Limits
from assay.bench.timing.measurements import Measurements, facts_in, gathered, seconds_of
from assay.bench.timing.trials import (
    BUDGET_SPENT,
    STARTING,
    CellFacts,
    Group,
    Tell,
    Unit,
)
from assay.bench.timing.unfinished import is_marked
from assay.bench.timing.unit_files import (
    KIND,
    UnitFacts,
    fill_unit,
    fresh_folder,
    inputs_of,
)
from assay.bench.timing.width import contenders, narrowed, others, references, unsettled
from assay.bench.timing.workers import Candidate
from assay.files.disk import short_name
from assay.registry import FRAMEWORKS, RUNTIMES
from assay.store import Artifact, Store, facts_of

COMPILING_SECONDS = 20.0
"""About what the first process of a runtime that compiles takes until it is warm, while none has been seen: 13 to 25
seconds with PyTorch's compiler and two layers, on one core.
"""
LEAST_PROCESSES = 2
"""Processes of what is soon ready before anything compiles: so many make a time valid."""


@dataclass(frozen=True)
class Budget:
    """Limits of timing.

    Attributes:
        seconds: total seconds, start-up of the workers included, over all sittings.
        processes: least fresh processes for each cell, fewer where the seconds do not suffice.
        processes_of_slower: the same for cells that their first process shows to be out of the running
            (`width.contenders`), where seconds are left when the others have theirs; 0 for as many.
        call_seconds: limit of one load or one call.
        blocks: most blocks in one process.
        interval_width: processes are added where the interval of a ratio to the reference is wider than this share of
            it; 0 adds none.
        most_processes: most processes of one cell, however wide its intervals are.
        decide: whether processes are added only until it is clear whether the fastest native runtime or the fastest
            ONNX runtime is faster, where `interval_width` would add more.
        soon: whether somebody waits for the first times: long compilations then begin after the others have valid
            ones.
    """

    seconds: float
    processes: int
    call_seconds: float
    blocks: int
    interval_width: float = 0.0
    processes_of_slower: int = 0
    most_processes: int = 40
    decide: bool = False
    soon: bool = False

    @property
    def planned(self) -> int:
        """Number of processes decided on before any is timed, where others are added later; otherwise 0."""
        return self.processes if self.interval_width else 0


def measure(
    groups: list[Group],
    budget: Budget,
    store: Store,
    tell: Tell,
    host: Host,
    *,
    again: bool = False,
    before_first: Callable[[], None] = lambda: None,
    after_unit: Callable[[Measurements], None] | None = None,
) -> Measurements:
    """Run every unit that is not finished, all groups once before any of them a second time.

    The first processes do the least that makes a sample, since the cost of the others is not yet known. After them a
    unit gets the seconds that its own least work took before, and an equal share of the rest, up to the least number of
    processes. Where the budget says so, only the first process times everything: the further ones time the contenders
    alone, and when all groups have theirs, the rest gets its own. The rest of the time goes where an interval is
    widest, process after process, until all are as narrow as asked or the budget ends. Nothing is begun that is not
    ready in the seconds left; cells without a process by then are recorded as skipped. A KeyboardInterrupt after the
    first unit ends it with the units so far.

    Args:
        host: machine that it is timed on.
        again: whether no unit of an earlier run is taken as it is.
        before_first: called once before the first process starts, and not where all is finished already.
        after_unit: receiver of all finished units, whenever there is another.
    """
    with fresh_folder(store.folder) as compile_cache:
        sitting = _Sitting(budget, store, compile_cache, tell, host, again, before_first, after_unit)
        try:
            _time_all(groups, sitting)
        except KeyboardInterrupt:
            if not sitting.units:
                raise
            return replace(gathered(sitting.units, budget.planned), interrupted=True)
    found = gathered(sitting.units, budget.planned)
    return replace(found, facts=found.facts + [fact for group in groups for fact in sitting.left_out(group)])


def _time_all(groups: list[Group], sitting: _Sitting) -> None:
    budget = sitting.budget
    if budget.soon:
        groups = [replace(group, candidates=_one_of_each_side_first(group.candidates)) for group in groups]
    steps = [(part, group) for part in _rounds(budget) for group in groups]
    for place, (part_of, group) in enumerate(steps):
        part, process = part_of(sitting, group), sitting.processes(group.name)
        first = process == 0
        if not first and not sitting.finished(part, process):
            part = sitting.fitting(group, part)
        later = [sitting.least_seconds(other, its(sitting, other)) for its, other in steps[place + 1 :]]
        needs = [sitting.least_seconds(group, part), *later]
        spare = 0.0 if first and budget.processes > 1 else max(sitting.left - sum(needs), 0)
        share = needs[0] + spare / len(needs)
        if part.candidates and (first or sitting.left > needs[0] or sitting.finished(part, process)):
            sitting.run(part, process, share)
    if budget.interval_width:
        _refine(groups, sitting)


def _rounds(budget: Budget) -> list[Callable[[_Sitting, Group], Group]]:
    """Return selectors of the part of a group that is timed in its processes, in turn."""
    slower = budget.processes_of_slower
    first = [_ready_soon] * min(LEAST_PROCESSES, budget.processes) if budget.soon else []
    if not slower or slower >= budget.processes:
        return [*first, *[_everyone] * budget.processes]
    return [*first, _everyone, *[_Sitting.contenders] * (budget.processes - 1), *[_Sitting.slower] * (slower - 1)]


def _everyone(sitting: _Sitting, group: Group) -> Group:
    del sitting
    return group


def _ready_soon(sitting: _Sitting, group: Group) -> Group:
    """Return those with early first times, if any; the rest is begun with everyone's next process."""
    del sitting
    soon = tuple(one for one in group.candidates if not RUNTIMES[one.runtime].compiles)
    model = any(one.framework for one in soon)
    return replace(group, candidates=soon if model and len(soon) < len(group.candidates) else ())


def _one_of_each_side_first(candidates: tuple[Candidate, ...]) -> tuple[Candidate, ...]:
    """Return the candidates in an order in which few are enough: where everything starts slowly, not all of them do."""
    firsts = {one.framework in FRAMEWORKS: one for one in reversed(candidates) if one.framework}
    return (*firsts.values(), *(one for one in candidates if one not in firsts.values()))


def _refine(groups: list[Group], sitting: _Sitting) -> None:
    """Add processes where they are needed most, as long as they fit.

    The width of an interval depends on the planned processes and on their number (`assay.bench.statistics.stats`),
    so that stopping when all are narrow makes none of them too narrow.
    """
    names = {group.name: group for group in groups}
    while True:
        timed = gathered(sitting.units, sitting.budget.planned).by_cell
        wanted = []
        for name, group in names.items():
            near = sitting.contenders(group) if sitting.budget.processes_of_slower else group
            part, width = unsettled(
                sitting.affordable(group, near, timed),
                timed,
                sitting.budget.interval_width,
                decide=sitting.budget.decide,
            )
            if part and sitting.may_run(group, part):
                wanted.append((width, name, part))
        if not wanted:
            return
        width, name, part = max(wanted, key=lambda one: one[:2])
        sitting.tell(f"{name}: one more process of {len(part.candidates)} runtimes, widest interval {width:.1%}")
        sitting.run(part, sitting.processes(name), sitting.expected_seconds(names[name], part))


@dataclass
class _Sitting:
    """The units run so far, and the budget that is left."""

    budget: Budget
    store: Store
    compile_cache: Path
    tell: Tell
    host: Host
    again: bool = False
    before_first: Callable[[], None] = lambda: None
    after_unit: Callable[[Measurements], None] | None = None
    units: list[Artifact] = field(default_factory=list)
    _begun: bool = False
    _firsts: dict[str, CellSamples] = field(default_factory=dict)

    @property
    def left(self) -> float:
        return self.budget.seconds - sum(seconds_of(unit) for unit in self.units)

    def finished(self, group: Group, process: int) -> bool:
        """Check whether an earlier run has timed the unit, so that it costs nothing."""
        if self.again:
            return False
        found = self.store.found(KIND, self._inputs(group, process), _name(group, process))
        return found is not None and not is_marked(found)

    def run(self, group: Group, process: int, share: float) -> None:
        """Run a unit within its share of the seconds left, or take it as it is."""

        def fill(work: Path) -> dict[str, JsonValue]:
            self._begin()
            now = time.monotonic()
            budget = self.budget
            limits = Limits(
                share=now + share,
                end=now + self.left,
                call=budget.call_seconds,
                blocks=budget.blocks,
                ready=now + self.left - self._timing_seconds(group),
                leave_behind=process == 0 and budget.processes_of_slower == 1,
                later=self._later(group),
            )
            firsts = frozenset(one.label for one in group.candidates) - self._begun_labels(group.name)
            unit = Unit(group, process, limits, work, self.compile_cache, self.host, firsts)
            return fill_unit(unit, self.tell)

        inputs = self._inputs(group, process)
        self.units.append(self.store.kept(KIND, inputs, fill, name=_name(group, process), anew=self.again or is_marked))
        if self.after_unit:
            self.after_unit(gathered(self.units, self.budget.planned))

    def _inputs(self, group: Group, process: int) -> dict[str, JsonValue]:
        return inputs_of(group, process, self.host.fingerprint())

    def _begin(self) -> None:
        """Call `before_first` once, before the first process."""
        if not self._begun:
            self._begun = True
            self.before_first()

    def _later(self, group: Group) -> dict[int, float]:
        """By batch, about what those after it take at least; nothing before the first process."""
        return {
            batch: self._timing_seconds(replace(group, batches=tuple(one for one in group.batches if one > batch)))
            for batch in group.batches
        }

    def _timing_seconds(self, group: Group) -> float:
        """About what is needed at least of the part that had a process before, when all are started."""
        return self.least_seconds(group, group) - self.least_seconds(group, replace(group, batches=()))

    def left_out(self, group: Group) -> list[CellFacts]:
        """Say of what was never begun that there was no time for it."""
        begun = self._begun_labels(group.name)
        told = {fact.cell for unit in self._of(group.name) for fact in facts_in(unit)}
        return [
            CellFacts(cell=cell, process=0, skipped=True, reason=_no_time(one))
            for one in group.candidates
            for cell in (group.cell_name(batch, one.label) for batch in group.batches)
            if one.label not in begun and cell not in told
        ]

    def _begun_labels(self, name: str) -> set[str]:
        """Return the part that had a process before."""
        return {label for unit in self._of(name) for label in facts_of(unit, UnitFacts).spent}

    def processes(self, name: str) -> int:
        """Return the number of units so far of a group or of parts of it."""
        return len(self._of(name))

    def contenders(self, group: Group) -> Group:
        """Return the part of a group that may be the fastest of its side, by its first process."""
        return contenders(group, self._first(group))

    def slower(self, group: Group) -> Group:
        """Return the rest with the references, and without the slowest for which the seconds left do not suffice."""
        first = self._first(group)
        behind, kept = others(group, self.contenders(group), first), references(group, first)
        behind = sorted(behind, key=lambda one: self.least_seconds(group, replace(group, candidates=(one,))))
        for place in range(len(behind), 0, -1):
            wanted = {one.label for one in (*behind[:place], *kept)}
            part = replace(group, candidates=tuple(one for one in group.candidates if one.label in wanted))
            if self.least_seconds(group, part) < self.left:
                return part
        return replace(group, candidates=())

    def fitting(self, group: Group, part: Group) -> Group:
        """As much of a part of a group as the seconds left suffice for, the fastest of each side first; the part itself
        where they suffice for none.
        """
        for narrower in narrowed(part, self._first(group)):
            if self.least_seconds(group, narrower) < self.left:
                return narrower
        return part

    def least_seconds(self, group: Group, part: Group) -> float:
        """Return the time a unit of a group's part needs for starting, warming and its first blocks; 0 when unknown."""
        return self._by_the_last(group, part, least=True)

    def expected_seconds(self, group: Group, part: Group) -> float:
        """Return the time for a unit of some of a group's candidates and batches with as many blocks as the previous
        one.
        """
        return self._by_the_last(group, part, least=False)

    def _by_the_last(self, group: Group, part: Group, *, least: bool) -> float:
        """Return the part's share of the last unit that timed all of it that any has, by the seconds of single
        candidates; what was never begun is estimated.
        """
        begun = self._begun_labels(group.name)
        new = [RUNTIMES[one.runtime].compiles for one in part.candidates if one.label not in begun]
        wanted = [(one.label, batch) for one in part.candidates for batch in (STARTING, *part.batches)]
        wanted = [(label, batch) for label, batch in wanted if label in begun]
        for unit in reversed(self._of(group.name)):
            known = facts_of(unit, UnitFacts)
            spent, whole = known.spent, known.least_seconds if least else known.seconds
            of_all = sum(sum(one.values()) for one in spent.values())
            if of_all and {label for label, _ in wanted} <= spent.keys():
                mine = sum(spent[label].get(str(batch), 0.0) for label, batch in wanted)
                like_the_slowest = max(sum(one.values()) for one in spent.values())
                unknown = sum(COMPILING_SECONDS if compiles else like_the_slowest for compiles in new)
                return whole * mine / of_all + unknown
        return 0.0

    def _first(self, group: Group) -> CellSamples:
        """Return the samples of a group's first process, which decide the contenders."""
        units = self._of(group.name)[:1]
        if units and group.name not in self._firsts:
            self._firsts[group.name] = gathered(units, 0).by_cell
        return self._firsts.get(group.name, {})

    def affordable(self, group: Group, part: Group, timed: CellSamples) -> Group:
        """Return a part without what takes more than the seconds left, together with what it is compared with."""
        kept = references(group, timed)

        def least(one: Candidate) -> float:
            return self.least_seconds(
                group, replace(group, candidates=(one, *(other for other in kept if other != one)))
            )

        return replace(part, candidates=tuple(one for one in part.candidates if one in kept or least(one) < self.left))

    def may_run(self, group: Group, part: Group) -> bool:
        """Check whether another process of a part of a group is allowed and fits."""
        few = self.processes(group.name) < self.budget.most_processes
        return few and self.least_seconds(group, part) < self.left

    def _of(self, name: str) -> list[Artifact]:
        return [unit for unit in self.units if unit.manifest.facts["group"] == name]


def _name(group: Group, process: int) -> str:
    """Return the beginning of the name of a unit's folder."""
    return f"{short_name(group.name.replace('/', '-'))}-p{process}"


def _no_time(one: Candidate) -> str:
    """Why something was never begun."""
    compiling = f", and it takes about {COMPILING_SECONDS:.0f} s to compile" if RUNTIMES[one.runtime].compiles else ""
    return BUDGET_SPENT + compiling
