"""Find and end the processes below one of ours, whatever they did to get away; standard library only.

It needs Linux's /proc; elsewhere nothing is found, and a process group is all that is ended.
"""

from __future__ import annotations

import contextlib
import os
import signal
import time
from collections.abc import Iterable
from pathlib import Path

from assay.boxed.platform import end_group

PROC = Path("/proc")
LOCKS = PROC / "locks"
SETTLING_SECONDS = 0.005
ROUNDS = 400


def running() -> int:
    """Return the number of processes and threads in the whole system now; 0 where nobody counts them."""
    try:
        return int(Path("/proc/loadavg").read_text(encoding="ascii").split()[3].partition("/")[2])
    except (OSError, ValueError, IndexError):
        return 0


def below(root: int) -> set[int]:
    """Return the living processes that descend from this one, without itself; zombies do not count."""
    children: dict[int, list[int]] = {}
    dead = set()
    for pid in _pids():
        with contextlib.suppress(OSError, ValueError, IndexError):  # it ended meanwhile
            state, parent = (PROC / str(pid) / "stat").read_text(encoding="latin-1").rpartition(")")[2].split()[:2]
            children.setdefault(int(parent), []).append(pid)
            if state in "ZX":
                dead.add(pid)
    found: set[int] = set()
    edge = [root]
    while edge:
        edge = [pid for parent in edge for pid in children.get(parent, ()) if pid not in found]
        found.update(edge)
    return found - dead


def marked(mark: str) -> set[int]:
    """Return the processes that were started with a text in their environment, as far as we may look into them."""
    wanted, found = mark.encode(), set()
    for pid in _pids():
        with contextlib.suppress(OSError):
            if wanted in (PROC / str(pid) / "environ").read_bytes():
                found.add(pid)
    return found - {os.getpid()}


def waiting_for_a_lock() -> set[int]:
    """Return the processes that wait for a file lock, as Linux lists them: "12: -> FLOCK  ADVISORY  WRITE 4711 ..."."""
    try:
        lines = LOCKS.read_text(encoding="ascii").splitlines()
    except OSError:
        return set()
    words = [line.split() for line in lines]
    return {int(one[5]) for one in words if len(one) > 5 and one[1] == "->" and one[5].isdecimal()}


def end_below(root: int) -> None:
    """Kill everything that descends from a process; all are stopped first, so that none can fork meanwhile."""
    for _ in range(ROUNDS):
        _stop_all(root)
        left = below(root)
        if not left:
            return
        _signal(left, signal.SIGKILL)
        time.sleep(SETTLING_SECONDS)


def end_tree(root: int, group: int = 0) -> None:
    """Kill a process and everything that descends from it.

    Args:
        group: group of processes that it began, ended where the system does not show its descendants; 0 for none.
    """
    _signal([root], signal.SIGSTOP)
    if group and not _pids():
        with contextlib.suppress(ProcessLookupError, PermissionError):
            end_group(group)
    end_below(root)
    _signal([root], signal.SIGKILL)


def end_marked(mark: str) -> None:
    """Kill the processes that are no longer below us but still carry our mark."""
    for _ in range(ROUNDS):
        left = marked(mark)
        if not left:
            return
        _signal(left, signal.SIGKILL)
        time.sleep(SETTLING_SECONDS)


def _stop_all(root: int) -> None:
    seen: set[int] = set()
    quiet = 0
    while quiet < 2:  # a process that was about to fork may do so after it was seen
        fresh = below(root) - seen
        _signal(fresh, signal.SIGSTOP)
        seen |= fresh
        quiet = 0 if fresh else quiet + 1


def _signal(pids: Iterable[int], number: signal.Signals) -> None:
    for pid in pids:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.kill(pid, number)


def _pids() -> list[int]:
    try:
        return [int(name) for name in os.listdir(PROC) if name.isdecimal()]
    except OSError:
        return []
