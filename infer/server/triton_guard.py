"""The process between `assay serve` and the Triton server, which makes sure that nothing is left behind.

It is started as a file, needs nothing but the standard library, and holds standard input open to its parent: when that
ends, because the parent asked for a stop or was killed, the filter and then the server get the signal to stop, and a
few seconds later all that is left of them is killed. Should this process itself be killed, the kernel kills both, and
the server's workers end by themselves.

    python triton_guard.py PLAN

PLAN is JSON: `folder`, which the server and the filter run in and which is removed at the end, as is shared memory
whose name begins with `shared_memory`; `stop_seconds`; `cores`, numbers of the processor cores that everything runs
on; `host` and `port`, the first of three that are opened here; `server` and `front`, two commands, the second of which
gets the numbers of the three listening sockets as well and runs in `front_environment`.

The ports stay open when the filter ends by itself: it is restarted and finds the clients that have called meanwhile.
The exit status is the server's.
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import resource
import select
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

PR_SET_PDEATHSIG, PR_SET_CHILD_SUBREAPER = 1, 36
SHARED_MEMORY = Path("/dev/shm")  # noqa: S108  its place on Linux
PORTS, BACKLOG = 3, 128
MOST_RESTARTS, RESTARTS_SECONDS = 5, 60.0


def main(text: str) -> int:
    """Run the server and the filter until one of them or standard input ends."""
    plan: dict[str, Any] = json.loads(text)
    ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1)  # the server's orphans become our children
    os.sched_setaffinity(0, plan["cores"])  # both programs inherit this
    os.umask(0o077)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # a core dump would have strangers' requests in it
    try:
        status = Guarding(plan).run()
    except OSError as error:
        _log(f"cannot listen on {plan['host']}:{plan['port']} and the two after it: {error.strerror or error}")
        status = 1
    _kill_children()
    shutil.rmtree(plan["folder"], ignore_errors=True)
    for left in SHARED_MEMORY.glob(f"{plan['shared_memory']}*"):
        left.unlink(missing_ok=True)
    return status if status >= 0 else 128 - status


class Guarding:
    """The server and the filter, and the reaction when one of them ends.

    Raises:
        OSError: the ports cannot be opened.
    """

    def __init__(self, plan: dict[str, Any]) -> None:
        self._plan = plan
        self._wakes, waker = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.set_wakeup_fd(waker, warn_on_full_buffer=False)
        self._listeners = _listeners(plan["host"], plan["port"])
        self._server = _start(plan["server"], plan["folder"])
        self._front = self._start_front()
        self._restarts: list[float] = []
        self._heard = [0, self._wakes]
        self._deadline = float("inf")

    def run(self) -> int:
        """Wait until the server has ended, and return its status."""
        while self._server.poll() is None:
            left = self._deadline - time.monotonic()
            if left <= 0:
                self._lose_patience()
                continue
            ready, _, _ = select.select(self._heard, [], [], min(left, 3600.0))
            if self._wakes in ready:
                os.read(self._wakes, 4096)
            if 0 in ready and not os.read(0, 1024):
                self._heard.remove(0)
                self._stop()
            self._look_at_front()
        return self._server.returncode

    def _stop(self) -> None:
        """Stop the filter first: it answers the requests it has, and takes no more."""
        for listener in self._listeners:
            listener.close()
        self._listeners = []
        self._front.terminate()
        self._deadline = time.monotonic() + self._plan["stop_seconds"] / 2

    def _look_at_front(self) -> None:
        """When the filter has ended, end the server too if a stop was requested, and otherwise start a new filter."""
        if self._front.poll() is None or self._server.poll() is not None:
            return
        if not self._listeners:
            if not self._front_gone:
                self._front_gone = True
                self._server.terminate()
                self._deadline = time.monotonic() + self._plan["stop_seconds"]
            return
        now = time.monotonic()
        self._restarts = [one for one in self._restarts if now - one < RESTARTS_SECONDS] + [now]
        if len(self._restarts) > MOST_RESTARTS:
            _log(f"the filter ended {MOST_RESTARTS + 1} times within {RESTARTS_SECONDS:.0f} s, so the server ends")
            self._stop()
            return
        _log(f"the filter in front of the server ended with status {self._front.returncode} and is restarted")
        self._front = self._start_front()

    _front_gone = False

    def _lose_patience(self) -> None:
        """Kill the process that should have ended by now."""
        self._deadline = float("inf")
        (self._server if self._front_gone else self._front).kill()

    def _start_front(self) -> subprocess.Popen[bytes]:
        numbers = [listener.fileno() for listener in self._listeners]
        command = [*self._plan["front"], *map(str, numbers)]
        return _start(command, self._plan["folder"], self._plan["front_environment"], numbers)


def _listeners(host: str, port: int) -> list[socket.socket]:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    return [
        socket.create_server((host, number), family=family, backlog=BACKLOG) for number in range(port, port + PORTS)
    ]


def _start(
    command: Sequence[str],
    folder: str,
    environment: Mapping[str, str] | None = None,
    open_files: Sequence[int] = (),
) -> subprocess.Popen[bytes]:
    """Start a program that the kernel kills when this one ends."""
    prctl = ctypes.CDLL(None).prctl
    return subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        start_new_session=True,
        cwd=folder,
        env=environment,
        pass_fds=open_files,
        preexec_fn=lambda: prctl(PR_SET_PDEATHSIG, signal.SIGKILL),  # noqa: PLW1509  no thread runs
    )


def _log(text: str) -> None:
    """Log an error in the form of the server's own."""
    sys.stdout.write(f'E{time.strftime("%m%d %H:%M:%S", time.gmtime())} {os.getpid()} guard] "{text}"\n')
    sys.stdout.flush()


def _kill_children() -> None:
    """Kill and reap the processes that the server left, and those that they leave, until there are none."""
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
