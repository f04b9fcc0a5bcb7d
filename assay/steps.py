"""Steps of a job and their time limits: the job reports them to the process that waits for it, and is given up after
that time.

A model that never returns cannot be asked to stop, so the other side enforces the limit and kills the process. The
limit fits the step: that of a call depends on the calls before it, and that of the first on the size of the file. It is
for a machine that is free; `assay.jobs.patience` says what a loaded one has.
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
"""The variable that tells a job how long its user lets one call take."""
CALL_SECONDS = 60.0
"""The limit of a first call, which also traces and compiles. A call of a model with ordinary speed takes a small part
of it.
"""
LOAD_SECONDS = 120.0
"""The limit for importing a framework and making or reading a model."""
LEAST_LOAD_SECONDS, LOADS_SLOWER = 40.0, 20.0
"""Making or reading a model takes at most this many times as long as the import, which takes seconds on an idle
machine.
"""
BYTES_A_SECOND = 10 << 20
"""The speed of the slowest storage: large files are given this much longer."""
SLOWER = 50.0
"""A call takes at most this many times as long, for each of its rows, as the slowest call before it."""
EVALUATOR_SECONDS, EVALUATOR_SLOWER = 120.0, 3000.0
"""An evaluator in Python takes at most this many times as long as ONNX Runtime; 100 to 1,000 times were seen."""
LOST_VARIABLE = "ASSAY_LOST_STEPS"
"""The variable that tells a job which of its steps ended it before, as JSON: the reason by the step's description."""
MOST_SECONDS = 900.0
"""The longest limit of a step whose limit is in proportion to something."""
LONGER = "If the work really takes that long, --call-limit SECONDS allows more"

Message = dict[str, JsonValue]


class LostStepError(ExportFailedError):
    """A step is left out because it ended the process before."""


@dataclass(frozen=True)
class Step:
    """A step of a job.

    Attributes:
        doing: description, such as "the first call of mlp.onnx"; "" where the job has given none.
        seconds: longest time allowed.
        deadline: end of that time where the machine is free, on the clock of `time.monotonic`.
        apart: whether its job can do without it; see `step`.
    """

    doing: str
    seconds: float
    deadline: float
    apart: bool = False


@dataclass(frozen=True)
class Limit:
    """The time limit of a job.

    Attributes:
        doing: description of the whole job, for use where it reports no step: "The export of resnet18 by tf2onnx".
        longer: how a person can allow it more time; "" where nobody can.
    """

    seconds: float
    doing: str
    longer: str = ""


_send: Callable[[Message], None] = lambda message: None  # noqa: E731  outside a job nobody waits
_under_way: list[tuple[Step, float]] = []
"""The steps that this process is in, and the processor time that it had used when each began."""
_listeners: list[Callable[[Step], None]] = []


def tell_steps_to(send: Callable[[Message], None]) -> None:
    """Set where this process's steps are reported from now on."""
    global _send  # noqa: PLW0603  a process is one job
    _send = send


@contextmanager
def step(doing: str, seconds: float, *, apart: bool = False) -> Iterator[None]:
    """Do something that may take so many seconds; a step inside another has a limit of its own.

    Args:
        apart: whether the job can do without it. If a fault in the step ends the process, the job is restarted, and the
            step, which is recognised by its description, raises the reason at once.

    Raises:
        LostStepError: the step ended the process before.
    """
    if apart and doing in _lost():
        raise LostStepError(_lost()[doing])
    _under_way.append((Step(doing, seconds, time.monotonic() + seconds, apart), time.process_time()))
    _send({"step": doing, "seconds": seconds, "apart": apart})
    try:
        yield
    finally:
        _under_way.pop()
        outer, used = _under_way[-1] if _under_way else (Step("", 0.0, 0.0), 0.0)
        late = outer.deadline - time.monotonic(), outer.seconds - (time.process_time() - used)
        _send({"step": outer.doing, "seconds": max(*late, 1.0) if outer.doing else 0.0, "apart": outer.apart})


def _lost() -> dict[str, str]:
    return dict(json.loads(os.environ.get(LOST_VARIABLE, "{}")))


def lost_here(lost: dict[str, str]) -> None:
    """Leave steps out in this process: those that ended another fork of the same work."""
    os.environ |= lost_told(lost)


def lost_told(lost: dict[str, str]) -> dict[str, str]:
    """Return the variable that tells a job which of its steps ended it before."""
    return {LOST_VARIABLE: json.dumps(lost)} if lost else {}


@contextmanager
def heard_by(listener: Callable[[Step], None]) -> Iterator[None]:
    """Let a listener hear about every step of every job that is waited for inside this block."""
    _listeners.append(listener)
    try:
        yield
    finally:
        _listeners.remove(listener)


@contextmanager
def waiting_for(doing: str, seconds: float) -> Iterator[Step]:
    """Wait for something that is not a job, such as a server; listeners hear how long it may still take."""
    waited = Step(doing, seconds, time.monotonic() + seconds)
    hear(waited)
    try:
        yield waited
    finally:
        hear(Step("", seconds, waited.deadline))


def hear(told: Step) -> None:
    """Tell the listeners about a step of a job, or about an empty step where a job has ended."""
    for listener in tuple(_listeners):
        listener(told)


def step_told(message: Message, at_most: float) -> Step | None:
    """Return the step that a job's message reports, None for any other message.

    Args:
        at_most: the job's own limit, which no step exceeds.
    """
    doing, seconds = message.get("step"), message.get("seconds")
    if not isinstance(doing, str) or not isinstance(seconds, int | float) or not seconds >= 0:
        return None
    allowed = min(float(seconds), at_most) if doing else at_most
    return Step(doing[:200], allowed, time.monotonic() + allowed, message.get("apart") is True)


def call_seconds(size: int = 0) -> float:
    """Return how long the first call of a model may take.

    Args:
        size: bytes of its file; 0 where it has none.
    """
    asked = os.environ.get(CALL_VARIABLE, "")
    return float(asked) if asked else CALL_SECONDS + size / BYTES_A_SECOND


def limits_told(asked: float | None) -> dict[str, str]:
    """Return the variable that tells a job the value of --call-limit; empty where the user gave none."""
    return {CALL_VARIABLE: str(asked)} if asked else {}


def load_seconds(size: int = 0, imported: float | None = None) -> float:
    """Return how long reading or making a model may take.

    Args:
        size: bytes of its file.
        imported: seconds that importing its framework took on this machine, if known.
    """
    least = LOAD_SECONDS
    if imported is not None:
        least = min(max(LEAST_LOAD_SECONDS, LOADS_SLOWER * imported), LOAD_SECONDS)
    return max(least, call_seconds()) + 2 * size / BYTES_A_SECOND


def size_of(path: Path) -> int:
    """Return the bytes of a model's file and of the files beside it, or of all files of its folder."""
    files = path.rglob("*") if path.is_dir() else path.parent.glob(f"{path.name}*")
    return sum(one.stat().st_size for one in files if one.is_file())


def in_proportion(seconds: float, times: float, size: int = 0, least: float = 0.0) -> float:
    """Return a limit of so many times `seconds`, and at least that of a first call."""
    least = max(least, call_seconds(size))
    return max(least, min(least + times * seconds, MOST_SECONDS))
