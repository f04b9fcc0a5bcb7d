"""What a job is doing and how long that may take: it tells whoever waits for it, who gives it up after that time.

A model that never returns cannot be asked to stop, so the limit is held by the other side, which kills the process. It
is as long as the step it is for: a call is measured by the calls before it, and the first by the size of its file.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from pydantic import JsonValue

from assay.errors import ExportFailedError

CALL_VARIABLE = "ASSAY_CALL_SECONDS"
"""Tells a job how long its user lets one call take."""
CALL_SECONDS = 60.0
"""The limit of a first call, which also traces and compiles. A call of a model asked for by the second takes a small
part of it.
"""
LOAD_SECONDS = 120.0
"""The limit for importing a framework and making or reading a model."""
LEAST_LOAD_SECONDS, LOADS_SLOWER = 40.0, 20.0
"""Making or reading a model takes at most this many times as long as the import, which on an idle machine is
seconds.
"""
BYTES_A_SECOND = 10 << 20
"""The speed of the slowest storage, which a file may take longer for."""
SLOWER = 50.0
"""A call takes at most this many times as long, for each of its rows, as the slowest before it."""
EVALUATOR_SECONDS, EVALUATOR_SLOWER = 120.0, 3000.0
"""An evaluator in Python takes at most this many times as long as ONNX Runtime; 100 to 1,000 times were seen."""
LOST_VARIABLE = "ASSAY_LOST_STEPS"
"""Tells a job which of its steps ended it before, as JSON: by what they do, the reason."""
MOST_SECONDS = 900.0
"""The longest limit of whatever is in proportion to something else."""
LONGER = "If the work is really that long, --call-limit SECONDS allows more"

Message = dict[str, JsonValue]


class LostStepError(ExportFailedError):
    """A step is left out, as it ended the process before."""


@dataclass(frozen=True)
class Step:
    """What a job is doing.

    Attributes:
        doing: in words, such as "the first call of mlp.onnx"; "" where it has not said.
        seconds: how long it may take.
        deadline: until when, on the clock of `time.monotonic`.
        apart: its job does without it, see `step`.
    """

    doing: str
    seconds: float
    deadline: float
    apart: bool = False


@dataclass(frozen=True)
class Limit:
    """How long a job may take.

    Attributes:
        doing: what it is at where it tells of no step, for whoever waits: "The export of resnet18 by tf2onnx".
        longer: how a person allows it more time; "" where nobody can.
    """

    seconds: float
    doing: str
    longer: str = ""


_send: Callable[[Message], None] = lambda message: None  # noqa: E731  nobody waits for what is not a job
_under_way: list[Step] = []
_listeners: list[Callable[[Step], None]] = []


def tell_steps_to(send: Callable[[Message], None]) -> None:
    """Where this process's steps are told from now on."""
    global _send  # noqa: PLW0603  a process is one job
    _send = send


@contextmanager
def step(doing: str, seconds: float, *, apart: bool = False) -> Iterator[None]:
    """Do something that may take so many seconds; one inside of another has a limit of its own.

    Args:
        apart: the job does without it. Where the process is ended by a fault in here, the job is begun again, and this
            step, which is told from others by what it does, raises the reason at once.

    Raises:
        LostStepError: it ended the process before.
    """
    if apart and doing in _lost():
        raise LostStepError(_lost()[doing])
    _under_way.append(Step(doing, seconds, time.monotonic() + seconds, apart))
    _send({"step": doing, "seconds": seconds, "apart": apart})
    try:
        yield
    finally:
        _under_way.pop()
        outer = _under_way[-1] if _under_way else Step("", 0.0, 0.0)
        left = max(outer.deadline - time.monotonic(), 1.0) if outer.doing else 0.0
        _send({"step": outer.doing, "seconds": left, "apart": outer.apart})


def _lost() -> dict[str, str]:
    return dict(json.loads(os.environ.get(LOST_VARIABLE, "{}")))


def lost_told(lost: dict[str, str]) -> dict[str, str]:
    """The variable that tells a job which of its steps ended it before."""
    return {LOST_VARIABLE: json.dumps(lost)} if lost else {}


@contextmanager
def heard_by(listener: Callable[[Step], None]) -> Iterator[None]:
    """Let somebody hear about every step of every job that is waited for inside this block."""
    _listeners.append(listener)
    try:
        yield
    finally:
        _listeners.remove(listener)


@contextmanager
def waiting_for(doing: str, seconds: float) -> Iterator[Step]:
    """Wait here for something that is not a job, such as a server; whoever listens hears how long it may still take."""
    waited = Step(doing, seconds, time.monotonic() + seconds)
    hear(waited)
    try:
        yield waited
    finally:
        hear(Step("", seconds, waited.deadline))


def hear(told: Step) -> None:
    """Tell those who listen about a step of a job, or about an empty step where a job has ended."""
    for listener in tuple(_listeners):
        listener(told)


def step_told(message: Message, at_most: float) -> Step | None:
    """The step that a job's message tells, None of any other message.

    Args:
        at_most: seconds that are left of the job's own limit, which no step exceeds.
    """
    doing, seconds = message.get("step"), message.get("seconds")
    if not isinstance(doing, str) or not isinstance(seconds, int | float) or not seconds >= 0:
        return None
    allowed = min(float(seconds), at_most) if doing else at_most
    return Step(doing[:200], allowed, time.monotonic() + allowed, message.get("apart") is True)


def call_seconds(size: int = 0) -> float:
    """How long the first call of a model may take.

    Args:
        size: of its file, in bytes; 0 where it has none.
    """
    asked = os.environ.get(CALL_VARIABLE, "")
    return float(asked) if asked else CALL_SECONDS + size / BYTES_A_SECOND


def limits_told(asked: float | None) -> dict[str, str]:
    """The variable that tells a job what its user asked for with --call-limit; none where nothing was asked."""
    return {CALL_VARIABLE: str(asked)} if asked else {}


def load_seconds(size: int = 0, imported: float | None = None) -> float:
    """How long a model may take to be read or made.

    Args:
        size: of its file, in bytes.
        imported: what it took on this machine to import its framework, where that was done before.
    """
    least = LOAD_SECONDS
    if imported is not None:
        least = min(max(LEAST_LOAD_SECONDS, LOADS_SLOWER * imported), LOAD_SECONDS)
    return max(least, call_seconds()) + 2 * size / BYTES_A_SECOND


def size_of(path: Path) -> int:
    """Bytes of a model's file, with what lies beside it, or of all files of its folder."""
    files = path.rglob("*") if path.is_dir() else path.parent.glob(f"{path.name}*")
    return sum(one.stat().st_size for one in files if one.is_file())


def in_proportion(seconds: float, times: float, size: int = 0, least: float = 0.0) -> float:
    """A limit for what takes so many times as long as something that took `seconds`; at least that of a first call."""
    least = max(least, call_seconds(size))
    return max(least, min(least + times * seconds, MOST_SECONDS))
