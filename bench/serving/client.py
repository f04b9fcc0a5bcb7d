"""A client process that loads a server, and the conditions under which it did."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

from assay.bench.deployment.checking.acting import refuse_what_acts
from assay.bench.machine.disturbance import Disturbance
from assay.bench.machine.host import LOCAL, Host
from assay.bench.machine.machine import telling_variables
from assay.bench.serving.audited import AuditedAnswers
from assay.files.arrays import load_arrays
from assay.infer.load.load_jobs import (
    CLOSED_LOOP,
    OVERHEAD,
    SCENARIO,
    ClosedLoopAnswer,
    ClosedLoopRequest,
    LoadAnswer,
    LoadRequest,
    Moment,
    OverheadRequest,
    ScenarioAnswer,
    ScenarioName,
    ScenarioRequest,
)
from assay.infer.wire import Target, Way
from assay.jobs.job import Asked, TellingJob
from assay.jobs.running import run_job
from assay.records.deployment import MODELS, served_by
from assay.records.load import Conditions
from assay.steps import SLOWER, Limit, in_proportion

LoadAnswered = TypeVar("LoadAnswered", bound=LoadAnswer)
LoadAnswered_co = TypeVar("LoadAnswered_co", bound=LoadAnswer, covariant=True)

LOOK_SECONDS = 0.25
FIRST_SECONDS, SLOWER_MEASUREMENTS = 120.0, 10.0
"""The first client's time limit besides its measurement, and the limit of a measurement as a multiple of its plan."""
CLIENT_VARIABLES = {"GRPC_EXPERIMENTS": "-event_engine_client"}
"""Variables of the client processes, where the user has not set them. With its event engine gRPC's client reads an
answer in a thread of its own and wakes the caller: 0.06 ms of a call, measured on 2 cores with grpcio 1.85.1, which are
not the server's.
"""
SCENARIOS: tuple[ScenarioName, ...] = ("SingleStream", "MultiStream", "Server", "Offline")


@dataclass(frozen=True)
class LoadPlan:
    """Plan of the measurements.

    Attributes:
        seconds: seconds in one process of one measurement.
        processes: number of fresh client processes for each measurement.
        clients: numbers of clients at a time, for the closed loop.
        bound_ms: bound on the 99th percentile; ten times the median of one client when it is None.
        known_to: half the interval of the server's cost, as a share of it, at which no more processes are added
            to find it; four times as many as planned at most.
        trusted: whether the model's file, which is opened in addition to the server, may act.
    """

    way: Way = "grpc"
    seconds: float = 2.0
    processes: int = 3
    clients: tuple[int, ...] = (1, 2, 4, 8)
    scenarios: tuple[ScenarioName, ...] = SCENARIOS
    bound_ms: float | None = None
    known_to: float = 0.05
    trusted: bool = False


@dataclass(frozen=True)
class ClientFindings(Generic[LoadAnswered_co]):
    """Findings of one client process."""

    result: LoadAnswered_co
    arrays: dict[str, NDArray[np.int64]]
    conditions: Conditions


