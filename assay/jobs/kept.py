"""Processes that do one job after the other: what a framework takes to be imported is paid once.

A job that ended well leaves its process to the next one of the same module, kind and environment. After an error, or
where it was ended, there is a fresh process. Jobs that run somebody else's code, or in another environment's Python,
always have a process of their own.
"""

from __future__ import annotations

import itertools
import threading
from collections import defaultdict
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Unpack

from assay.errors import AssayError
from assay.jobs.host import How, Running, Starter, Through
from assay.jobs.job import Message
from assay.jobs.patience import Spent
from assay.store import write_atomically

Place = tuple[str, str, frozenset[tuple[str, str]]]
"""A module, the kind of work, and the environment."""


@dataclass(frozen=True)
class _Idle:
    """A process, and its log."""

    process: Running
    log: Path


@dataclass(frozen=True)
class Kept:
    """The processes of a host that are kept.

    Attributes:
        logs: folder for what they print; the log of a job says which file of these has it.
    """

    host: Starter
    logs: Path
    _idle: dict[Place, list[_Idle]] = field(default_factory=lambda: defaultdict(list))
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _number: Iterator[int] = field(default_factory=itertools.count)
    _starter: ThreadPoolExecutor = field(default_factory=lambda: ThreadPoolExecutor(1, "assay-kept"))
    """The thread that starts the processes: Linux ends a process with the thread that started it."""

    def of(self, kind: str) -> Starter:
        """The host for one kind of work, such as all that is done in one framework."""
        return _OfKind(self.host, self, kind)

    def begin(self, module: str, kind: str, log: Path, environment: Mapping[str, str]) -> Running:
        """A process for a job: one that is idle, or a fresh one."""
        place = (module, kind, frozenset(environment.items()))
        with self._lock:
            idle = self._idle[place].pop() if self._idle[place] else None
        if idle is None:
            name = f"{module.rpartition('.')[0]}-{kind}-{next(self._number)}.log"
            own = self.logs / name
            begun = self._starter.submit(self.host.start, module, own, environment=environment)
            idle = _Idle(begun.result(), own)
        write_atomically(log, f"What this job printed is in {idle.log}\n".encode())
        return _Lent(self, place, idle)

    def take_back(self, place: Place, idle: _Idle) -> None:
        """Keep a process for the next job."""
        with self._lock:
            self._idle[place].append(idle)

    def close(self) -> None:
        """Let all that are idle end, together: a framework takes a second to leave."""
        with self._lock:
            idle = [one for some in self._idle.values() for one in some]
            self._idle.clear()
        if idle:
            with ThreadPoolExecutor(len(idle)) as pool:
                list(pool.map(lambda one: one.process.close(), idle))
        self._starter.shutdown()


@contextmanager
def keeping(host: Starter, logs: Path) -> Iterator[Kept]:
    """Keep the processes of a host inside the block."""
    kept = Kept(host, logs)
    try:
        yield kept
    finally:
        kept.close()


@dataclass(frozen=True)
class _OfKind(Through):
    """See `Kept.of`."""

    kept: Kept
    kind: str

    def start(self, module: str, log: Path, **how: Unpack[How]) -> Running:
        """See `assay.jobs.host.Starter`."""
        if how.get("python") or how.get("box"):
            return self.host.start(module, log, **how)
        return self.kept.begin(module, self.kind, log, how.get("environment") or {})


@dataclass(frozen=True)
class _Lent:
    """A kept process while it does one job; see `assay.jobs.host.Running`."""

    kept: Kept
    place: Place
    idle: _Idle

    @property
    def module(self) -> str:
        return self.idle.process.module

    def send(self, message: Message, limit_seconds: float) -> None:
        self.idle.process.send(message, limit_seconds)

    def receive(self, limit_seconds: float) -> Message:
        return self.idle.process.receive(limit_seconds)

    def explained(self, error: AssayError) -> AssayError:
        return self.idle.process.explained(error)

    def spent(self) -> Spent:
        return self.idle.process.spent()

    def freeze(self) -> None:
        self.idle.process.freeze()

    def thaw(self) -> None:
        self.idle.process.thaw()

    def kill(self) -> None:
        self.idle.process.kill()

    def close(self) -> None:
        """Give it back."""
        self.kept.take_back(self.place, self.idle)
