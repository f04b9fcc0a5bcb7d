"""The request and the answer of a job, declared once, beside the job, and shared by both sides.

A job is a command of a module that runs as a process of its own. Requests, answers and events are records; they are
sent as JSON lines, and large content goes by file. Neither side trusts the other: each validates what it receives.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from pydantic import JsonValue, ValidationError

from assay.errors import WorkerError
from assay.files.mistakes import mistake_in
from assay.records.base import Record

Message = dict[str, JsonValue]
Kind = TypeVar("Kind", bound=Record)
Asked = TypeVar("Asked", bound=Record)
Answered = TypeVar("Answered", bound=Record)
Told = TypeVar("Told", bound=Record)
Send = Callable[[Message], None]
Hear = Callable[[JsonValue], None]


class Nothing(Record):
    """An answer that only says that the work is done."""


@dataclass(frozen=True)
class Served:
    """A job together with the function that does it, on the process's side.

    Attributes:
        name: name of the job in its module.
        work: turns the raw request into the raw answer, and may send messages meanwhile.
    """

    name: str
    work: Callable[[JsonValue, Send], Message]


@dataclass(frozen=True)
class Job(Generic[Asked, Answered]):
    """A piece of work that is done in a process of its own.

    Attributes:
        module: the module that runs as that process; see `assay.start`.
        name: name that tells it from the module's other jobs.
        request, answer: types of its request and its answer.
        silence_seconds: longest time between two messages of a job that reports often.
        sees_gpu: whether its frameworks may take a GPU, or it hides that itself; a GPU is hidden from all other jobs.
    """

    module: str
    name: str
    request: type[Asked]
    answer: type[Answered]
    silence_seconds: float = field(default=math.inf, kw_only=True)
    sees_gpu: bool = field(default=False, kw_only=True)

    def message(self, request: Asked) -> Message:
        """Return the message that is sent to the process."""
        return {"job": self.name, "request": request.model_dump(mode="json")}

    def asked(self, request: JsonValue) -> Asked:
        """Validate and return the request.

        Raises:
            WorkerError: this job does not know the request, which may come from another version of Assay.
        """
        return read_as(self.request, request, f"{self.module} received a request that it cannot read")

    def answered(self, result: JsonValue) -> Answered:
        """Validate and return the answer.

        Raises:
            WorkerError: it is not an answer of this job.
        """
        return read_as(self.answer, result, f"{self.module} gave an answer that cannot be read")

    def done_by(self, work: Callable[[Asked], Answered]) -> Served:
        """Return the job with the function that does it."""
        return Served(self.name, lambda request, _: work(self.asked(request)).model_dump(mode="json"))


@dataclass(frozen=True)
class TellingJob(Job[Asked, Answered], Generic[Asked, Answered, Told]):
    """A job that reports its progress.

    Attributes:
        event: type of the events that it reports.
    """

    event: type[Told]

    def told_by(self, work: Callable[[Asked, Callable[[Told], None]], Answered]) -> Served:
        """Return the job with the function that does it and reports events."""

        def served(request: JsonValue, send: Send) -> Message:
            asked = self.asked(request)
            return work(asked, lambda event: send({"event": event.model_dump(mode="json")})).model_dump(mode="json")

        return Served(self.name, served)

    def heard_by(self, listener: Callable[[Told], None]) -> Hear:
        """Wrap a listener to its events, for `assay.jobs.running.run_job`."""
        return lambda event: listener(
            read_as(self.event, event, f"{self.module} reported something that is not an event")
        )


def read_as(kind: type[Kind], value: JsonValue, wrong: str) -> Kind:
    """Validate a record that the other side sent.

    Raises:
        WorkerError: it is not such a record; `wrong` says so.
    """
    try:
        return kind.model_validate(value)
    except ValidationError as error:
        raise WorkerError(wrong, found=mistake_in(error)) from error
    except RecursionError as error:
        raise WorkerError(wrong, found="an answer that is nested too deeply") from error