class Client:
    """Starter of client processes against one server.

    Args:
        work: folder for the files that they hand over.
        host: machine that they run on.
    """

    def __init__(
        self, audited: AuditedAnswers, folder: Path, target: Target, plan: LoadPlan, work: Path, host: Host = LOCAL
    ) -> None:
        self.audited, self.target, self.plan, self._work = audited, target, plan, work
        self._seed, self._host = 0, host
        self._beside = 0.0
        version = audited.version
        np.save(work / "records.npy", audited.inputs)
        np.save(work / "expected.npy", audited.outputs)
        self._model = folder / MODELS / target.model / str(version.number) / served_by(version.runtime).file
        refuse_what_acts(self._model, version.runtime, host, trusted=plan.trusted)

    def closed_loop(self, clients: int) -> ClientFindings[ClosedLoopAnswer]:
        """Load the server with several clients at the same time; arguments and errors as for `_run`."""
        request = ClosedLoopRequest(**dict(self._common(self.plan.way)), clients=clients)
        return self._run(CLOSED_LOOP, request, f"{clients} at a time")

    def overhead(self, way: Way) -> ClientFindings[LoadAnswer]:
        """Load the server with one client that also computes in its own process."""
        threads = self.audited.deployment.threads
        common, runtime = dict(self._common(way)), self.audited.version.runtime
        request = OverheadRequest(**common, model=self._model, runtime=runtime, threads=threads)
        return self._run(OVERHEAD, request, f"one by {way}, and in its own process")

    def scenario(self, name: ScenarioName, rate: float, bound_ms: float) -> ClientFindings[ScenarioAnswer]:
        """Run one of LoadGen's scenarios."""
        common, logs = dict(self._common(self.plan.way)), self._work / "loadgen"
        request = ScenarioRequest(**common, scenario=name, rate=rate, bound_ms=bound_ms, logs=logs)
        return self._run(SCENARIO, request, f"LoadGen's {name}")

    def _common(self, way: Way) -> LoadRequest:
        """Return the parameters of every kind of load, with a seed of its own."""
        self._seed += 1
        version = self.audited.version
        return LoadRequest(
            way=way,
            target=self.target,
            version=str(version.number),
            records=self._work / "records.npy",
            expected=self._work / "expected.npy",
            allowed=self.audited.deployment.allowed(version),
            arrays=self._work / "arrays.npz",
            seconds=self.plan.seconds,
            seed=self._seed,
        )

    def _run(
        self, job: TellingJob[Asked, LoadAnswered, Moment], request: Asked, what: str
    ) -> ClientFindings[LoadAnswered]:
        """Run one client process to its end.

        Args:
            what: its request, in words.

        Raises:
            AssayError: it could not work; a request that fails or is answered wrongly is counted, and is not an
                error.
        """
        arrays = self._work / "arrays.npz"
        arrays.unlink(missing_ok=True)
        cores = self._host.cores()
        seen: dict[str, Disturbance] = {}
        busy = _busy_cores(self._host, cores)
        begun = time.monotonic()
        result = run_job(
            job,
            request,
            self._work / "log",
            heard=job.heard_by(lambda told: seen.__setitem__(told.moment, self._host.disturbance(cores))),
            limit_seconds=Limit(self._limit(), f"A client of {self.target.model}: {what}"),
            environment=CLIENT_VARIABLES | telling_variables(),
            host=self._host,
        )
        self._beside = max(self._beside, time.monotonic() - begun - result.wall_ns / 1e9)
        grown = seen["end"].since(seen["begin"])
        conditions = Conditions(
            client_use=result.client_use,
            stolen_share=None if grown.stolen_seconds is None else grown.stolen_seconds / (result.wall_ns / 1e9),
            throttle_events=grown.throttle_events,
            others_busy=busy,
        )
        return ClientFindings(result, load_arrays(arrays) if arrays.is_file() else {}, conditions)

    def _limit(self) -> float:
        """Return a client's time limit in seconds: its measurement, and as much besides as the slowest client so
        far.
        """
        beside = in_proportion(self._beside, SLOWER) if self._beside else FIRST_SECONDS
        return beside + SLOWER_MEASUREMENTS * self.plan.seconds

    def repeat(self, one: Callable[[], ClientFindings[LoadAnswered]]) -> list[ClientFindings[LoadAnswered]]:
        """Run as many fresh processes as are planned."""
        return [one() for _ in range(self.plan.processes)]


def _busy_cores(host: Host, cores: Sequence[int]) -> float | None:
    """Return how many cores are busy now, while no process of ours is running."""
    before, begun = host.disturbance(cores), time.monotonic()
    time.sleep(LOOK_SECONDS)
    busy = host.disturbance(cores).since(before).busy_seconds
    return None if busy is None else busy / (time.monotonic() - begun)
