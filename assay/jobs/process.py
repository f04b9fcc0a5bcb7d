"""A process of this machine that answers in JSON lines, and ends with all that it starts.

Its output is not trusted: a line may not be JSON, be too long, never end, or be something other than a message, and the
processes it started may hide. Each case is one `WorkerError`, within the limit, and no process is left.
"""

from __future__ import annotations

import contextlib
import json
import os
import queue
import secrets
import select
import shutil
import subprocess
import sys
import tempfile
import threading
import time
import weakref
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Unpack

from assay.boxed import platform
from assay.boxed.box import MARK
from assay.boxed.boxing import HELD_BACK, REMEDY, Box, environment_for, settle
from assay.boxed.processes import end_marked, end_tree
from assay.errors import AssayError, DiskError, InputError, WorkerError
from assay.files.disk import instead_of
from assay.jobs.host import How
from assay.jobs.job import Message, read_as
from assay.jobs.killed import KilledError, killed, noted
from assay.jobs.logs import log_tail
from assay.jobs.patience import Spent, spent_by
from assay.records.base import Record
from assay.start import START
from assay.store import reporting_disk_errors

NO_TELEMETRY = {"ORT_DISABLE_TELEMETRY": "1", "HF_HUB_DISABLE_TELEMETRY": "1", "DO_NOT_TRACK": "1"}
"""The measurements are nobody else's business: ONNX Runtime's own packages for Linux send events to their maker,
keep a database of them in the user's cache folder and run a thread for it, unless told otherwise before the import."""
LINE_BYTES = 16 << 20
"""The longest message; larger content goes by file."""
MOST_WAITING = 1000
"""The largest number of messages that wait to be received."""
SEND_SECONDS, START_SECONDS, END_SECONDS = 60.0, 60.0, 10.0


class Begun(Record):
    """The first line of every process: its number, and the limits of its box that the platform enforces, by name."""

    started: int
    box: dict[str, str]


