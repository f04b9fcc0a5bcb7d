"""The work of a client that loads a server, and the count of its results: shared by all kinds of load."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from assay.errors import FailedError
from assay.files.arrays import load_array
from assay.infer import wire
from assay.infer.load.load_jobs import LoadAnswer, LoadRequest, Moment
from assay.numerics.served import Records, errors_of

Tell = Callable[[Moment], None]


@dataclass
class Asking:
    """The records, and counts of requests and of wrong answers; shared by all threads."""

    request: LoadRequest
    records: Records
    expected: Records
    asked: int = 0
    failed: int = 0
    wrong: int = 0
    reasons: list[str] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)

    @classmethod
    def of(cls, request: LoadRequest) -> Asking:
        """Return the work of a request, with its records and expected answers read.

        Raises:
            ArtifactError: they cannot be read.
        """
        return cls(request, load_array(request.records), load_array(request.expected))

    def connect(self) -> wire.Connection:
        """Connect to the server.

        Raises:
            FailedError: it does not answer.
        """
        return wire.connect(self.request.way, self.request.target)

    def ask(self, connection: wire.Connection, places: NDArray[np.int64]) -> wire.Answer | None:
        """Send one request; return None if it failed. A wrong answer is counted."""
        with self.lock:
            self.asked += 1
        try:
            answer = connection.ask(self.records[places], str(places[0]))
        except FailedError as error:
            with self.lock:
                self.failed += 1
                self.reasons = [*self.reasons, str(error)][:3]
            return None
        expected, wrong = self.expected[places], np.zeros(len(places), bool)
        for output in self.request.target.outputs:
            wrong |= errors_of(answer.outputs, expected, output) > self.request.allowed[output.name]
        if wrong.any():
            with self.lock:
                self.wrong += int(wrong.sum())
        return answer

    def answer(self, use: Use) -> LoadAnswer:
        """Return the result of the measurement."""
        return LoadAnswer(
            asked=self.asked,
            failed=self.failed,
            wrong=self.wrong,
            reasons=list(self.reasons),
            wall_ns=use.wall_ns,
            client_use=use.processor_ns / use.wall_ns,
        )


@dataclass
class Use:
    """Wall and processor time of this process during a measurement."""

    wall_ns: int = 0
    processor_ns: int = 0


@contextmanager
def measured(tell: Tell) -> Iterator[Use]:
    """Report when the measurement begins and ends, and measure what this process used in between."""
    found = Use()
    tell(Moment(moment="begin"))
    begun, processor = time.perf_counter_ns(), time.process_time_ns()
    yield found
    found.wall_ns = time.perf_counter_ns() - begun
    found.processor_ns = time.process_time_ns() - processor
    tell(Moment(moment="end"))
