"""Disturbances of a measurement from outside, as counters that only grow: take them before and after, and subtract. All
are Linux's; a counter that the system does not show is None, which is not the same as zero.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

Number = TypeVar("Number", int, float)

CPU_FOLDER = Path("/sys/devices/system/cpu")
STEAL_FIELD = 7  # in a line of /proc/stat: user nice system idle iowait irq softirq steal


@dataclass(frozen=True)
class Disturbance:
    """Counters at one moment, or their growth in between.

    Attributes:
        stolen_seconds: processor time that the hypervisor gave to others although we had work; summed over cores.
        busy_seconds: processor time used by everything on these cores.
        throttle_events: how often a core was slowed down for heat or power.
        involuntary_switches: how often the process was taken off a core although it had work.
    """

    stolen_seconds: float | None
    busy_seconds: float | None
    throttle_events: int | None
    involuntary_switches: int | None

    def since(self, before: Disturbance) -> Disturbance:
        """Return the growth since `before`."""
        return Disturbance(
            _difference(self.stolen_seconds, before.stolen_seconds),
            _difference(self.busy_seconds, before.busy_seconds),
            _difference(self.throttle_events, before.throttle_events),
            _difference(self.involuntary_switches, before.involuntary_switches),
        )


def disturbance(cores: Iterable[int], pid: int | None = None) -> Disturbance:
    """Return the counters now. It reads a few small files, which takes some 0.3 ms.

    Args:
        cores: the cores to observe.
        pid: the process whose involuntary switches count, all its threads together.
    """
    chosen = tuple(cores)
    return Disturbance(
        stolen_seconds=stolen_seconds(chosen),
        busy_seconds=busy_seconds(chosen),
        throttle_events=throttle_events(chosen),
        involuntary_switches=None if pid is None else involuntary_switches(pid),
    )


def stolen_seconds(cores: Iterable[int]) -> float | None:
    """Return processor time stolen from these cores since the machine started, in seconds; steps of a clock tick (10
    ms).
    """
    times = _core_times(cores)
    return None if times is None else sum(fields[STEAL_FIELD] for fields in times) / _ticks_per_second()


def busy_seconds(cores: Iterable[int]) -> float | None:
    """Return processor time these cores worked since the machine started, in seconds: all but idle, waiting and
    stolen.
    """
    times = _core_times(cores)
    if times is None:
        return None
    return sum(sum(fields[:3]) + sum(fields[5:STEAL_FIELD]) for fields in times) / _ticks_per_second()


def throttle_events(cores: Iterable[int]) -> int | None:
    """Return how often these cores or their package were throttled since the machine started."""
    names = ("core_throttle_count", "package_throttle_count")
    found = [_integer(CPU_FOLDER / f"cpu{core}/thermal_throttle/{name}") for core in cores for name in names]
    shown = [number for number in found if number is not None]
    return sum(shown) if shown else None


def involuntary_switches(pid: int) -> int | None:
    """Return the involuntary context switches of all threads that a process has now."""
    total = None
    for status in Path(f"/proc/{pid}/task").glob("*/status"):
        number = _status_number(status, "nonvoluntary_ctxt_switches")
        if number is not None:
            total = number + (total or 0)
    return total


def _core_times(cores: Iterable[int]) -> list[list[int]] | None:
    """Return the clock ticks of /proc/stat for each core: user nice system idle iowait irq softirq steal."""
    wanted = {f"cpu{core}" for core in cores}
    try:
        lines = Path("/proc/stat").read_text(encoding="ascii").splitlines()
    except OSError:
        return None
    rows = [line.split() for line in lines]
    found = [[int(field) for field in row[1:]] for row in rows if row and row[0] in wanted]
    return found if found and all(len(fields) > STEAL_FIELD for fields in found) else None


def _status_number(status: Path, name: str) -> int | None:
    try:
        lines = status.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:  # a thread has ended meanwhile
        return None
    return next((int(line.split()[1]) for line in lines if line.startswith(f"{name}:")), None)


def _integer(path: Path) -> int | None:
    try:
        return int(path.read_text(encoding="ascii"))
    except (OSError, ValueError):
        return None


def _ticks_per_second() -> int:
    return os.sysconf("SC_CLK_TCK")


def _difference(after: Number | None, before: Number | None) -> Number | None:
    return None if after is None or before is None else after - before
