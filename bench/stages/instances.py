"""The instances stage: the machine's throughput with several processes of one runtime at the same time.

Every trusted cell is measured, at each number of instances that the machine has cores for, in rounds: each round has
one set of fresh processes of each, in random order. Where the minutes do not suffice for all, the runtimes with the
most images per second are taken, so that each has all its rounds.
"""

from __future__ import annotations

import random
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from pydantic import JsonValue

from assay.bench.judging.instances import SetSeen, instances_of
from assay.bench.run import Run
from assay.bench.stages.time import share_of
from assay.bench.statistics.together import together
from assay.bench.timing.instances import InstanceSet, SetFacts, stamps_name
from assay.bench.timing.trials import Group
from assay.bench.timing.unit_files import fresh_folder, inputs_of
from assay.bench.timing.workers import Candidate
from assay.files.arrays import load_array
from assay.records.results import Cell
from assay.records.timings import Instances
from assay.store import Artifact, facts_of

KIND = "instances"
MINUTES = "bench.instance_minutes were spent on faster runtimes"


@dataclass(frozen=True)
class Plan:
    """One candidate of a group, at the batches where its times are trusted.

    Attributes:
        group: the group with this candidate and these batches alone.
        cells: cells by batch.
        instances: numbers of instances at a time, ascending.
    """

    group: Group
    cells: Mapping[int, Cell]
    instances: tuple[int, ...]

    @property
    def candidate(self) -> Candidate:
        return self.group.candidates[0]

    @property
    def throughput(self) -> float:
        return max(cell.throughput.value for cell in self.cells.values() if cell.throughput)


@dataclass
class Rounds:
    """The sets so far.

    Attributes:
        sets: sets by cell and number of instances.
        seconds: seconds that all of them took, in this sitting or an earlier one.
    """

    run: Run
    compile_cache: Path
    sets: dict[tuple[str, int], list[SetSeen]] = field(default_factory=dict)
    seconds: float = 0.0

    def measure(self, plan: Plan, number: int) -> None:
        """Measure one set at each number of instances."""
        order = random.Random(f"{plan.group.name}/{plan.candidate.label}/{number}")  # noqa: S311  an order, not a secret
        for instances in order.sample(plan.instances, len(plan.instances)):
            kept = self._kept(plan, instances, number)
            facts = facts_of(kept, SetFacts)
            self.seconds += facts.seconds
            for seen in facts.batches:
                stamps = [
                    load_array(kept.file(stamps_name(seen.batch, one))) for one in range(instances) if not seen.reason
                ]
                gave = together(stamps) if stamps else None
                self.sets.setdefault((plan.cells[seen.batch].name, instances), []).append(SetSeen(number, seen, gave))

    def of(self, cell: Cell, instances: int) -> list[SetSeen]:
        """Return the sets of one cell."""
        return self.sets.get((cell.name, instances), [])

    def _kept(self, plan: Plan, instances: int, number: int) -> Artifact:
        run, label = self.run, f"{plan.group.name} {plan.candidate.label}"
        inputs: dict[str, JsonValue] = {
            "unit": inputs_of(plan.group, number, run.host.fingerprint()),
            "instances": instances,
            "cores": list(run.host.cores()),
        }

        def fill(work: Path) -> dict[str, JsonValue]:
            begun = time.monotonic()
            run.narrator.tell(f"{label}: {instances} at the same time, round {number + 1}")
            asked = InstanceSet(
                group=plan.group,
                candidate=plan.candidate,
                instances=instances,
                limit_seconds=run.study.bench.call_limit_seconds,
                folder=work,
                compile_cache=self.compile_cache,
                host=run.host,
            )
            batches = asked.run()
            return SetFacts(batches=batches, seconds=time.monotonic() - begun).model_dump(mode="json")

        name = f"{plan.candidate.label}-i{instances}-r{number}"
        return run.store("instances").kept(KIND, inputs, fill, name=name, anew=run.again)


def instances_stage(run: Run, groups: Iterable[Group], cells: Sequence[Cell]) -> list[Instances]:
    """Measure the throughput of several instances; nothing where the study asks for one at a time."""
    bench = run.study.bench
    if max(bench.instances) == 1:
        return []
    plans, minutes = (
        plans_of(groups, cells, bench.instances, len(run.host.cores())),
        bench.instance_minutes * share_of(run),
    )
    with (
        run.stage("instances", f"Several instances at the same time, at most {minutes:g} minutes"),
        fresh_folder(run.folder) as compile_cache,
    ):
        rounds = Rounds(run, compile_cache)
        _in_rounds(plans, rounds, bench.processes, minutes * 60)
    return [
        instances_of(cell, number, rounds.of(cell, number), rounds.of(cell, 1), MINUTES)
        for plan in plans
        for cell in plan.cells.values()
        for number in plan.instances
    ]


def _in_rounds(plans: Sequence[Plan], rounds: Rounds, wanted: int, seconds: float) -> None:
    """Measure as many plans as there is time for, by the time of the first one, each in all rounds."""
    if not plans:
        return
    rounds.measure(plans[0], 0)
    fit = max(1, int(seconds / max(rounds.seconds * wanted, 1e-9)))
    chosen = list(plans[:fit])
    for number in range(wanted):
        order = random.Random(f"{KIND}/{number}")  # noqa: S311  an order, not a secret
        for plan in order.sample(chosen, len(chosen)):
            if rounds.seconds > seconds:
                return
            if number or plan is not plans[0]:
                rounds.measure(plan, number)


def plans_of(groups: Iterable[Group], cells: Sequence[Cell], instances: Sequence[int], cores: int) -> list[Plan]:
    """Return the plans that are trusted and fit the machine, with the most images per second first."""
    by_name = {cell.name: cell for cell in cells if cell.status == "ok" and not cell.invalid and cell.framework}
    found = []
    for group in groups:
        fitting = tuple(one for one in sorted(set(instances)) if one * group.settings.threads <= cores)
        for candidate in group.candidates:
            names = {batch: group.cell_name(batch, candidate.label) for batch in group.batches}
            known = {batch: by_name[name] for batch, name in names.items() if name in by_name}
            if known and max(fitting, default=1) > 1:
                part = replace(group, candidates=(candidate,), batches=tuple(known))
                found.append(Plan(part, known, fitting))
    return sorted(found, key=lambda one: one.throughput, reverse=True)
