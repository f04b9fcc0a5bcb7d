"""A job that does what the tests of `assay.jobs` ask it to."""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path

from assay.errors import InputError
from assay.jobs.job import TellingJob
from assay.jobs.process import Process
from assay.jobs.serving import serve_job
from assay.records.base import Record
from assay.steps import LostStepError, step


class Deed(Record):
    """An action and its argument."""

    do: str
    to: int = 0
    seconds: float = 0.0
    log: Path | None = None


class Outcome(Record):
    """The outcome of an action."""

    sum: int = 0
    version: str = ""


class At(Record):
    """The progress, or the process that it started."""

    at: int = 0
    child: int = 0


SMALL = TellingJob("tests.assay.small_job", "deed", Deed, Outcome, At)
Tell = Callable[[At], None]


def count(request: Deed, tell: Tell) -> Outcome:
    numbers = range(1, request.to + 1)
    for number in numbers:
        tell(At(at=number))
    return Outcome(sum=sum(numbers))


def print_lines(request: Deed, tell: Tell) -> Outcome:
    sys.stdout.write("{this is not an answer}\n")
    sys.stdout.flush()
    os.write(1, b"{nor is this}\n")
    return Outcome()


def import_onnxruntime(request: Deed, tell: Tell) -> Outcome:
    import onnxruntime  # noqa: PLC0415

    return Outcome(version=onnxruntime.__version__)


def tell_threads(request: Deed, tell: Tell) -> Outcome:
    """The number of threads that a library with a spinning thread pool would have."""
    return Outcome(version=os.environ.get("OMP_NUM_THREADS", "as many as cores"))


def tell_process(request: Deed, tell: Tell) -> Outcome:
    """The id of this process, written to the log too."""
    sys.stderr.write(f"process {os.getpid()}\n")
    sys.stderr.flush()
    return Outcome(sum=os.getpid())


def refuse(request: Deed, tell: Tell) -> Outcome:
    raise InputError("a bad value", expected="good", found="bad")


def crash(request: Deed, tell: Tell) -> Outcome:
    os.kill(os.getpid(), signal.SIGSEGV)
    return Outcome()


def hang(request: Deed, tell: Tell) -> Outcome:
    time.sleep(600)
    return Outcome()


def linger(request: Deed, tell: Tell) -> Outcome:
    """Hang in the second of two steps."""
    with step("The first thing", 60):
        tell(At(at=1))
    with step("The second thing", request.seconds):
        time.sleep(600)
    return Outcome()


def fault(request: Deed, tell: Tell) -> Outcome:
    """End by the signal `to` in two of three optional steps; the answer says what it gave up and why."""
    done, lost = 0, []
    for number in (1, 2, 3):
        try:
            with step(f"Try {number}", 60, apart=True):
                if number < 3:
                    os.kill(os.getpid(), request.to)
                done += 1
        except LostStepError as error:
            lost.append(str(error))
    return Outcome(sum=done, version=" / ".join(lost))


def spin(request: Deed, tell: Tell) -> Outcome:
    tell(At())
    while True:
        pass


def parent(request: Deed, tell: Tell) -> Outcome:
    """Leave a frozen child behind when killed."""
    child = Process(SMALL.module, request.log or Path("log"))
    child.send(SMALL.message(Deed(do="spin")))
    child.receive(30)
    child.freeze()
    tell(At(child=child.pid))
    return hang(request, tell)


def devices(request: Deed, tell: Tell) -> Outcome:
    """The variables here from which frameworks read which devices they may use."""
    names = ("CUDA_VISIBLE_DEVICES", "JAX_PLATFORMS")
    return Outcome(version=" ".join(f"{name}={os.environ.get(name, 'not set')}" for name in names))


DEEDS = {
    "devices": devices,
    "count": count,
    "print": print_lines,
    "onnxruntime": import_onnxruntime,
    "refuse": refuse,
    "threads": tell_threads,
    "process": tell_process,
    "raise": lambda request, tell: Outcome(sum=int(1 / 0)),
    "crash": crash,
    "hang": hang,
    "fault": fault,
    "linger": linger,
    "spin": spin,
    "parent": parent,
}


if __name__ == "__main__":
    serve_job(SMALL.told_by(lambda request, tell: DEEDS[request.do](request, tell)))
