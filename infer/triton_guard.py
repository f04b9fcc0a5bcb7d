"""The process between `assay serve` and the Triton server, which sees to it that nothing stays behind.

It is started as a file, needs nothing but the standard library, and holds standard input open to its parent: when that
ends, because the parent asked for a stop or because the parent was killed, the server gets the signal to stop, and a
few seconds later everything that is left of it is killed. Should this process itself be killed, the kernel kills the
server, and the server's workers end by themselves.

    python triton_guard.py FOLDER SHARED_MEMORY_PREFIX STOP_SECONDS CORES COMMAND...

FOLDER and the shared memory of that prefix are removed at the end. The server runs on the processor cores CORES alone,
numbers with commas between them. The status is the server's.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

PR_SET_PDEATHSIG, PR_SET_CHILD_SUBREAPER = 1, 36
SHARED_MEMORY = Path("/dev/shm")  # noqa: S108  where Linux has it


def main(folder: str, prefix: str, stop_seconds: str, cores: str, *command: str) -> int:
    """Run the server until it ends or standard input does."""
    prctl = ctypes.CDLL(None).prctl
    prctl(PR_SET_CHILD_SUBREAPER, 1)  # the server's orphans become our children, where we find them
    os.sched_setaffinity(0, map(int, cores.split(",")))  # which the server inherits
    server = subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        start_new_session=True,
        preexec_fn=lambda: prctl(PR_SET_PDEATHSIG, signal.SIGKILL),  # noqa: PLW1509  no thread runs yet
    )
    threading.Thread(target=_stop_at_end_of_input, args=(server, float(stop_seconds)), daemon=True).start()
    status = server.wait()
    _kill_children()
    shutil.rmtree(folder, ignore_errors=True)
    for left in SHARED_MEMORY.glob(f"{prefix}*"):
        left.unlink(missing_ok=True)
    return status if status >= 0 else 128 - status


def _stop_at_end_of_input(server: subprocess.Popen[bytes], limit_seconds: float) -> None:
    while os.read(0, 1024):
        pass
    server.terminate()
    try:
        server.wait(limit_seconds)
    except subprocess.TimeoutExpired:
        server.kill()


def _kill_children() -> None:
    """Kill and reap what the server left, and what that leaves, until there is nothing."""
    while True:
        for child in _children():
            with contextlib.suppress(ProcessLookupError):
                os.kill(child, signal.SIGKILL)
        try:
            if os.waitpid(-1, os.WNOHANG) == (0, 0):
                time.sleep(0.01)
        except ChildProcessError:
            return


def _children() -> list[int]:
    tasks = Path("/proc/self/task").glob("*/children")
    return [int(word) for task in tasks for word in task.read_text(encoding="ascii").split()]


if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    sys.exit(main(*sys.argv[1:]))
