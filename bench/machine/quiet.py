"""Whether the machine is quiet enough to time on, looked at before the timing begins."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

from assay.bench.judging.validity import MOST_STOLEN
from assay.bench.machine.disturbance import Disturbance
from assay.bench.machine.host import Host

WATCHED_SECONDS = 1.0
"""How long to look: with counters in steps of 10 ms this tells one percent of a core."""

MOST_BUSY = 0.05
"""A core that is shared makes single calls two or more times as long: one call in twenty, and the tails are theirs."""


def say_if_busy(host: Host, cores: Sequence[int], note: Callable[[str], None]) -> None:
    """Tell a person before the timing begins, where the machine is busy."""
    if said := watch(host, cores):
        note(said)


def watch(host: Host, cores: Sequence[int], seconds: float = WATCHED_SECONDS) -> str:
    """Do nothing for a moment and say who else works on these cores; "" where the machine is quiet."""
    before = host.disturbance(cores)
    time.sleep(seconds)
    return busy_in_words(host.disturbance(cores).since(before), len(cores), seconds)


def _cores(number: int) -> str:
    return "the core that is timed" if number == 1 else f"the {number} cores that are timed"


def busy_in_words(seen: Disturbance, cores: int, seconds: float) -> str:
    """What disturbed idle cores, and what follows; "" where too little did, or the system does not show it.

    Args:
        seen: over `seconds` in which this program itself did nothing.
    """
    whole = cores * seconds
    busy, stolen = (seen.busy_seconds or 0) / whole, (seen.stolen_seconds or 0) / whole
    parts = [f"others use {busy:.0%} of {_cores(cores)} on"] if busy > MOST_BUSY else []
    if stolen > MOST_STOLEN:
        parts.append(f"{stolen:.0%} of their time is stolen by other machines on this host")
    if seen.throttle_events:
        parts.append("the processor is being throttled")
    if not parts:
        return ""
    return f"This machine is busy: {', and '.join(parts)}. Times may be INVALID; the next run then times them again"
