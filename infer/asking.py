"""What a client that loads a server is to do, and the count of what it got: shared by the kinds of load."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict

from assay.arrays_on_disk import load_array
from assay.errors import FailedError
from assay.jobs import Channel, Message
from assay.served import Records, errors_of
from infer import wire


class Request(BaseModel):
    """What a client is to do; which fields count depends on `do`.

    Attributes:
        do: "closed", "overhead", or one of LoadGen's scenarios.
        records, expected: .npy files of records: of the inputs, and of the outputs that were audited.
        allowed: by output, the largest error of `assay.served.errors_of` that passes.
        arrays: the .npz file to write.
        clients: at the same time.
        rate, bound_ms: queries a second and bound on the 99th percentile, for "Server".
        model, threads: ONNX file and threads of the in-process side, for "overhead".
        logs: folder for LoadGen's own logs.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    do: str
    way: wire.Way
    target: wire.Target
    version: str
    records: Path
    expected: Path
    allowed: dict[str, float]
    arrays: Path
    seconds: float
    seed: int
    clients: int = 1
    rate: float = 0
    bound_ms: float = 0
    model: Path | None = None
    threads: int = 1
    logs: Path | None = None


@dataclass
class Asking:
    """The records, and the count of what was asked and answered wrongly; shared by all threads."""

    request: Request
    records: Records
    expected: Records
    asked: int = 0
    failed: int = 0
    wrong: int = 0
    reasons: list[str] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)

    @classmethod
    def of(cls, request: Request) -> Asking:
        return cls(request, load_array(request.records), load_array(request.expected))

    def connect(self) -> wire.Connection:
        return wire.connect(self.request.way, self.request.target)

    def ask(self, connection: wire.Connection, places: NDArray[np.int64]) -> wire.Answer | None:
        """One request; None when it failed. A wrong answer is counted."""
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

    def result(self) -> Message:
        return {"asked": self.asked, "failed": self.failed, "wrong": self.wrong, "reasons": list(self.reasons)}


@contextmanager
def measured(channel: Channel) -> Iterator[Message]:
    """Say when the measurement begins and ends, and what this process used in between."""
    found: Message = {}
    channel.send({"event": "begin"})
    begun, processor = time.perf_counter_ns(), time.process_time_ns()
    yield found
    wall = time.perf_counter_ns() - begun
    found |= {"wall_ns": wall, "client_use": (time.process_time_ns() - processor) / wall}
    channel.send({"event": "end"})
