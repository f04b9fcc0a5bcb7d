"""How a fleet's conductor and its report grow with the number of machines, on simulated ones.

python -m tests.bench.fleet.scale [MACHINES...]

Prints for each number of machines, which each time 20 groups, the processor time of the conductor for each unit: of
planning alone, of its whole course (giving out, asking a machine, keeping what comes back) with machines that answer
one after the other and with machines that answer all at once, and of continuing where everything is finished; then the
seconds to read one run of each machine with planted times, to keep these beside their record, to join runs of all
groups of all machines, and to draw their page. A simulated machine answers at once and times nothing, so that only the
conductor's own cost is left.
"""

from __future__ import annotations

import resource
import sys
import tempfile
import time
from collections import deque
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path

from assay.bench.fleet.differences import check_joinable
from assay.bench.fleet.dispatch import Dispatch, Ending
from assay.bench.fleet.join import join, joined_of
from assay.bench.fleet.machines import Machine
from assay.bench.fleet.page import render_joined
from assay.bench.fleet.runs import RunApart, read_run
from assay.bench.stages.time import names_of_groups
from assay.fleet.prices import Prices
from assay.fleet.section import FleetSection
from assay.study import load_study
from tests.bench.fleet import planted
from tests.bench.fleet.simulated import SimulatedFleet, conducted, course
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


def planned(groups: Sequence[str], there: Sequence[Machine], asked: FleetSection) -> Dispatch:
    """The bookkeeping of a study that each of the machines times whole."""
    dispatch = Dispatch(groups, asked)
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


def as_group(run: RunApart, size: int) -> RunApart:
    """The same run of another group of the study."""
    cells = {cell.name: planted.sized(cell, size) for cell in run.said.cells}
    said = run.said.model_copy(update={"cells": list(cells.values())})
    return replace(run, results=said, said=said, timed={cells[name].name: one for name, one in run.timed.items()})


def main(numbers: tuple[int, ...]) -> None:
    print("             ms a unit:                                 seconds:")
    print("machines    units    plan  conduct  at once  continue    read    keep    join    page  page MB  peak MB")
    for number in numbers:
        there = [machine(one, f"kind{one % KINDS}") for one in range(number)]
        asked = FleetSection(machines=tuple(one.name for one in there))
        in_turn, at_once = SimulatedFleet(there), SimulatedFleet(there, turn=nullcontext())
        with tempfile.TemporaryDirectory() as folder:
            root = Path(folder)
            (root / "study.toml").write_text(small_study(sizes=SIZES))
            study = load_study(root / "study.toml", ())
            watch = Watch()
            units = len(planned(names_of_groups(study), there, asked).finished)
            spent = [watch.look()]
            for out, fleet in (("one", in_turn), ("all", at_once), ("one", in_turn)):
                assert len(conducted(course(study, root / out, fleet), asked).finished) == units
                spent.append(watch.look())
            for one in range(number):
                kind = planted.kind(f"kind{one % KINDS}")
                planted.Machine(kind, f"identity{one}").write(root / "runs" / f"{one}", one)
            watch.look()
            runs = [read_run(root / "runs" / f"{one}") for one in range(number)]
            reading = watch.look()
            join(runs, root / "joined")
            keeping = watch.look()
        every = [as_group(run, size) for size in SIZES for run in runs]
        watch.look()
        joined = joined_of(every, list(map(str, range(len(every)))), Prices(per_hour={}), check_joinable(every))
        joining = watch.look()
        page = render_joined(joined)
        drawing = watch.look()
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        plan, conduct, once, again = (seconds / units * 1e3 for seconds in spent)
        print(
            f"{number:8,} {units:8,} {plan:7.3f} {conduct:8.3f} {once:8.3f} {again:9.3f} {reading:7.1f} {keeping:7.1f} "
            f"{joining:7.1f} {drawing:7.1f} {len(page) / 1e6:8.2f} {peak:8.0f}",
            flush=True,
        )


if __name__ == "__main__":
    main(tuple(map(int, sys.argv[1:])) or MACHINES)
