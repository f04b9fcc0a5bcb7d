"""How a fleet's conductor and its report grow with the number of machines, on simulated ones.

python -m tests.bench.fleet.scale [MACHINES...]

Prints for each number of machines, which each time 20 groups, the conductor's processor time for each unit, and the
seconds to read as many runs with planted times, to join them and to draw their page. No machine times anything, so
that only the conductor's own cost is left.
"""

from __future__ import annotations

import resource
import sys
import tempfile
import time
from collections import deque
from pathlib import Path

from assay.bench.fleet.dispatch import Dispatch, Ending
from assay.bench.fleet.join import join
from assay.bench.fleet.page import render_joined
from assay.bench.fleet.runs import read_run
from assay.fleet.section import FleetSection
from tests.bench.fleet.planted import Machine, kind
from tests.bench.fleet.test_dispatch import machine

MACHINES = (10, 100, 1000)
GROUPS = [f"model{number % 4}/{number}/t1" for number in range(20)]
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


def conducted(number: int) -> Dispatch:
    """The bookkeeping of a study that every one of so many machines times whole."""
    there = [machine(one, f"kind{one % KINDS}") for one in range(number)]
    dispatch = Dispatch(GROUPS, FleetSection(machines=tuple(one.name for one in there)))
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


def main(numbers: tuple[int, ...]) -> None:
    print("machines    units  ms a unit  read s  join s  page s  page MB  peak MB")
    for number in numbers:
        watch = Watch()
        units = len(conducted(number).finished)
        spent = watch.look()
        with tempfile.TemporaryDirectory() as folder:
            root = Path(folder)
            for one in range(number):
                Machine(kind(f"kind{one % KINDS}"), f"identity{one}").write(root / f"{one}", one)
            watch.look()
            runs = [read_run(root / f"{one}") for one in range(number)]
            reading = watch.look()
            joined = join(runs, root / "joined")
            joining = watch.look()
            page = render_joined(joined)
            drawing = watch.look()
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        print(
            f"{number:8,} {units:8,} {spent / units * 1e3:10.3f} {reading:7.1f} {joining:7.1f} {drawing:7.1f} "
            f"{len(page) / 1e6:8.2f} {peak:8.0f}",
            flush=True,
        )


if __name__ == "__main__":
    main(tuple(map(int, sys.argv[1:])) or MACHINES)
