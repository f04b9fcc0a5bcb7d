"""Features that not every operating system has, in one place: callers get the feature, a substitute, or a reason.

Linux has all of it, on x86-64 and ARM64 alike. macOS has no affinity (nothing is pinned there), no `/proc`
(disturbances of a measurement are not known, and times say so) and only limits on files for a box; it freezes processes
as Linux does. Windows has neither fork nor process groups nor signals that freeze: a command that would run a model
there is refused with the reason, and one that only reads results works. This module imports the standard library alone.
"""

from __future__ import annotations

import errno
import importlib
import os
from collections.abc import Iterable
from typing import Any


def _if_there(name: str) -> Any:
    """Return a module of the standard library, or None where this system lacks it."""
    try:
        return importlib.import_module(name)
    except ImportError:
        return None


fcntl, resource = _if_there("fcntl"), _if_there("resource")
"""Modules for file locks, and for limits and use of resources: None on Windows, where no job that needs them starts."""
NO_FOLLOWING = getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)
"""Flags that keep a link or a pipe under a file's name from being opened, and keep anybody from waiting for its other
end.
"""


def why_no_jobs() -> str:
    """Return why processes that run models cannot be started, frozen and ended here; "" if they can."""
    lacking = [name for name in ("fork", "killpg", "setsid") if not hasattr(os, name)]
    lacking += [] if fcntl and resource else ["file locks and limits"]
    return f"this system has no {', '.join(lacking)}" if lacking else ""


def lock(handle: int, *, shared: bool = False, waiting: bool = False) -> None:
    """Lock an open file until it is closed.

    Raises:
        BlockingIOError: somebody else has it, and `waiting` is false.
        OSError: ENOLCK where this system has no such locks, or the file system's error.
    """
    if fcntl is None:
        raise OSError(errno.ENOLCK, "this system has no locks that end with their process")
    how = fcntl.LOCK_SH if shared else fcntl.LOCK_EX
    fcntl.flock(handle, how if waiting else how | fcntl.LOCK_NB)


def user_number() -> int:
    """Return this user's number; 0 where users have none, as all files are said to belong to everybody."""
    return os.getuid() if hasattr(os, "getuid") else 0


def usable_cores(process: int = 0) -> tuple[int, ...]:
    """Return the cores that a process may run on, this process by default; all cores where nothing is pinned.

    Raises:
        OSError: there is no such process.
    """
    if hasattr(os, "sched_getaffinity"):
        return tuple(sorted(os.sched_getaffinity(process)))
    return tuple(range(os.cpu_count() or 1))


def can_pin() -> bool:
    """Return whether processes can be held to cores here."""
    return hasattr(os, "sched_setaffinity")


def pin(thread: int, cores: Iterable[int]) -> None:
    """Hold a thread (0 for this one) to some cores; only where `can_pin`."""
    os.sched_setaffinity(thread, cores)
