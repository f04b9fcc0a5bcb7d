"""What not every operating system has, in one place: who asks for it gets it, a substitute, or a reason.

Linux has all of it, on x86-64 and ARM64 alike. macOS has no affinity (nothing is pinned there), no `/proc` (what
disturbs a measurement is not known, and times say so) and no means of a box but limits on files; it freezes processes
as Linux does. Windows has neither fork nor process groups nor signals that freeze: nothing which runs a model starts
there, which is refused with the reason, and what only reads results works. It imports the standard library alone.
"""

from __future__ import annotations

import errno
import importlib
import os
from collections.abc import Iterable
from typing import Any


def _if_there(name: str) -> Any:
    """A module of the standard library, None where this system has none."""
    try:
        return importlib.import_module(name)
    except ImportError:
        return None


fcntl, resource = _if_there("fcntl"), _if_there("resource")
"""File locks, and limits and use of resources: None on Windows, where no job that needs them starts."""
NO_FOLLOWING = getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)
"""Flags with which a link or a pipe under a file's name is not opened, and nobody waits for its other end."""


def why_no_jobs() -> str:
    """Why no process that runs a model can be started, frozen and ended here; "" where it can."""
    lacking = [name for name in ("fork", "killpg", "setsid") if not hasattr(os, name)]
    lacking += [] if fcntl and resource else ["file locks and limits"]
    return f"this system has no {', '.join(lacking)}" if lacking else ""


def lock(handle: int, *, shared: bool = False, waiting: bool = False) -> None:
    """Lock an open file until it is closed.

    Raises:
        BlockingIOError: somebody else has it, and nobody waits.
        OSError: ENOLCK where this system has no such locks, or the file system's error.
    """
    if fcntl is None:
        raise OSError(errno.ENOLCK, "this system has no locks that end with their process")
    how = fcntl.LOCK_SH if shared else fcntl.LOCK_EX
    fcntl.flock(handle, how if waiting else how | fcntl.LOCK_NB)


def user_number() -> int:
    """This user's number; 0, as files are said to be everybody's, where users have none."""
    return os.getuid() if hasattr(os, "getuid") else 0


def usable_cores(process: int = 0) -> tuple[int, ...]:
    """The cores that a process may run on, this one by default; all of them where nothing is pinned.

    Raises:
        OSError: there is no such process.
    """
    if hasattr(os, "sched_getaffinity"):
        return tuple(sorted(os.sched_getaffinity(process)))
    return tuple(range(os.cpu_count() or 1))


def can_pin() -> bool:
    """Whether processes can be held to cores here."""
    return hasattr(os, "sched_setaffinity")


def pin(thread: int, cores: Iterable[int]) -> None:
    """Hold a thread, 0 for this one, to cores, where `can_pin`."""
    os.sched_setaffinity(thread, cores)
