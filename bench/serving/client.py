"""A client process that loads a server, and under what conditions it did."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, cast

import numpy as np
from numpy.typing import NDArray
from pydantic import JsonValue

from assay.arrays_on_disk import load_arrays
from assay.deployment import MODEL_FILE, MODELS
from assay.jobs import Message, run_job
from assay.load import Conditions
from bench.disturbance import Disturbance, busy_seconds, disturbance
from bench.machine import telling_variables, usable_cores
from bench.serving.audited import Audited
from infer.wire import Target, Way

JOB = "infer.load_job"
LOOK_SECONDS = 0.25
LIMIT_SECONDS = 120.0
CLIENT_VARIABLES = {"GRPC_EXPERIMENTS": "-event_engine_client"}
"""Of the client processes, where the user has not set them. With its event engine gRPC's client reads an answer in a
thread of its own and wakes the caller: 0.06 ms of a call, measured on 2 cores with grpcio 1.85.1, which are not the
server's."""
ScenarioName = Literal["SingleStream", "MultiStream", "Server", "Offline"]
SCENARIOS: tuple[ScenarioName, ...] = ("SingleStream", "MultiStream", "Server", "Offline")


@dataclass(frozen=True)
class Plan:
    """What is measured.

    Attributes:
        seconds: of one process of one measurement.
        processes: fresh client processes of each measurement.
        clients: numbers of clients at a time, for the closed loop.
        bound_ms: on the 99th percentile; ten times the median of one client when it is None.
        known_to: half the interval of what the server costs, as a share of it, at which no more processes are added
            to find it; four times as many as planned at most.
    """

    way: Way = "grpc"
    seconds: float = 2.0
    processes: int = 3
    clients: tuple[int, ...] = (1, 2, 4, 8)
    scenarios: tuple[ScenarioName, ...] = SCENARIOS
    bound_ms: float | None = None
    known_to: float = 0.05


@dataclass(frozen=True)
class Run:
    """What one client process found."""

    result: dict[str, Any]
    arrays: dict[str, NDArray[np.int64]]
    conditions: Conditions


class Client:
    """Starts client processes against one server.

    Args:
        work: folder for what they hand over.
    """

    def __init__(self, audited: Audited, folder: Path, target: Target, plan: Plan, work: Path) -> None:
        self.audited, self.target, self.plan, self._work = audited, target, plan, work
        self._seed = 0
        version = audited.version
        np.save(work / "records.npy", audited.inputs)
        np.save(work / "expected.npy", audited.outputs)
        self._common: Message = {
            "target": cast("JsonValue", target.model_dump(mode="json")),
            "version": str(version.number),
            "records": str(work / "records.npy"),
            "expected": str(work / "expected.npy"),
            "allowed": cast("JsonValue", audited.deployment.allowed(version)),
            "arrays": str(work / "arrays.npz"),
            "seconds": plan.seconds,
            "model": str(folder / MODELS / target.model / str(version.number) / MODEL_FILE),
            "threads": audited.deployment.threads,
            "logs": str(work / "loadgen"),
        }

    def run(self, do: str, way: Way, **more: JsonValue) -> Run:
        """One client process to its end.

        Raises:
            AssayError: it could not work; a request that fails or is answered wrongly is no error but counted.
        """
        self._seed += 1
        arrays = self._work / "arrays.npz"
        arrays.unlink(missing_ok=True)
        cores = usable_cores()
        seen: dict[str, Disturbance] = {}
        busy = _busy_cores(cores)
        request = {**self._common, "do": do, "way": way, "seed": self._seed, **more}
        result = cast(
            "dict[str, Any]",
            run_job(
                JOB,
                request,
                self._work / "log",
                on_event=lambda event: seen.__setitem__(str(event["event"]), disturbance(cores)),
                limit_seconds=LIMIT_SECONDS + 10 * self.plan.seconds,
                environment=CLIENT_VARIABLES | telling_variables(),
            ),
        )
        grown = seen["end"].since(seen["begin"])
        conditions = Conditions(
            client_use=result["client_use"],
            stolen_share=None if grown.stolen_seconds is None else grown.stolen_seconds / (result["wall_ns"] / 1e9),
            throttle_events=grown.throttle_events,
            others_busy=busy,
        )
        return Run(result, load_arrays(arrays) if arrays.is_file() else {}, conditions)

    def repeat(self, do: str, way: Way, **more: JsonValue) -> list[Run]:
        """As many fresh processes as are planned."""
        return [self.run(do, way, **more) for _ in range(self.plan.processes)]


def _busy_cores(cores: Sequence[int]) -> float | None:
    """How many cores are busy now, when nothing of ours is running."""
    before = busy_seconds(cores)
    begun = time.monotonic()
    time.sleep(LOOK_SECONDS)
    after = busy_seconds(cores)
    return None if before is None or after is None else (after - before) / (time.monotonic() - begun)
