"""The process's side: it receives requests as JSON lines on its standard input, and answers in JSON lines.

Frameworks print what they like: the original standard output is kept apart for the answers, and everything else goes to
the log. Standard input is kept apart too, so that a user's code that reads it finds its end and no request of ours.
"""

from __future__ import annotations

import json
import os
from typing import IO

from assay.boxed.platform import end_with_parent
from assay.errors import AssayError, DiskError, WorkerError
from assay.files.disk import disk_error_in
from assay.jobs.job import Message, Served
from assay.steps import tell_steps_to


class Channel:
    """The streams for a process's requests and answers."""

    def __init__(self, requests: IO[str], stream: IO[str]) -> None:
        self.requests, self._stream = requests, stream

    def send(self, message: Message) -> None:
        """Send one message; the reader sees it at once."""
        self._stream.write(json.dumps(message) + "\n")
        self._stream.flush()


def open_channel() -> Channel:
    """Take over standard input for requests and standard output for answers, and end with the parent.

    Anything printed afterwards, by Python or by native code, goes to standard error, and TensorFlow prints what is
    wrong alone.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    end_with_parent()
    requests, answers = os.dup(0), os.dup(1)
    os.dup2(2, 1)
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    return Channel(os.fdopen(requests, encoding="utf-8"), os.fdopen(answers, "w", encoding="utf-8"))


def serve_job(*jobs: Served) -> None:
    """Do the jobs that standard input asks for, one after the other, and send each answer or the error it raised.

    The process exits when standard input ends. Most are asked for one job; see `assay.jobs.kept` for the others.
    """
    channel = open_channel()
    tell_steps_to(channel.send)
    for line in channel.requests:
        _answer(line, jobs, channel)


def serve_commands(*commands: Served) -> None:
    """Answer one command after another until standard input ends."""
    channel = open_channel()
    for line in channel.requests:
        _answer(line, commands, channel)


def _answer(line: str, jobs: tuple[Served, ...], channel: Channel) -> None:
    try:
        message = json.loads(line)
        served = next((one for one in jobs if one.name == message["job"]), None)
        if served is None:
            raise WorkerError("This job is unknown", expected=", ".join(one.name for one in jobs))
        channel.send({"result": served.work(message["request"], channel.send)})
    except Exception as error:
        told = told_of(error)
        if told is None:
            raise
        channel.send(told)


def told_of(error: Exception) -> Message | None:
    """Return the message that reports an error: one of ours, or the disk's behind any other; None for an unforeseen
    one.
    """
    error = disk_error_in(error) or error
    if not isinstance(error, AssayError):
        return None
    kinds = {"disk": isinstance(error, DiskError), "worker": isinstance(error, WorkerError)}
    return {"error": str(error), "exit_code": error.exit_code, **kinds}
