"""What a job is asked and what it answers: declared once, beside the job, and shared by both sides.

A job is a command of a module that runs as a process of its own. Requests, answers and events are records; they cross
in JSON lines, and what is large goes by file. Neither side believes the other: each validates what it gets.
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
    """An answer that only says that it is done."""


@dataclass(frozen=True)
class Served:
    """A job with what does it, on the side of the process.

    Attributes:
        name: of the job in its module.
        work: from the request as it came to the answer as it goes, and may send messages in between.
    """

    name: str
    work: Callable[[JsonValue, Send], Message]


@dataclass(frozen=True)
class Job(Generic[Asked, Answered]):
    """Something that is done in a process of its own.

    Attributes:
        module: runs as that process, see `assay.start`.
        name: tells it from the module's other jobs.
        request, answer: the types of what it is asked and what it answers.
        silence_seconds: between two messages, of one that reports often.
    """

    module: str
    name: str
    request: type[Asked]
    answer: type[Answered]
    silence_seconds: float = field(default=math.inf, kw_only=True)

    def message(self, request: Asked) -> Message:
        """What is sent to the process."""
        return {"job": self.name, "request": request.model_dump(mode="json")}

    def asked(self, request: JsonValue) -> Asked:
        """What is asked for.

        Raises:
            WorkerError: something that this job does not know, as of another version of Assay.
        """
        return read_as(self.request, request, f"{self.module} was asked for what it does not know")

    def answered(self, result: JsonValue) -> Answered:
        """The answer.

        Raises:
            WorkerError: it is another one.
        """
        return read_as(self.answer, result, f"{self.module} gave an answer that is none")

    def done_by(self, work: Callable[[Asked], Answered]) -> Served:
        """The job with what does it."""
        return Served(self.name, lambda request, _: work(self.asked(request)).model_dump(mode="json"))


@dataclass(frozen=True)
class TellingJob(Job[Asked, Answered], Generic[Asked, Answered, Told]):
    """A job that reports its progress.

    Attributes:
        event: the type of what it tells.
    """

    event: type[Told]

    def told_by(self, work: Callable[[Asked, Callable[[Told], None]], Answered]) -> Served:
        """The job with what does it and tells of it."""

        def served(request: JsonValue, send: Send) -> Message:
            asked = self.asked(request)
            return work(asked, lambda event: send({"event": event.model_dump(mode="json")})).model_dump(mode="json")

        return Served(self.name, served)

    def heard_by(self, listener: Callable[[Told], None]) -> Hear:
        """Whoever listens to what it tells, for `assay.jobs.running.run_job`."""
        return lambda event: listener(read_as(self.event, event, f"{self.module} reported what is not an event"))


def read_as(kind: type[Kind], value: JsonValue, wrong: str) -> Kind:
    """A record from what the other side sent.

    Raises:
        WorkerError: it is not such a record; `wrong` says so.
    """
    try:
        return kind.model_validate(value)
    except ValidationError as error:
        raise WorkerError(wrong, found=mistake_in(error)) from error
    except RecursionError as error:
        raise WorkerError(wrong, found="an answer that is nested too deeply") from error
