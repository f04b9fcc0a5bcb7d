"""When a process is given up: at its limit of processor time, when it hangs, or at a wide limit on the clock.

A limit is how long the work takes on a machine that is free. On a loaded one a good model takes longer on the clock,
and no longer on the processor: an import of TensorFlow took 32 s instead of 5. A process is therefore given up only
when its limit has passed on the clock, and then for one of three reasons: it and all below it have used as much
processor time; they have used almost none for nearly as long; or `SLOWER_CLOCK` times the limit has passed.

A process does not hang if it does not run on purpose: its host has frozen it, and no time counts; somebody else has
stopped it; or it waits for a file lock, the disk or another machine.
"""

from __future__ import annotations

import contextlib
import ipaddress
import math
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import psutil

from assay.boxed.processes import waiting_for_a_lock

SLOWER_CLOCK = 5.0
"""How many times its limit a process may take on the clock."""
IDLE_SHARE = 0.01
"""The share of one core below which a process uses almost no processor time."""
IDLE_FOR = 0.7
"""The share of its limit after which a process that uses almost none hangs: nothing is known of the first quarter."""
LOOKS, LOOK_SECONDS, LEAST_LOOK_SECONDS = 4, 10.0, 0.05
"""Number of looks at the processor time within a limit, the longest time between two, and the shortest. The first is
after a quarter of the limit, or 10 s: nothing is read of a process while something short is timed.
"""


@dataclass(frozen=True)
class Spent:
    """The processor time of a process and all below it.

    Attributes:
        seconds: processor time so far, over all cores; what has ended counts.
        waits: whether it waits for something outside: a file lock, the disk, another machine, or its being continued.
        frozen: whether its host has frozen it.
    """

    seconds: float
    waits: bool = False
    frozen: bool = False


def spent_by(root: int) -> Spent:
    """Return what a process of this machine and all below it have spent; what has just ended is left out."""
    seconds, tree = 0.0, list(_tree(root))
    for one in tree:
        with contextlib.suppress(psutil.Error):
            seconds += sum(one.cpu_times()[:4])  # with its children that have ended, where the system tells
    return Spent(seconds, _waits(tree))


def _tree(root: int) -> Iterable[psutil.Process]:
    with contextlib.suppress(psutil.Error):
        first = psutil.Process(root)
        yield first
        yield from first.children(recursive=True)


def _waits(tree: list[psutil.Process]) -> bool:
    waiting = {psutil.STATUS_STOPPED, psutil.STATUS_TRACING_STOP, psutil.STATUS_DISK_SLEEP}
    for one in tree:
        with contextlib.suppress(psutil.Error):
            if one.status() in waiting or _hears_from_another_machine(one):
                return True
    return bool(waiting_for_a_lock() & {one.pid for one in tree})


def _hears_from_another_machine(one: psutil.Process) -> bool:
    connections = one.net_connections("inet")
    return any(
        each.status in {psutil.CONN_ESTABLISHED, psutil.CONN_SYN_SENT}
        and each.raddr
        and not ipaddress.ip_address(each.raddr.ip.partition("%")[0]).is_loopback
        for each in connections
    )


class Patience:
    """The wait for one piece of work of a process, from now on.

    Args:
        seconds: limit of the work on a machine that is free.
        spent: returns what the process has spent.
        clock_seconds: hard limit on the clock, where less than `SLOWER_CLOCK` times the other is left.
    """

    def __init__(self, seconds: float, spent: Callable[[], Spent], clock_seconds: float = math.inf) -> None:
        self._seconds, self._ask = seconds, spent
        self._end = time.monotonic() + clock_seconds
        self._clock_seconds = clock_seconds
        self._looked = time.monotonic()
        self._interval = min(seconds / LOOKS, LOOK_SECONDS) if math.isfinite(seconds) else math.inf
        self._last: Spent | None = None
        self._passed = self._used = self._idle = 0.0

    @property
    def due(self) -> float:
        """Seconds until `over` should be asked again: at least 0, at most some."""
        now = time.monotonic()
        return max(min(self._next() - now, self._end - now), 0.0)

    def over(self) -> str:
        """Return why the process is given up, after its name in a sentence; "" as long as it is waited for."""
        now = time.monotonic()
        if now >= self._end:
            return f"did not end within the {self._clock_seconds:.3g} s that were left and was abandoned"
        if now < self._next():
            return ""
        self._take_note(now - self._looked, self._ask())
        self._looked = now
        return self._reason() if self._passed >= self._seconds else ""

    def _reason(self) -> str:
        if self._used >= self._seconds:
            return f"did not end within {self._seconds:.3g} s of processor time and was abandoned"
        if self._idle >= IDLE_FOR * self._seconds:
            return f"used almost no processor time for {self._idle:.3g} s and was abandoned"
        if self._passed >= SLOWER_CLOCK * self._seconds:
            return (
                f"did not end within {self._passed:.3g} s, in which it used {self._used:.3g} s of processor time, "
                "and was abandoned"
            )
        return ""

    def _next(self) -> float:
        """When to look again, on the clock of `time.monotonic`: also when the limit has just passed or been used."""
        left = self._seconds - (self._passed if self._passed < self._seconds else self._used)
        return self._looked + min(self._interval, max(left, LEAST_LOOK_SECONDS))

    def _take_note(self, passed: float, spent: Spent) -> None:
        """Count the time since the last look, which is not longer where this process was stopped itself meanwhile."""
        last, self._last = self._last, spent
        if spent.frozen or (last is not None and last.frozen):
            return
        passed = min(passed, 2 * max(self._interval, LEAST_LOOK_SECONDS) + 1.0)
        used = passed if last is None else max(spent.seconds - last.seconds, 0.0)
        self._passed += passed
        self._used += used
        self._idle = self._idle + passed if used < IDLE_SHARE * passed and not spent.waits else 0.0
