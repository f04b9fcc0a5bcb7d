"""A check, before the timing begins, of whether the machine is quiet enough."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

from assay.bench.judging.validity import MOST_STOLEN
from assay.bench.machine.disturbance import Disturbance
from assay.bench.machine.host import Host

WATCHED_SECONDS = 1.0
"""How long to watch: with counters in steps of 10 ms this shows one percent of a core."""

MOST_BUSY = 0.05
"""The largest share of time that others may use: sharing a core makes single calls twice as long or more, and at one
call in twenty these determine the tails.
"""


def say_if_busy(host: Host, cores: Sequence[int], note: Callable[[str], None]) -> None:
    """Tell the user before the timing begins if the machine is busy."""
    if said := watch(host, cores):
        note(said)


def watch(host: Host, cores: Sequence[int], seconds: float = WATCHED_SECONDS) -> str:
    """Do nothing for a moment and say who else works on these cores; "" if the machine is quiet."""
    before = host.disturbance(cores)
    time.sleep(seconds)
    return busy_in_words(host.disturbance(cores).since(before), len(cores), seconds)


def _cores(number: int) -> str:
    return "the core that is timed" if number == 1 else f"the {number} cores that are timed"


def busy_in_words(seen: Disturbance, cores: int, seconds: float) -> str:
    """Describe the disturbance of idle cores, and its consequences; "" if there was too little, or the system does not
    show it.

    Args:
        seen: counters over `seconds` in which this program itself did nothing.
    """
    whole = cores * seconds
    busy, stolen = (seen.busy_seconds or 0) / whole, (seen.stolen_seconds or 0) / whole
    parts = [f"others use {busy:.0%} of {_cores(cores)} on"] if busy > MOST_BUSY else []
    if stolen > MOST_STOLEN:
        parts.append(f"{stolen:.0%} of their time is stolen by other virtual machines on this host")
    if seen.throttle_events:
        parts.append("the processor is being throttled")
    if not parts:
        return ""
    return f"This machine is busy: {', and '.join(parts)}. Times may be INVALID; the next run times those again"
