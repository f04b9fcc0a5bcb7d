"""Run a job to its end, or ask a worker: the conductor's use of the processes that a host starts.

A job gets one request, may report events, and ends with one answer or one error.
"""

from __future__ import annotations

import contextlib
import math
import time
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path

from assay.boxed.boxing import Box
from assay.errors import AssayError, DiskError, FailedError, InputError, NotInstalledError, WorkerError
from assay.jobs.files import mapped, written_by
from assay.jobs.host import Running, Starter
from assay.jobs.job import Answered, Asked, Hear, Job, Message
from assay.jobs.killed import KilledError, killed
from assay.jobs.patience import Patience
from assay.jobs.process import HERE
from assay.records.base import Record
from assay.spec import CPU_ONLY
from assay.steps import LONGER, Limit, Step, hear, lost_told, step_told

SEND_SECONDS = 60.0
ERROR_CHARACTERS = 10_000
MOST_LOST = 6
"""The most steps that a job is restarted without."""


class LateError(WorkerError):
    """A process took longer than it may, or hung; see `assay.jobs.patience`."""


def run_job(
    job: Job[Asked, Answered],
    request: Asked,
    log: Path,
    *,
    limit_seconds: float | Limit,
    heard: Hear | None = None,
    environment: Mapping[str, str] | None = None,
    box: Box | None = None,
    host: Starter = HERE,
) -> Answered:
    """Run one job to its end and return its answer.

    A step that the job reports (`assay.steps`) is given up when it takes longer than it may, and the job with it; see
    `assay.jobs.patience`. Where a fault in a step that it can do without ends its process, the job is restarted without
    that step.

    Args:
        log: file that takes everything it prints.
        limit_seconds: limit for the whole job on a machine that is free, with a description of its work if it reports
            no steps.
        heard: listener to its events; see `assay.jobs.job.TellingJob.heard_by`.
        environment: variables to set in addition to the conductor's own.
        box: limits on the job, where it runs somebody else's code.
        host: the host that runs it.

    Raises:
        AssayError: the job's own error, with its exit code.
        WorkerError: the job crashed, was killed, gave an answer that is not one, or exceeded the limit.
    """
    limit = limit_seconds if isinstance(limit_seconds, Limit) else Limit(limit_seconds, "", LONGER)
    lost: dict[str, str] = {}
    while True:
        told = {**({} if job.sees_gpu else CPU_ONLY), **(environment or {}), **lost_told(lost)}
        try:
            with started(host.start(job.module, log, environment=told, box=box)) as process:
                return _answered(process, job, request, limit, heard, host)
        except KilledError as error:
            again = error.apart and error.is_fault and error.doing not in lost and len(lost) < MOST_LOST
            if not again:
                raise
            lost[error.doing] = str(error)


def _answered(
    process: Running, job: Job[Asked, Answered], request: Asked, limit: Limit, heard: Hear | None, host: Starter
) -> Answered:
    """Return the answer of a process that does one job; see `run_job`."""
    process.send(job.message(mapped(request, host.there)), limit.seconds)
    whole = Step(limit.doing, limit.seconds, time.monotonic() + limit.seconds)
    if limit.doing:
        hear(whole)
    try:
        message = _result(process, whole, job.silence_seconds, heard)
    except LateError as error:
        raise LateError(error.what, remedy=limit.longer or None) from None
    finally:
        hear(replace(whole, doing=""))
        _fetch(request, host)
    return _as_here(job.answered(message["result"]), host)


def tell_to(process: Running, command: Job[Asked, Answered], request: Asked, host: Starter) -> None:
    """Tell a worker to do a command, without waiting for it.

    Args:
        host: the host that started it.
    """
    process.send(command.message(mapped(request, host.there)), SEND_SECONDS)


