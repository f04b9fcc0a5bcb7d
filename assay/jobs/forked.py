"""Work in a fork of this process: what it has imported is ready there, and what brings the fork down ends that alone.

The fork tells its news through a pipe. It has limits of its own: addresses beyond those that it begins with, processor
time for each piece of its work, and a longest silence. The last is counted in seconds that this process was awake, so
that a machine's user may stop everything and let it go on later.
"""

from __future__ import annotations

import io
import json
import os
import select
import sys
import traceback
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import IO

from assay.boxed.platform import allow_memory, allow_processor, end_with_parent, forked, status_of
from assay.boxed.processes import end_tree
from assay.errors import WorkerError
from assay.foreign import said_by
from assay.jobs.job import Message, Send
from assay.jobs.killed import KilledError, killed
from assay.jobs.running import error_from
from assay.jobs.serving import Channel, told_of
from assay.steps import lost_here, tell_steps_to

TICK_SECONDS = 1.0


@dataclass(frozen=True)
class Bounds:
    """Limits of a fork.

    Attributes:
        processor_seconds: time on a processor for each piece of work, which begins where the fork calls `Bounds.begin`.
        memory_bytes: addresses beyond those that it begins with.
        silent_seconds: longest time without news, while this process was awake.
    """

    processor_seconds: float
    memory_bytes: int
    silent_seconds: float

    def begin(self) -> None:
        """Begin a piece of work, in the fork."""
        allow_processor(self.processor_seconds)


class SilentError(WorkerError):
    """A fork told nothing for too long, and was ended."""


def in_a_fork(work: Callable[[Send], None], heard: Callable[[Message], None], bounds: Bounds) -> None:
    """Do work in a fork of this process, and hear every message that it sends.

    Steps of the work that end the fork by a fault, and that it can do without, are left out of a further fork, which
    does the work again; see `assay.steps.step`.

    Raises:
        KilledError: a signal ended the fork: SIGXCPU where it used too much time of a processor.
        SilentError: it told nothing for too long.
        WorkerError: it raised something unforeseen.
        AssayError: the work's own error.
    """
    lost: dict[str, str] = {}
    while True:
        try:
            _once(work, heard, bounds, lost)
        except KilledError as error:
            if not (error.apart and error.is_fault and error.doing not in lost):
                raise
            lost[error.doing] = str(error)
        else:
            return


def _once(work: Callable[[Send], None], heard: Callable[[Message], None], bounds: Bounds, lost: dict[str, str]) -> None:
    reading, writing = os.pipe()
    sys.stdout.flush()
    sys.stderr.flush()
    child = forked()
    if not child:
        os.close(reading)
        _work_and_end(work, writing, bounds, lost)
    os.close(writing)
    doing, apart, failed, unforeseen = "", False, None, ""
    try:
        with os.fdopen(reading, "rb") as stream:
            for message in _messages(stream, bounds):
                if "step" in message:
                    doing, apart = str(message["step"]), message.get("apart") is True
                elif "error" in message:
                    failed = error_from(message)
                elif "unforeseen" in message:
                    unforeseen = str(message["unforeseen"])
                else:
                    heard(message)
    except BaseException:
        end_tree(child)
        status_of(child)
        raise
    status = status_of(child)
    if failed:
        raise failed
    if status < 0:
        raise killed(doing or "It", -status, apart=apart)
    if status:
        raise WorkerError(f"{doing or 'It'} ended with an unforeseen error", found=unforeseen or None)


def _messages(stream: IO[bytes], bounds: Bounds) -> Iterator[Message]:
    """Yield messages until the fork has closed its end."""
    silent, rest = 0.0, b""
    while True:
        ready, _, _ = select.select([stream], [], [], TICK_SECONDS)
        if not ready:
            silent += TICK_SECONDS
            if silent > bounds.silent_seconds:
                raise SilentError(f"It told nothing for {bounds.silent_seconds:.0f} s and was ended")
            continue
        silent = 0.0
        read = os.read(stream.fileno(), 1 << 16)
        if not read:
            return
        *lines, rest = (rest + read).split(b"\n")
        yield from (json.loads(line) for line in lines)


def _work_and_end(work: Callable[[Send], None], writing: int, bounds: Bounds, lost: dict[str, str]) -> None:
    """The fork's side, which does not return."""
    status = 1
    try:
        end_with_parent()
        lost_here(lost)
        allow_memory(bounds.memory_bytes)
        channel = Channel(io.StringIO(), os.fdopen(writing, "w", encoding="utf-8"))
        tell_steps_to(channel.send)
        try:
            work(channel.send)
            status = 0
        except Exception as error:  # noqa: BLE001  whatever the work raises is told
            told = told_of(error)
            status = int(told is None)
            if told is None:
                traceback.print_exc()
            channel.send(told or {"unforeseen": f"{type(error).__name__}: {said_by(error)}"})
    except BaseException:  # noqa: BLE001  the fork must not go on as this process
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)
