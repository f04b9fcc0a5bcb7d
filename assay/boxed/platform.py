"""Features that not every operating system has, in one place: callers get the feature, a substitute, or a reason.

Linux has all of it, on x86-64 and ARM64 alike. macOS has no affinity (nothing is pinned there), no `/proc`
(disturbances of a measurement are not known, and times say so) and only limits on files for a box; it freezes processes
as Linux does. Windows has neither fork nor process groups nor signals that freeze: a command that would run a model
there is refused with the reason, and one that only reads results works. This module imports the standard library alone.
docs/reference/platforms.md says the same to a user. The test of this module lists who may ask without it, and why.
"""

from __future__ import annotations

import ctypes
import errno
import importlib
import math
import os
import signal
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
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

PR_SET_PDEATHSIG = 1
PROC = Path("/proc/self")
SUPPOSED_BYTES = 8 << 30
"""Memory that a machine is taken to have whose system does not say."""


def why_no_jobs() -> str:
    """Return why processes that run models cannot be started, frozen and ended here; "" if they can."""
    lacking = [name for name in ("fork", "killpg", "setsid") if not hasattr(os, name)]
    lacking += [name for name in ("SIGSTOP", "SIGCONT", "SIGKILL") if not hasattr(signal, name)]
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


def own_threads() -> tuple[int, ...]:
    """Return the numbers of this process's threads now; none where the system does not show them."""
    try:
        return tuple(int(name) for name in os.listdir(PROC / "task"))
    except OSError:
        return ()


def signals_named(*names: str) -> tuple[signal.Signals, ...]:
    """Return the signals of these names that this system has."""
    return tuple(signal.Signals[name] for name in names if name in signal.Signals.__members__)


def by_signal(words: Mapping[str, str]) -> dict[signal.Signals, str]:
    """Return words by signal, from words by its name."""
    return {number: words[number.name] for number in signals_named(*words)}


def freeze(group: int) -> None:
    """Stop all processes of a group where they are, until `thaw`; only where `why_no_jobs` has no reason.

    Raises:
        ProcessLookupError: all have ended.
    """
    os.killpg(group, signal.SIGSTOP)


def thaw(group: int) -> None:
    """Let all processes of a group go on.

    Raises:
        ProcessLookupError: all have ended.
    """
    os.killpg(group, signal.SIGCONT)


def end_group(group: int) -> None:
    """Kill all processes of a group.

    Raises:
        ProcessLookupError: all have ended.
        PermissionError: one is somebody else's, or, on macOS, has ended and nobody has asked how.
    """
    os.killpg(group, signal.SIGKILL)


def forked() -> int:
    """Go on as two processes: returns 0 in the new one, and its number in this one; only where `why_no_jobs` has no
    reason.
    """
    return os.fork()


def status_of(child: int) -> int:
    """Wait for the end of a process that `forked` began, and return its exit status, or minus the number of the signal
    that ended it.
    """
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def allow_memory(more: int) -> None:
    """Let this process have so many more bytes of addresses than it has now; on Linux alone."""
    try:
        pages = int((PROC / "statm").read_text(encoding="ascii").split()[0])
    except OSError:
        return
    _, most = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (_below(pages * os.sysconf("SC_PAGE_SIZE") + more, most), most))


def allow_processor(seconds: float) -> None:
    """Let this process use so many more seconds of a processor, all its threads together; then SIGXCPU ends it."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    _, most = resource.getrlimit(resource.RLIMIT_CPU)
    resource.setrlimit(resource.RLIMIT_CPU, (_below(math.ceil(used.ru_utime + used.ru_stime + seconds), most), most))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def _below(asked: int, most: int) -> int:
    return asked if most == resource.RLIM_INFINITY else min(asked, most)


def end_with_parent() -> None:
    """Have the system kill this process when its parent ends; on systems that cannot, the end of standard input is all
    that tells it.
    """
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def memory_bytes() -> int:
    """Return the machine's memory, or `SUPPOSED_BYTES`."""
    if not hasattr(os, "sysconf"):
        return SUPPOSED_BYTES
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def available_bytes() -> int:
    """Return the memory that is free or can be freed; half of all memory where the system does not say."""
    try:
        lines = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
    except OSError:
        return memory_bytes() // 2
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable:"))


def resident_bytes() -> int:
    """Return the memory that this process has now; where the system does not say, the most that it ever had."""
    try:
        pages = int((PROC / "statm").read_text(encoding="ascii").split()[1])
    except OSError:
        return most_resident_bytes()
    return pages * os.sysconf("SC_PAGE_SIZE")


def most_resident_bytes() -> int:
    """Return the most memory that this process ever had. On Linux ru_maxrss would include the parent's at the fork."""
    try:
        lines = (PROC / "status").read_text(encoding="ascii", errors="replace").splitlines()
    except OSError:
        unit = 1 if sys.platform == "darwin" else 1024
        return int(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss) * unit
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM"))


def user_caches() -> Path:
    """Return the folder for what this user's programs can make again."""
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Caches"
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local")
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
