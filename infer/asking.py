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

from assay.errors import FailedError
from assay.jobs import Channel, Message
from infer import wire


class Request(BaseModel):
    """What a client is to do; which fields count depends on `do`.

    Attributes:
        do: "closed", "overhead", or one of LoadGen's scenarios.
        images, expected: .npy files: uint8 (count, H, W, C), and the audited float32 (count, classes).
        arrays: the .npz file to write.
        clients: at the same time.
        rate, bound_ms: queries a second and bound on the 99th percentile, for "Server".
        model, threads: ONNX file and threads of the in-process side, for "overhead".
        logs: folder for LoadGen's own logs.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    do: str
    way: wire.Way
    http: str
    grpc: str
    names: tuple[str, str, str, str]
    classes: int
    most_images: int
    version: str
    images: Path
    expected: Path
    tolerance: float
    arrays: Path
    seconds: float
    seed: int
    clients: int = 1
    rate: float = 0
    bound_ms: float = 0
    model: Path | None = None
    threads: int = 1
    logs: Path | None = None

    @property
    def target(self) -> wire.Target:
        model, image, probabilities, label = self.names
        return wire.Target(self.http, self.grpc, model, image, probabilities, label, self.classes, self.most_images)


@dataclass
class Asking:
    """The images, and the count of what was asked and answered wrongly; shared by all threads."""

    request: Request
    images: wire.Images
    expected: NDArray[np.float32]
    asked: int = 0
    failed: int = 0
    wrong: int = 0
    reasons: list[str] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)

    @classmethod
    def of(cls, request: Request) -> Asking:
        return cls(request, np.load(request.images, allow_pickle=False), np.load(request.expected, allow_pickle=False))

    def connect(self) -> wire.Connection:
        return wire.connect(self.request.way, self.request.target)

    def ask(self, connection: wire.Connection, places: NDArray[np.int64]) -> wire.Answer | None:
        """One request; None when it failed. A wrong answer is counted."""
        with self.lock:
            self.asked += 1
        try:
            answer = connection.ask(np.ascontiguousarray(self.images[places]), str(places[0]))
        except FailedError as error:
            with self.lock:
                self.failed += 1
                self.reasons = [*self.reasons, str(error)][:3]
            return None
        wrong = ~(np.abs(answer.probabilities - self.expected[places]) <= self.request.tolerance).all(axis=1)
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