class Process:
    """The conductor's side of a process that answers in JSON lines, and ends with all that it starts.

    Args:
        module: the module to run, below the process of `assay.boxed.box`.
        log: file that takes everything the process prints, at most 20 MB of it.
        environment: variables to set in addition to the conductor's own.
        python: the interpreter, this one by default.
        box: limits on the process, where it runs somebody else's code.
    """

    def __init__(
        self,
        module: str,
        log: Path,
        *,
        environment: Mapping[str, str] | None = None,
        python: Path | None = None,
        box: Box | None = None,
    ) -> None:
        end_with_the_rest()
        if reason := platform.why_no_jobs():
            raise InputError(
                "No model can be run on this system",
                expected="Linux, or macOS",
                found=reason,
                remedy="On Windows, use WSL 2, which has everything needed; commands that only read results work here",
            )
        self.module, self.log, self.box = module, log, box
        self._group, self._has_started, self._frozen = 0, threading.Event(), False
        self._over = threading.Event()
        self._mark = secrets.token_hex(16)
        with reporting_disk_errors(log):
            log.parent.mkdir(parents=True, exist_ok=True)
            stream = log.open("w+b")
        with stream:
            with reporting_disk_errors(Path(tempfile.gettempdir())):
                self._scratch = Path(tempfile.mkdtemp(prefix="assay-job-"))
            variables = environment_for(box, os.environ, NO_TELEMETRY | dict(environment or {}), self._scratch)
            _STARTED.add(self)
            self._popen = subprocess.Popen(
                [str(python or sys.executable), "-P", str(START), "assay.boxed.box", module],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=stream,
                env=variables | {MARK: self._mark},
                start_new_session=True,
            )
        assert self._popen.stdin is not None, "the process is started with pipes"
        assert self._popen.stdout is not None, "the process is started with pipes"
        self._stdin, self._stdout = self._popen.stdin, self._popen.stdout
        os.set_blocking(self._stdin.fileno(), False)
        self._messages: queue.Queue[Message | WorkerError | None] = queue.Queue(MOST_WAITING)
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    @property
    def pid(self) -> int:
        """The number of the module's process."""
        self._has_started.wait(START_SECONDS)
        return self._group or self._popen.pid

    def send(self, message: Message, limit_seconds: float = SEND_SECONDS) -> None:
        """Send one message.

        Raises:
            WorkerError: the process has ended, or did not take it within the limit and was killed.
        """
        try:
            self._write(json.dumps(message).encode() + b"\n", time.monotonic() + limit_seconds)
        except TimeoutError:
            self.kill()
            raise WorkerError(
                f"{self.module} did not read what was sent to it within {limit_seconds:g} s and was killed"
            ) from None
        except (OSError, ValueError) as error:  # a pipe that broke, or that `kill` closed
            raise self._ended() from error

    def receive(self, limit_seconds: float) -> Message:
        """Return the next message.

        Raises:
            TimeoutError: there was none within the limit; the process goes on.
            WorkerError: the process ended, or what it sent is not a message and it was killed.
        """
        try:
            message = self._messages.get(timeout=limit_seconds)
        except queue.Empty:
            raise TimeoutError from None
        if message is None:
            self._deliver(None)
            raise self._ended()
        if isinstance(message, WorkerError):
            self.kill()
            raise message
        return message

    def explained(self, error: AssayError) -> AssayError:
        """Return an error with its cause, if that is the disk, or with a remedy, if the box may be the cause."""
        error = instead_of(error, self.log.parent)
        boxed = self.box is not None and not self.box.trusted
        if not boxed or isinstance(error, DiskError) or not HELD_BACK.search(str(error)):
            return error
        if isinstance(error, KilledError):
            return killed(error.doing, error.number, error.said, remedy=REMEDY)
        return type(error)(error.what, expected=error.expected, found=error.found, remedy=REMEDY)

    def spent(self) -> Spent:
        """Return the processor time of the process and all that it started."""
        return replace(spent_by(self._popen.pid), frozen=self._frozen)

    def freeze(self) -> None:
        """Stop the process where it is; it uses no processor until `thaw`."""
        self._has_started.wait(START_SECONDS)
        self._frozen = True
        self._to_group(platform.freeze)

    def thaw(self) -> None:
        """Let it go on."""
        self._to_group(platform.thaw)
        self._frozen = False

    def kill(self) -> None:
        """End the process and all that it started, at once."""
        if self._popen.poll() is None:
            end_tree(self._popen.pid, self._group)
        self._popen.wait()
        end_marked(f"{MARK}={self._mark}")
        self._leave()

    def close(self, limit_seconds: float = END_SECONDS) -> None:
        """Let the process end by itself, or kill it after the limit."""
        self._close_stdin()
        self.thaw()
        try:
            status = self._popen.wait(limit_seconds)
        except subprocess.TimeoutExpired:
            status = -1
        if status:
            self.kill()
        self._leave()

    def _write(self, content: bytes, deadline: float) -> None:
        """
        Raises:
            TimeoutError: it was not taken until then.
        """
        stdin = self._stdin.fileno()
        poll = select.poll()
        poll.register(stdin, select.POLLOUT)
        left = memoryview(content)
        while left:
            if not poll.poll(max(deadline - time.monotonic(), 0) * 1000):
                raise TimeoutError
            with contextlib.suppress(BlockingIOError):
                left = left[os.write(stdin, left) :]

    def _close_stdin(self) -> None:
        with contextlib.suppress(OSError):  # nobody will read what has not been sent yet
            self._stdin.close()

    def _leave(self) -> None:
        """Close our ends, and take over what the process wrote."""
        self._over.set()
        self._close_stdin()
        self._reader.join(timeout=5)
        if not self._reader.is_alive():
            self._stdout.close()
        for folder in (self._scratch, *(self.box.writable if self.box and not self.box.trusted else ())):
            settle(folder)
        shutil.rmtree(self._scratch, ignore_errors=True)
        _STARTED.discard(self)

    def _to_group(self, do: Callable[[int], None]) -> None:
        if self._group and self._popen.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                do(self._group)

    def _read(self) -> None:
        """Deliver every message until the process has no more; anything that is not a message is the last."""
        self._read_all()
        if self._over.is_set():  # `_leave` may not have waited for this
            self._stdout.close()

    def _read_all(self) -> None:
        while line := self._stdout.readline(LINE_BYTES + 1):
            message = self._message(line)
            if isinstance(message, WorkerError) or not self._is_start(message):
                self._deliver(message)
            if isinstance(message, WorkerError):
                return
        self._deliver(None)

    def _is_start(self, message: Message) -> bool:
        """Take the first line, which `assay.boxed.box` wrote before the module began."""
        if self._has_started.is_set():
            return False
        begun = read_as(Begun, message, f"{self.module} did not start as an Assay process")
        self._group = begun.started
        if self.box and self.box.told:
            self.box.told(begun.box)
        self._has_started.set()
        return True

    def _message(self, line: bytes) -> Message | WorkerError:
        if len(line) > LINE_BYTES:
            return WorkerError(f"{self.module} sent a line of more than {LINE_BYTES >> 20} MiB and was killed")
        try:
            message = json.loads(line.decode())
        except (ValueError, RecursionError, MemoryError):
            return WorkerError(f"{self.module} sent a line that is not JSON and was killed", found=repr(line[:80]))
        if not isinstance(message, dict):
            return WorkerError(f"{self.module} sent no message and was killed", found=repr(line[:80]))
        return message

    def _deliver(self, message: Message | WorkerError | None) -> None:
        """Deliver a message, waiting until there is room; one that nobody waits for any more is dropped."""
        while True:
            with contextlib.suppress(queue.Full):
                self._messages.put(message, timeout=0.2)
                return
            if self._over.is_set():
                return

    def _ended(self) -> AssayError:
        if _ENDING.is_set():
            raise SystemExit  # ends this thread, whatever handles errors
        try:
            status = self._popen.wait(END_SECONDS)
        except subprocess.TimeoutExpired:
            self.kill()
            return WorkerError(f"{self.module} closed its output without ending and was killed")
        said = log_tail(self.log)
        if status < 0:
            return self.explained(noted(killed(self.module, -status, said)))
        return self.explained(WorkerError(f"{self.module} ended with status {status}", found=said or None))


