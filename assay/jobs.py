"""Work in a process of its own: the conductor starts a module, the module answers in JSON lines.

A job gets one JSON request, may report events, and ends with one result or one error. Frameworks print what they
like: a job's own standard output is kept apart for the answers, everything else goes to its log.
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import queue
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, cast

from pydantic import JsonValue

from assay.disk import disk_error_in, instead_of
from assay.errors import AssayError, DiskError, FailedError, InputError, NotInstalledError, WorkerError
from assay.store import reporting_disk_errors

Message = dict[str, JsonValue]
PR_SET_PDEATHSIG = 1
LOG_LINES_SHOWN = 15
NO_TELEMETRY = {"ORT_DISABLE_TELEMETRY": "1", "HF_HUB_DISABLE_TELEMETRY": "1", "DO_NOT_TRACK": "1"}
"""What is measured here is nobody else's business: ONNX Runtime's own packages for Linux send events to their maker,
keep a database of them in the user's cache folder and run a thread for it, unless told otherwise before the import."""


class Channel:
    """The job's side: where its answers go."""

    def __init__(self, stream: IO[str]) -> None:
        self._stream = stream

    def send(self, message: Message) -> None:
        """Send one message; the reader sees it at once."""
        self._stream.write(json.dumps(message) + "\n")
        self._stream.flush()


def open_channel() -> Channel:
    """Take over standard output for answers, and end with the parent.

    What is printed afterwards, by Python or by native code, goes to standard error.
    """
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    answers = os.dup(1)
    os.dup2(2, 1)
    return Channel(os.fdopen(answers, "w", encoding="utf-8"))


def serve_job(work: Callable[[Message, Channel], Message]) -> None:
    """Run `work` on the request on standard input and send its result, or the error it raised, and exit."""
    channel = open_channel()
    try:
        request = json.loads(sys.stdin.readline())
        channel.send({"result": work(request, channel)})
    except Exception as error:
        told = told_of(error)
        if told is None:
            raise
        channel.send(told)


def told_of(error: Exception) -> Message | None:
    """What is sent of an error: ours, or the disk's behind any other; None of what nobody foresaw."""
    error = disk_error_in(error) or error
    if not isinstance(error, AssayError):
        return None
    return {"error": str(error), "exit_code": error.exit_code, "disk": isinstance(error, DiskError)}


