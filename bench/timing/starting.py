"""Starting the workers of a unit, as quickly as is possible without changing their times.

Most of a start is the import of a framework: 3 of TensorFlow's 3.5 seconds. Nothing is timed meanwhile, so imports go
on side by side, each on as many cores of its own as the worker is timed on. Models are then loaded one after the other,
where they are timed and with nothing running at the same time. The seconds of an import are those of one with
neighbours.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager

from assay.bench.timing.workers import Worker
from assay.infer.commands import SessionLoaded
from assay.spec import Settings

MOST_TOGETHER = 4
"""Greatest number of imports at once: more would wait for the disk and the memory."""

TURN_SECONDS = 0.02
"""How long one import is waited for before another is asked for."""

Guard = Callable[[Worker], AbstractContextManager[None]]
"""Handles the failure of a start."""


def start_all(
    workers: Iterator[Worker], settings: Settings, usable: Sequence[int], guard: Guard
) -> list[tuple[Worker, SessionLoaded]]:
    """Import and load in workers that are begun as they are taken; those that do not start are left out.

    Args:
        usable: cores of their machine.
    """
    free = deque(lanes(settings.cores, usable))
    begun: list[Worker] = []
    imported: set[Worker] = set()
    under_way: deque[tuple[Worker, tuple[int, ...]]] = deque()

    def wait_for_one() -> None:
        """Ask those under way in turn until one has finished, and let the next have its cores."""
        while True:
            worker, cores = under_way.popleft()
            over = True  # a failure is one too
            with guard(worker):
                if over := worker.has_imported(TURN_SECONDS):
                    imported.add(worker)
            if over:
                free.append(cores)
                return
            under_way.append((worker, cores))

    while (worker := next(workers, None)) is not None:
        begun.append(worker)
        with guard(worker):
            worker.begin_import(free[0], settings.device)
            under_way.append((worker, free.popleft()))
        if not free:
            wait_for_one()
    while under_way:
        wait_for_one()
    loaded: list[tuple[Worker, SessionLoaded]] = []
    for worker in [one for one in begun if one in imported]:
        with guard(worker), worker.awake():
            loaded.append((worker, worker.load(settings)))
    return loaded


def end_together(workers: Sequence[Worker]) -> None:
    """End workers. The system takes a tenth of a second to take back the memory of a framework, and several at once."""
    if workers:
        with ThreadPoolExecutor(MOST_TOGETHER) as pool:
            list(pool.map(lambda worker: worker.kill(), workers))


def lanes(cores: Sequence[int], usable: Sequence[int], most: int = MOST_TOGETHER) -> list[tuple[int, ...]]:
    """Return disjoint sets of cores, each as large as that of the timing, which is the first.

    A thread pool that is made during an import then has the size that it has where it is timed. Where no cores are
    named, nothing goes on side by side.
    """
    width = len(cores)
    others = [core for core in sorted(usable, reverse=True) if core not in cores]
    further = [tuple(sorted(others[place : place + width])) for place in range(0, len(others) - width + 1, width or 1)]
    return [tuple(cores), *(further if width else [])][:most]