def answer_to(
    process: Running,
    command: Job[Asked, Answered],
    request: Asked,
    host: Starter,
    *,
    limit_seconds: float,
    clock_seconds: float = math.inf,
    doing: str = "",
) -> Answered:
    """Return a worker's answer to an earlier command.

    Args:
        host: the host that started it.
        limit_seconds, clock_seconds: see `assay.jobs.patience.Patience`.
        doing: description of the command, for the error of one that takes too long.

    Raises:
        AssayError: the worker's own error.
        WorkerError: it crashed, or did not answer in time and was killed.
    """
    patience = Patience(limit_seconds, process.spent, clock_seconds)
    while (answer := answer_within(math.inf, process, command, request, host, patience, doing)) is None:
        pass
    return answer


def answer_within(
    seconds: float,
    process: Running,
    command: Job[Asked, Answered],
    request: Asked,
    host: Starter,
    patience: Patience,
    doing: str = "",
) -> Answered | None:
    """Return a worker's answer if it comes within so many seconds, and within the patience that there is with it;
    otherwise None. See `answer_to`.
    """
    try:
        message = process.receive(min(seconds, patience.due))
    except TimeoutError:
        if why := patience.over():
            raise _given_up(process, doing, why) from None
        return None
    if "error" in message:
        raise process.explained(error_from(message))
    _fetch(request, host)
    return _as_here(command.answered(message.get("result")), host)


def _fetch(request: Record, host: Starter) -> None:
    """Bring the files that a process wrote."""
    for path in written_by(request):
        host.fetch(path)


def _as_here(answer: Answered, host: Starter) -> Answered:
    """Return an answer with the conductor's own paths."""
    return mapped(answer, lambda path, _: host.here(path))


@contextlib.contextmanager
def started(process: Running) -> Iterator[Running]:
    """Close the process after the block; kill it if an error or an interruption leaves the block."""
    try:
        yield process
    except BaseException:
        process.kill()
        raise
    process.close()


def _given_up(process: Running, doing: str, why: str) -> LateError:
    """Kill a process that took longer than it may, and return the error.

    Args:
        doing: the work that it was doing; "" where that is unknown.
        why: see `Patience.over`.
    """
    process.kill()
    return LateError(f"{doing or process.module} {why}", remedy=LONGER)


def _result(process: Running, whole: Step, silence_seconds: float, heard: Hear | None) -> Message:
    """Return the message with the job's result, within the limits of the `whole` job, of its current step, and of its
    silence.
    """
    step, spent = whole, process.spent
    job = now = Patience(whole.seconds, spent)
    silence = Patience(silence_seconds, spent)
    while True:
        for patience in (job, now, silence):  # the job's too where it reports without end
            if why := patience.over():
                raise _given_up(process, step.doing, why)
        try:
            message = process.receive(min(job.due, now.due, silence.due))
        except TimeoutError:
            continue
        except KilledError as error:
            doing = step.doing or error.doing
            raise killed(doing, error.number, error.said, apart=step.apart, remedy=error.remedy) from None
        silence = Patience(silence_seconds, spent)
        if told := step_told(message, whole.seconds):
            step = told if told.doing else whole
            now = Patience(step.seconds, spent) if told.doing else job
            hear(step)
        elif "error" in message:
            raise process.explained(error_from(message))
        elif "result" in message:
            return message
        elif "event" in message and heard:
            heard(message["event"])


def error_from(message: Message) -> AssayError:
    """Return the error a job reported, with the same exit code; an unknown code becomes a failure.

    An error of the disk, or of a process that the job had started itself, stays one.
    """
    text = str(message["error"])[:ERROR_CHARACTERS]
    if message.get("disk"):
        return DiskError(text)
    if message.get("worker"):
        return WorkerError(text)
    kinds: dict[object, type[AssayError]] = {1: FailedError, 2: InputError, 3: NotInstalledError}
    code = message.get("exit_code")
    kind = kinds.get(code, FailedError) if isinstance(code, int) else FailedError
    return kind(text)