_STARTED: weakref.WeakSet[Process] = weakref.WeakSet()


_ENDING = threading.Event()


@contextlib.contextmanager
def ending_all() -> Iterator[None]:
    """Inside the block no process is started, and a thread that waits for a killed process ends with it.

    The thread then gets no answer, and the end of the process is not taken for one.
    """
    _ENDING.set()
    try:
        yield
    finally:
        _ENDING.clear()


def end_with_the_rest() -> None:
    """For work that is no process: end this thread where everything that goes on is being ended, see `ending_all`."""
    if _ENDING.is_set():
        raise SystemExit


def end_all() -> None:
    """Kill every process that was started here and still runs, at the end of the program."""
    for process in list(_STARTED):
        if hasattr(process, "_reader"):
            process.kill()


class Here:
    """This machine as a host that starts processes."""

    def start(self, module: str, log: Path, **how: Unpack[How]) -> Process:
        """See `assay.jobs.host.Starter`."""
        return Process(module, log, **how)

    def there(self, path: Path, written: bool) -> Path:
        """Every process of this machine has the conductor's own files."""
        del written
        return path

    def here(self, path: Path) -> Path:
        """Return the path itself."""
        return path

    def fetch(self, path: Path) -> None:
        """Do nothing: there is nothing to bring."""


HERE = Here()
