"""The process between the conductor and a job, which limits what the job may do: `assay.boxed.box MODULE`.

It starts the module in a session of its own and stays alive: it keeps the log within its size limit, and when the
module or the conductor ends, it kills everything that the module started, wherever that hides. It needs nothing but the
standard library, so that another environment's interpreter can run it.

A job that runs somebody else's code is boxed: see `assay.boxed.boxing`. The rules come in the
environment.
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import shutil
import signal
import sys
import threading
import time
from collections.abc import Mapping
from types import FrameType

from assay.boxed.confine import PR_SET_PDEATHSIG, confine
from assay.boxed.platform import fcntl, resource
from assay.boxed.processes import below, end_below, running
from assay.start import START

RULES, MARK = "ASSAY_BOX", "ASSAY_JOB"
PR_SET_CHILD_SUBREAPER = 36
F_SETPIPE_SZ, PIPE_BYTES = 1031, 1 << 20
MOST_PROCESSES = 1024
"""The largest number of processes that may run below one boxed process where the kernel does not count them, as it does
not for root.
"""
HEAD_BYTES, LOG_BYTES = 10 << 20, 20 << 20
"""Bytes kept from the beginning of a log, and bytes kept in all; the remainder is the end of the log."""


class _Ended(BaseException):
    """Raised when the conductor is gone, or asks for the end."""


def _end(number: int, frame: FrameType | None) -> None:
    raise _Ended


def main(module: str) -> int:
    """Run the module until it ends, and return its exit status, or end by the same signal."""
    rules = json.loads(os.environ.pop(RULES, "null"))
    if sys.platform == "linux":
        library = ctypes.CDLL(None)
        library.prctl(PR_SET_CHILD_SUBREAPER, 1)  # whatever loses its parent becomes our child
        library.prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
    conductor = os.getppid()
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        _become(module, rules, writing)
    signal.signal(signal.SIGTERM, _end)
    os.close(writing)
    _let_go_of_pipes()
    pump = threading.Thread(target=_keep_log, args=(reading, 2), daemon=True)
    pump.start()
    if rules and os.getuid() == 0:
        threading.Thread(target=_count, args=(child, running()), daemon=True).start()
    status = 1
    try:
        status = _wait_for(child)
    except _Ended:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    end_below(os.getpid())
    pump.join(timeout=5)
    if os.getppid() != conductor:
        shutil.rmtree(os.environ["TMPDIR"], ignore_errors=True)
    return status


def _become(module: str, rules: Mapping[str, object] | None, log: int) -> None:
    """Turn the forked process into the module. From then on, everything it prints goes into the log."""
    os.setsid()
    os.dup2(log, 2)
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    held = confine(rules) if rules else {}
    os.write(1, json.dumps({"started": os.getpid(), "box": held}).encode() + b"\n")
    os.execv(sys.executable, [sys.executable, "-P", str(START), module])  # noqa: S606  a list of our own words, no shell


def _let_go_of_pipes() -> None:
    """Close this process's ends of the pipes: only the module holds them, so that they end with it."""
    nothing = os.open(os.devnull, os.O_RDWR)
    os.dup2(nothing, 0)
    os.dup2(nothing, 1)
    os.close(nothing)


def _wait_for(child: int) -> int:
    """Return the child's exit status, negative for a signal, and reap orphans meanwhile."""
    while True:
        pid, status = os.wait()
        if pid == child:
            return os.waitstatus_to_exitcode(status)


def _count(child: int, before: int) -> None:
    """End a process that starts too many others. It reads one number from the kernel once a second."""
    while True:
        time.sleep(1)
        if running() > before + MOST_PROCESSES and len(below(os.getpid())) > MOST_PROCESSES:
            os.write(2, f"\nassay: it started more than {MOST_PROCESSES} processes, so all were ended\n".encode())
            os.kill(child, signal.SIGKILL)
            os.kill(os.getpid(), signal.SIGTERM)
            return


def _keep_log(reading: int, log: int) -> None:
    """Copy everything into a log until the end, and leave out the middle of what is too long. It never waits for
    anybody.
    """
    with contextlib.suppress(OSError):
        fcntl.fcntl(reading, F_SETPIPE_SZ, PIPE_BYTES)
    size = left_out = 0
    while piece := os.read(reading, PIPE_BYTES):
        try:
            size += os.write(log, piece)
            if size > LOG_BYTES:
                left_out, size = _cut(log, size, left_out)
        except OSError:  # a full disk costs the log, not the work
            left_out += len(piece)


def _cut(log: int, size: int, left_out: int) -> tuple[int, int]:
    """Keep the beginning and the last quarter; return the size, and how many bytes have been left out so far."""
    tail = os.pread(log, LOG_BYTES // 4, size - LOG_BYTES // 4)
    left_out += size - len(tail) - HEAD_BYTES
    notice = f"\n[assay: {left_out} bytes are left out here]\n".encode()
    os.ftruncate(log, HEAD_BYTES)
    os.lseek(log, HEAD_BYTES, os.SEEK_SET)
    os.write(log, notice + tail)
    return left_out - len(notice), HEAD_BYTES + len(notice) + len(tail)


def _end_like(status: int) -> None:
    """End as the module did, by the same signal if there was one."""
    if status >= 0:
        sys.exit(status)
    number = signal.Signals(-status)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # one core dump is enough
    if number not in {signal.SIGKILL, signal.SIGSTOP}:
        signal.signal(number, signal.SIG_DFL)
    os.kill(os.getpid(), number)


if __name__ == "__main__":
    _end_like(main(sys.argv[1]))