class Process:
    """The conductor's side of a process that answers in JSON lines.

    Args:
        module: the module to run with `python -P -m`.
        log: file that takes everything the process prints.
        environment: variables to set beside the conductor's own.
        python: the interpreter, this one by default.
    """

    def __init__(
        self,
        module: str,
        log: Path,
        *,
        environment: dict[str, str] | None = None,
        python: Path | None = None,
    ) -> None:
        self.module, self.log = module, log
        with reporting_disk_errors(log):
            log.parent.mkdir(parents=True, exist_ok=True)
            stream = log.open("wb")
        with stream:
            self._popen = subprocess.Popen(
                [str(python or sys.executable), "-P", "-m", module],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=stream,
                text=True,
                encoding="utf-8",
                env={**os.environ, **NO_TELEMETRY, **(environment or {})},
                start_new_session=True,
            )
        self._messages: queue.SimpleQueue[Message | None] = queue.SimpleQueue()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    @property
    def pid(self) -> int:
        return self._popen.pid

    def send(self, message: Message) -> None:
        """Send one message.

        Raises:
            WorkerError: the process has ended.
        """
        stdin = cast("IO[str]", self._popen.stdin)
        try:
            stdin.write(json.dumps(message) + "\n")
            stdin.flush()
        except (OSError, ValueError) as error:  # a pipe that broke, or that `kill` closed
            raise self._ended() from error

    def receive(self, limit_seconds: float | None = None) -> Message:
        """The next message.

        Raises:
            WorkerError: the process ended, or sent nothing within the limit; in the latter case it is killed.
        """
        try:
            message = self._messages.get(timeout=limit_seconds)
        except queue.Empty:
            self.kill()
            raise WorkerError(
                f"{self.module} did not answer within {limit_seconds:.0f} s and was killed",
                remedy="Raise the time limit in the study file if the work is really that long",
            ) from None
        if message is None:
            self._messages.put(None)
            raise self._ended()
        return message

    def freeze(self) -> None:
        """Stop the process where it is; it uses no processor until `thaw`."""
        self._signal(signal.SIGSTOP)

    def thaw(self) -> None:
        self._signal(signal.SIGCONT)

    def kill(self) -> None:
        """End the process and what it started, at once."""
        self._signal(signal.SIGKILL)
        self._popen.wait()
        self._close_pipes()

    def close(self, limit_seconds: float = 10) -> None:
        """Let the process end by itself, or kill it after the limit."""
        self._close_stdin()
        self.thaw()
        try:
            self._popen.wait(limit_seconds)
        except subprocess.TimeoutExpired:
            self.kill()
        self._close_pipes()

    def _close_stdin(self) -> None:
        with contextlib.suppress(OSError):  # what was not sent yet has no reader any more
            cast("IO[str]", self._popen.stdin).close()

    def _close_pipes(self) -> None:
        self._close_stdin()
        self._reader.join(timeout=5)
        cast("IO[str]", self._popen.stdout).close()

    def _signal(self, number: signal.Signals) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.pid, number)

    def _read(self) -> None:
        for line in cast("IO[str]", self._popen.stdout):
            try:
                self._messages.put(json.loads(line))
            except ValueError:
                self._messages.put({"error": f"{self.module} sent a line that is not JSON", "exit_code": 1})
        self._messages.put(None)

    def _ended(self) -> AssayError:
        status = self._popen.wait()
        how = f"was killed by {signal.Signals(-status).name}" if status < 0 else f"ended with status {status}"
        return instead_of(WorkerError(f"{self.module} {how}", found=log_tail(self.log) or None), self.log.parent)


def log_tail(log: Path) -> str:
    """The last lines of a process's log, on one line; nothing where somebody has removed it."""
    try:
        lines = log.read_text(encoding="utf-8", errors="replace").splitlines()[-LOG_LINES_SHOWN:]
    except OSError:
        return ""
    return " | ".join(line.strip() for line in lines if line.strip())[-1500:]


@contextlib.contextmanager
def started(process: Process) -> Iterator[Process]:
    """Kill the process if the block is left by an error or an interruption, else close it."""
    try:
        yield process
    except BaseException:
        process.kill()
        raise
    process.close()


def run_job(
    module: str,
    request: Message,
    log: Path,
    *,
    on_event: Callable[[Message], None] | None = None,
    limit_seconds: float | None = None,
    environment: dict[str, str] | None = None,
) -> Message:
    """Run one job to its end and return its result.

    Args:
        on_event: called with every message before the last.
        limit_seconds: for the whole job.

    Raises:
        AssayError: the job's own error, with its exit code.
        WorkerError: the job crashed, was killed, or exceeded the limit.
    """
    deadline = None if limit_seconds is None else time.monotonic() + limit_seconds
    with started(Process(module, log, environment=environment)) as process:
        process.send(request)
        while True:
            left = None if deadline is None else max(deadline - time.monotonic(), 0.001)
            message = process.receive(left)
            if "error" in message:
                raise instead_of(error_from(message), log.parent)
            if "result" in message:
                return cast("Message", message["result"])
            if on_event:
                on_event(message)


def error_from(message: Message) -> AssayError:
    """The error a job reported, as an error of the same exit code."""
    if message.get("disk"):
        return DiskError(str(message["error"]))
    kinds: dict[int, type[AssayError]] = {1: FailedError, 2: InputError, 3: NotInstalledError}
    return kinds[cast("int", message.get("exit_code", 1))](str(message["error"]))
