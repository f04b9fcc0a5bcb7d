"""Work in a process of its own: the conductor starts a module, the module answers in JSON lines.

A job gets one JSON request, may report events, and ends with one result or one error. Frameworks print what they
like: a job's own standard output is kept apart for the answers, everything else goes to its log.

What a job says is not believed: a line may be no JSON, too long, never end, or be something else than a message, and
what it started may hide. Each is one `WorkerError`, within the limit, and nothing of it is left.
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import queue
import secrets
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
import weakref
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, TypeVar, cast

from pydantic import JsonValue, TypeAdapter, ValidationError

from assay.box import MARK
from assay.boxing import HELD_BACK, REMEDY, Box, environment_for, settle
from assay.disk import disk_error_in, instead_of
from assay.errors import AssayError, DiskError, FailedError, InputError, NotInstalledError, WorkerError
from assay.foreign import cleaned, shortened
from assay.processes import end_marked, end_tree
from assay.steps import LONGER, Step, hear, step_told, tell_steps_to
from assay.store import reporting_disk_errors
from assay.wrong_records import mistake_in

Message = dict[str, JsonValue]
Kind = TypeVar("Kind")
PR_SET_PDEATHSIG = 1
LOG_LINES_SHOWN = 15
NO_TELEMETRY = {"ORT_DISABLE_TELEMETRY": "1", "HF_HUB_DISABLE_TELEMETRY": "1", "DO_NOT_TRACK": "1"}
"""What is measured here is nobody else's business: ONNX Runtime's own packages for Linux send events to their maker,
keep a database of them in the user's cache folder and run a thread for it, unless told otherwise before the import."""
LINE_BYTES = 16 << 20
"""Of one message; what is larger goes by file."""
MOST_WAITING = 1000
"""Messages that nobody has taken yet."""
SEND_SECONDS, START_SECONDS, END_SECONDS = 60.0, 60.0, 10.0
ERROR_CHARACTERS = 10_000
LOG_TAIL_BYTES, LOG_CHARACTERS = 65_536, 1500


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
    tell_steps_to(channel.send)
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


class Answer(dict[str, JsonValue]):
    """A job's answer: what is not in it is the job's fault."""

    def __missing__(self, key: str) -> JsonValue:
        raise WorkerError("A job's answer is not whole", expected=f"'{key}' in it", found=", ".join(map(str, self)))


