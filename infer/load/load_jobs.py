"""Requests to a client that loads a server, and its answers: the jobs of `assay.infer.load.load_job`."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from assay.infer.wire import Target, Way
from assay.jobs.files import Written
from assay.jobs.job import TellingJob
from assay.records.base import Record

MODULE = "assay.infer.load.load_job"
ScenarioName = Literal["SingleStream", "MultiStream", "Server", "Offline"]
"""LoadGen's scenarios."""


class LoadRequest(Record):
    """The part of the request that every kind of load needs.

    Attributes:
        records, expected: .npy files with the records of the inputs, and of the audited outputs.
        allowed: the largest error of `assay.numerics.served.errors_of` that passes, by output.
        arrays: the .npz file to write.
    """

    way: Way
    target: Target
    version: str
    records: Path
    expected: Path
    allowed: dict[str, float]
    arrays: Written
    seconds: float
    seed: int


class ClosedLoopRequest(LoadRequest):
    """A number of clients at the same time, each asking when it has the last answer."""

    clients: int


class OverheadRequest(LoadRequest):
    """One client, with the server and in its own process; `model`, `runtime` and `threads` are for the latter."""

    model: Path
    runtime: str
    threads: int


class ScenarioRequest(LoadRequest):
    """Run one of LoadGen's scenarios.

    Attributes:
        rate: expected queries a second, or the rate asked for ("Server").
        bound_ms: bound on the 99th percentile, for "Server".
        logs: folder for LoadGen's own logs.
    """

    scenario: ScenarioName
    rate: float
    bound_ms: float
    logs: Written


class LoadAnswer(Record):
    """The counts of requests and their results.

    Attributes:
        wrong: number of records whose answer is not the audited one.
        reasons: why the first few failed requests did so.
        wall_ns: wall time of the measurement.
        client_use: processor time of the client over the wall time.
    """

    asked: int
    failed: int
    wrong: int
    reasons: list[str]
    wall_ns: int
    client_use: float


class ClosedLoopAnswer(LoadAnswer):
    """The answer, with the growth of Triton's counters: nanoseconds and requests of each part; None where it keeps
    none.
    """

    statistics: dict[str, dict[str, int]] | None


class Summary(Record):
    """LoadGen's verdict, latencies and rate."""

    verdict: str
    mean_ns: float
    p50_ns: float
    p90_ns: float
    p99_ns: float
    samples_per_second: float


class ScenarioAnswer(LoadAnswer):
    """The answer, with LoadGen's summary."""

    summary: Summary


class Moment(Record):
    """The measurement begins or ends."""

    moment: Literal["begin", "end"]


CLOSED_LOOP = TellingJob(MODULE, "closed loop", ClosedLoopRequest, ClosedLoopAnswer, Moment)
OVERHEAD = TellingJob(MODULE, "overhead", OverheadRequest, LoadAnswer, Moment, sees_gpu=True)
SCENARIO = TellingJob(MODULE, "scenario", ScenarioRequest, ScenarioAnswer, Moment)
