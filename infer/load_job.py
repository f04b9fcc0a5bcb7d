"""A client that loads a server, in a process of its own: `python -P -m infer.load_job`.

Every answer is held against the audited one of its image. What is measured goes back by a file of arrays.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict

from assay.errors import FailedError
from assay.jobs import Channel, Message, serve_job
from infer import wire

WARM_UP_REQUESTS = 20
BLOCKS = 8
BURST_CALLS = 20
FAILURES_BORNE = 20
"""After so many a client gives up: a server that is gone is not asked a million times."""


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


def closed_loop(request: Request, channel: Channel) -> Message:
    """Some clients for some seconds, each asking for the next image when it has the last one's answer."""
    asking = Asking.of(request)
    rows: list[tuple[int, int, int]] = []
    barrier, start = threading.Barrier(request.clients + 1), threading.Event()
    ends: list[int] = []

    def client(number: int) -> None:
        random = np.random.default_rng((request.seed, number))
        connection = asking.connect()
        for _ in range(WARM_UP_REQUESTS):
            asking.ask(connection, random.integers(0, len(asking.images), 1))
        barrier.wait()
        start.wait()
        mine: list[tuple[int, int, int]] = []
        while time.perf_counter_ns() < ends[0] and asking.failed < FAILURES_BORNE:
            answer = asking.ask(connection, random.integers(0, len(asking.images), 1))
            if answer is not None:
                mine.append((answer.begun_ns, answer.wire_ns, answer.client_ns))
        rows.extend(mine)
        connection.close()

    threads = [threading.Thread(target=client, args=(number,)) for number in range(request.clients)]
    for thread in threads:
        thread.start()
    barrier.wait()
    before = wire.statistics(request.target, request.version)
    channel.send({"event": "begin"})
    begun, processor = time.perf_counter_ns(), time.process_time_ns()
    ends.append(begun + int(request.seconds * 1e9))
    start.set()
    for thread in threads:
        thread.join()
    wall, processor = time.perf_counter_ns() - begun, time.process_time_ns() - processor
    channel.send({"event": "end"})
    table = np.array(sorted(rows), np.int64).reshape(-1, 3)
    np.savez(request.arrays, begun_ns=table[:, 0] - begun, wire_ns=table[:, 1], client_ns=table[:, 2])
    return {
        **asking.result(),
        "wall_ns": wall,
        "client_use": processor / wall,
        "statistics": _grown(before, wire.statistics(request.target, request.version)),
    }


def overhead(request: Request, channel: Channel) -> Message:
    """Bursts of single images by the server and by onnxruntime here, in random order within each block."""
    from infer.on_ort_served import open_served  # noqa: PLC0415  a framework, wanted for this alone

    asking = Asking.of(request)
    connection = asking.connect()
    here = open_served(cast("Path", request.model), request.threads, request.names[1:])
    random = np.random.default_rng(request.seed)

    def served(place: int) -> int:
        answer = asking.ask(connection, np.array([place]))
        return 0 if answer is None else answer.total_ns

    def in_process(place: int) -> int:
        image = asking.images[place : place + 1]
        begun = time.perf_counter_ns()
        here(image)
        return time.perf_counter_ns() - begun

    sides: tuple[Callable[[int], int], ...] = (served, in_process)
    for place in range(WARM_UP_REQUESTS):
        for side in sides:
            side(place % len(asking.images))
    found: tuple[list[list[int]], list[list[int]]] = ([], [])
    channel.send({"event": "begin"})
    deadline = time.perf_counter() + request.seconds
    while time.perf_counter() < deadline and asking.failed < FAILURES_BORNE:
        places = random.integers(0, len(asking.images), BURST_CALLS)
        for side in random.permutation(len(sides)):
            found[side].append([sides[side](int(place)) for place in places])
    channel.send({"event": "end"})
    connection.close()
    np.savez(request.arrays, served_ns=np.array(found[0]), in_process_ns=np.array(found[1]))
    return asking.result()


def _grown(before: dict[str, Any], after: dict[str, Any]) -> Message | None:
    """What Triton's counters grew by: nanoseconds and requests of each part; None where it keeps none."""
    if not before or not after:
        return None
    old, new = before["inference_stats"], after["inference_stats"]
    return {
        name: {unit: int(new[name].get(unit, 0)) - int(old[name].get(unit, 0)) for unit in ("count", "ns")}
        for name in ("success", "fail", "queue", "compute_input", "compute_infer", "compute_output")
    }


def work(message: Message, channel: Channel) -> Message:
    """Do what the request says."""
    request = Request.model_validate(message)
    if request.do == "closed":
        return closed_loop(request, channel)
    if request.do == "overhead":
        return overhead(request, channel)
    from infer.loadgen import scenario  # noqa: PLC0415  needs LoadGen, which the others do not

    return scenario(request, Asking.of(request), channel)


if __name__ == "__main__":
    serve_job(work)