class Process:
    """The conductor's side of a process that answers in JSON lines, and ends with all that it starts.

    Args:
        module: the module to run with `python -P -m`, below the process of `assay.box`.
        log: file that takes everything the process prints, at most 20 MB of it.
        environment: variables to set beside the conductor's own.
        python: the interpreter, this one by default.
        box: what it may do, where it runs somebody else's code.
    """

    def __init__(
        self,
        module: str,
        log: Path,
        *,
        environment: dict[str, str] | None = None,
        python: Path | None = None,
        box: Box | None = None,
    ) -> None:
        self.module, self.log, self.box = module, log, box
        self._group, self._has_started = 0, threading.Event()
        self._over = threading.Event()
        self._mark = secrets.token_hex(16)
        with reporting_disk_errors(log):
            log.parent.mkdir(parents=True, exist_ok=True)
            stream = log.open("w+b")
        with stream:
            with reporting_disk_errors(Path(tempfile.gettempdir())):
                self._scratch = Path(tempfile.mkdtemp(prefix="assay-job-"))
            variables = environment_for(box, os.environ, NO_TELEMETRY | (environment or {}), self._scratch)
            _STARTED.add(self)
            self._popen = subprocess.Popen(
                [str(python or sys.executable), "-P", "-m", "assay.box", module],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=stream,
                env=variables | {MARK: self._mark},
                start_new_session=True,
            )
        os.set_blocking(cast("IO[bytes]", self._popen.stdin).fileno(), False)
        self._messages: queue.Queue[Message | WorkerError | None] = queue.Queue(MOST_WAITING)
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    @property
    def pid(self) -> int:
        """Of the module's process."""
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
                f"{self.module} did not take what was sent to it within {limit_seconds:g} s and was killed"
            ) from None
        except (OSError, ValueError) as error:  # a pipe that broke, or that `kill` closed
            raise self._ended() from error

    def receive(self, limit_seconds: float, step: Step | None = None) -> Message:
        """The next message.

        Args:
            step: what the process is at, as it says itself.

        Raises:
            WorkerError: the process ended, or sent nothing or no message within the limit; in the latter cases it is
                killed.
        """
        try:
            message = self._messages.get(timeout=limit_seconds)
        except queue.Empty:
            raise self.late(limit_seconds, step) from None
        if message is None:
            self._deliver(None)
            raise self._ended()
        if isinstance(message, WorkerError):
            self.kill()
            raise message
        return message

    def late(self, limit_seconds: float, step: Step | None = None) -> WorkerError:
        """Kill the process: it took longer than it may."""
        self.kill()
        if step and step.doing:
            return WorkerError(f"{step.doing} did not end within {step.seconds:.3g} s and was given up", remedy=LONGER)
        return WorkerError(f"{self.module} did not answer within {limit_seconds:.0f} s and was killed", remedy=LONGER)

    def refusal(self, message: Message) -> AssayError:
        """The error that the process reported; with what would let it do more, where the box may be the reason."""
        return self._explained(error_from(message))

    def freeze(self) -> None:
        """Stop the process where it is; it uses no processor until `thaw`."""
        self._has_started.wait(START_SECONDS)
        self._signal(signal.SIGSTOP)

    def thaw(self) -> None:
        self._signal(signal.SIGCONT)

    def kill(self) -> None:
        """End the process and all that it started, at once."""
        if self._popen.poll() is None:
            end_tree(self._popen.pid)
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
        stdin = cast("IO[bytes]", self._popen.stdin).fileno()
        poll = select.poll()
        poll.register(stdin, select.POLLOUT)
        left = memoryview(content)
        while left:
            if not poll.poll(max(deadline - time.monotonic(), 0) * 1000):
                raise TimeoutError
            with contextlib.suppress(BlockingIOError):
                left = left[os.write(stdin, left) :]

    def _close_stdin(self) -> None:
        with contextlib.suppress(OSError):  # what was not sent yet has no reader any more
            cast("IO[bytes]", self._popen.stdin).close()

    def _leave(self) -> None:
        """Close what is ours, and take over what the process wrote."""
        self._over.set()
        self._close_stdin()
        self._reader.join(timeout=5)
        if not self._reader.is_alive():
            cast("IO[bytes]", self._popen.stdout).close()
        for folder in (self._scratch, *(self.box.writable if self.box and not self.box.trusted else ())):
            settle(folder)
        shutil.rmtree(self._scratch, ignore_errors=True)
        _STARTED.discard(self)

    def _signal(self, number: signal.Signals) -> None:
        if self._group and self._popen.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._group, number)

    def _read(self) -> None:
        """Deliver every message until the process has no more; what is none is the last."""
        stream = cast("IO[bytes]", self._popen.stdout)
        while line := stream.readline(LINE_BYTES + 1):
            message = self._message(line)
            if isinstance(message, WorkerError) or not self._is_start(message):
                self._deliver(message)
            if isinstance(message, WorkerError):
                return
        self._deliver(None)

    def _is_start(self, message: Message) -> bool:
        """Take the first line, which `assay.box` wrote before the module began."""
        if self._has_started.is_set():
            return False
        self._group = cast("int", message["started"])
        if self.box and self.box.told:
            self.box.told(cast("dict[str, str]", message["box"]))
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
        return cast("Message", message)

    def _deliver(self, message: Message | WorkerError | None) -> None:
        """Wait until there is room; what nobody waits for any more is dropped."""
        while True:
            with contextlib.suppress(queue.Full):
                self._messages.put(message, timeout=0.2)
                return
            if self._over.is_set():
                return

    def _ended(self) -> AssayError:
        try:
            status = self._popen.wait(END_SECONDS)
        except subprocess.TimeoutExpired:
            self.kill()
            return WorkerError(f"{self.module} closed its answers, went on without an end and was killed")
        how = f"was killed by {signal.Signals(-status).name}" if status < 0 else f"ended with status {status}"
        return self._explained(WorkerError(f"{self.module} {how}", found=log_tail(self.log) or None))

    def _explained(self, error: AssayError) -> AssayError:
        """An error with its cause, where that is the disk, or its remedy, where the box is what it may have met."""
        error = instead_of(error, self.log.parent)
        boxed = self.box is not None and not self.box.trusted
        if not boxed or isinstance(error, DiskError) or not HELD_BACK.search(str(error)):
            return error
        return type(error)(error.what, expected=error.expected, found=error.found, remedy=REMEDY)


_STARTED: weakref.WeakSet[Process] = weakref.WeakSet()


def end_all() -> None:
    """Kill every process that was started here and is still there; for the end of the program."""
    for process in list(_STARTED):
        if hasattr(process, "_reader"):
            process.kill()


def log_tail(log: Path) -> str:
    """The last lines of a process's log, on one line; nothing where somebody has removed it."""
    try:
        with log.open("rb") as stream:
            stream.seek(max(log.stat().st_size - LOG_TAIL_BYTES, 0))
            lines = stream.read().decode(errors="replace").splitlines()
    except OSError:
        return ""
    said = (cleaned(line) for line in _without_traceback(lines)[-LOG_LINES_SHOWN:])
    return shortened(" | ".join(line for line in said if line), LOG_CHARACTERS)


def _without_traceback(lines: list[str]) -> list[str]:
    """The lines of a log, with nothing of a traceback but its end: the error; where it came from is in the log."""
    begins = [place for place, line in enumerate(lines) if line.startswith("Traceback (most recent call last)")]
    if not begins:
        return lines
    after = next((place for place in range(begins[-1] + 1, len(lines)) if lines[place][:1].strip()), len(lines))
    return [line for line in lines[: begins[0]] if line[:1].strip()] + lines[after:]


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
    limit_seconds: float,
    silence_seconds: float | None = None,
    on_event: Callable[[Message], None] | None = None,
    environment: dict[str, str] | None = None,
    box: Box | None = None,
) -> Answer:
    """Run one job to its end and return its result.

    A step that it tells of (`assay.steps`) is given up when it takes longer than it may, and the job with it.

    Args:
        limit_seconds: for the whole job.
        silence_seconds: between two messages, of a job that reports often.
        on_event: called with every message before the last.
        box: what it may do, where it runs somebody else's code.

    Raises:
        AssayError: the job's own error, with its exit code.
        WorkerError: the job crashed, was killed, answered what is no answer, or exceeded the limit.
    """
    with started(Process(module, log, environment=environment, box=box)) as process:
        process.send(request, limit_seconds)
        begun = Step("", limit_seconds, time.monotonic() + limit_seconds)
        try:
            return _answer(process, begun, silence_seconds, on_event)
        finally:
            hear(begun)


def _answer(
    process: Process,
    whole: Step,
    silence_seconds: float | None,
    on_event: Callable[[Message], None] | None,
) -> Answer:
    """What the job answers at last, while `whole` is not over, nor the step that it is at."""
    step = whole
    while True:
        left = min(whole.deadline, step.deadline) - time.monotonic()
        if left <= 0:  # one that reports without end is never silent
            raise process.late(whole.seconds, step)
        message = process.receive(min(left, silence_seconds or left), step)
        if told := step_told(message, whole.deadline - time.monotonic()):
            step = told
            hear(step)
        elif "error" in message:
            raise process.refusal(message)
        elif "result" in message:
            return _result(process.module, message["result"])
        elif on_event:
            _tell(on_event, process.module, message)


def _result(module: str, result: JsonValue) -> Answer:
    if not isinstance(result, dict):
        raise WorkerError(f"{module} answered with no result", expected="an object", found=repr(result)[:80])
    return Answer(result)


def _tell(on_event: Callable[[Message], None], module: str, message: Message) -> None:
    try:
        on_event(Answer(message))
    except (LookupError, TypeError, ValueError) as error:
        raise WorkerError(f"{module} reported what is no event", found=repr(message)[:80]) from error


def read_answer(kind: type[Kind], answer: Message, module: str) -> Kind:
    """An answer as the record that it should be.

    Raises:
        WorkerError: it is another one.
    """
    try:
        return TypeAdapter(kind).validate_python(dict(answer))
    except (ValidationError, RecursionError) as error:
        found = mistake_in(error) if isinstance(error, ValidationError) else "an answer that is nested too deeply"
        raise WorkerError(f"{module} gave an answer that is none", found=found) from error


def error_from(message: Message) -> AssayError:
    """The error a job reported, as an error of the same exit code; of no known one, a failure."""
    text = str(message["error"])[:ERROR_CHARACTERS]
    if message.get("disk"):
        return DiskError(text)
    kinds: dict[object, type[AssayError]] = {1: FailedError, 2: InputError, 3: NotInstalledError}
    code = message.get("exit_code")
    kind = kinds.get(code, FailedError) if isinstance(code, int) else FailedError
    return kind(text)
