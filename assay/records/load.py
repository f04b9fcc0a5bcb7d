"""The record of `assay load`: how a served model behaves under load, and what the server costs.

`load.json` holds one `Load`. If it lies beside a study's results.json, the report shows it.
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import JsonValue

from assay.errors import ArtifactError
from assay.files.mistakes import mistake_in
from assay.files.texts import read_json
from assay.records.base import Interval, Record
from assay.records.deployment import Unit

LOAD_FILE = "load.json"
SCHEMA_VERSION: Literal[1] = 1


class LatencySplit(Record):
    """The parts of a request's mean time, in milliseconds; they sum to the mean latency.

    Attributes:
        client: making the request and reading the answer in the client.
        network: transport and protocol on both sides: all that belongs neither to the client nor to the server's model
            core.
        queue: waiting in the server for the model to be free, or for the batch to fill.
        compute: the model, copying its input and output included.
        server: the rest of the server's own count: scheduling, and collecting the answer.
    """

    client: float
    network: float
    queue: float
    compute: float
    server: float


class Conditions(Record):
    """Conditions on this machine during a measurement; None where the system does not show them.

    Attributes:
        client_use: processor time of the client over wall time; near 1 the client is the bottleneck.
        stolen_share: processor time that a hypervisor kept from this machine's cores, over wall time of one core.
        throttle_events: how often cores were slowed down for heat or power.
        others_busy: cores that were busy just before the measurement, when they should have been idle.
    """

    client_use: float
    stolen_share: float | None
    throttle_events: int | None
    others_busy: float | None


class ClosedLoop(Record):
    """A number of clients, each sending its next request when it has the answer to the last; one image per request.

    Attributes:
        failed, wrong: number of missing answers, and of images whose answer differs from the audited one.
        split: None where the server keeps no statistics, or somebody else used it too.
        invalid: why the numbers are not to be trusted; empty if VALID.
        way: "http" or "grpc".
        clients: number of clients at the same time.
        processes: number of fresh client processes.
        requests: number of requests sent.
        images_per_second: answers a second; interval over processes.
        median_ms, p90_ms, p99_ms: latency of a request; intervals over processes.
        conditions: state of the machine meanwhile, process by process.
    """

    way: str
    clients: int
    processes: int
    requests: int
    failed: int
    wrong: int
    images_per_second: Interval
    median_ms: Interval
    p90_ms: Interval
    p99_ms: Interval
    split: LatencySplit | None
    conditions: list[Conditions]
    invalid: list[str]


class Overhead(Record):
    """The time that the server adds to one image of one client, interleaved with onnxruntime in the same process.

    Attributes:
        overhead_ms: difference of the medians, paired within blocks; interval over processes.
        way: "http" or "grpc".
        processes: number of fresh client processes.
        served_ms: median of a request.
        in_process_ms: median of the same call without a server.
        invalid: why the numbers are not to be trusted; empty if VALID.
    """

    way: str
    processes: int
    served_ms: Interval
    in_process_ms: Interval
    overhead_ms: Interval
    invalid: list[str]


class Scenario(Record):
    """One of MLPerf LoadGen's scenarios. Runs this short are not MLPerf-compliant, whatever LoadGen says of them.

    Attributes:
        verdicts: LoadGen's own verdicts, "VALID" or "INVALID", one for each process.
        samples_per_second: as LoadGen counts them; interval over processes.
        p50_ms, p90_ms, p99_ms: latency of queries, from when they were due.
        target_rate: queries a second asked for ("Server").
        bound_ms: bound on the 99th percentile ("Server").
        invalid: why the numbers are not to be trusted, apart from the runs being short.
        name: LoadGen's name of it.
        processes: number of fresh client processes.
        queries: number of queries sent.
        seconds: time that they took.
        failed, wrong: number of missing answers, and of those that differ from the audited ones.
    """

    name: Literal["SingleStream", "MultiStream", "Server", "Offline"]
    processes: int
    queries: int
    seconds: float
    verdicts: list[str]
    samples_per_second: Interval
    p50_ms: Interval
    p90_ms: Interval
    p99_ms: Interval
    target_rate: float | None
    bound_ms: float | None
    failed: int
    wrong: int
    invalid: list[str]


class RateTried(Record):
    """One request rate that the search tried; arrivals are random (Poisson).

    Attributes:
        rate: requests a second.
        p99_ms: 99th percentile at that rate.
        holds: whether it is within the bound.
    """

    rate: float
    p99_ms: float
    holds: bool


class HighestRate(Record):
    """The highest rate at which the 99th percentile stayed within the bound.

    Attributes:
        rate: the highest rate that held in every search, in requests a second, or None if none did.
        fails_at: the lowest rate that did not hold, or None if all did.
        searches: number of searches, each in fresh client processes.
        interval: interval of the rate over the searches; None for a single one, and where one found no limit.
        bound_ms: bound on the 99th percentile.
        tried: every rate that was tried.
    """

    bound_ms: float
    rate: float | None
    fails_at: float | None
    searches: int = 1
    interval: Interval | None = None
    tried: list[RateTried]


class Load(Record):
    """Everything that was measured of one server.

    Attributes:
        unit: meaning of a record; all counts of images are counts of these.
        server_cores: numbers of the cores of the client's machine that the server may use; None if unknown: it ran
            elsewhere, in a container, or was not started by `assay serve`.
        schema_version: version of this form of record.
        created: UTC, ISO 8601.
        assay_version: version of Assay that made it.
        deployment, version: name and version of the served model.
        precision: precision that it computes in.
        model_sha256: sha256 of the model's file.
        server: the server's name for itself.
        way: transport of the closed loops and scenarios.
        environment: the machine, and the versions of packages.
        closed_loop: closed loops by number of clients.
        overheads: cost of the server by transport.
        scenarios: MLPerf LoadGen's scenarios.
        highest_rate: the highest rate within the bound; None where it was not searched.
        seconds: time that all of it took.
    """

    schema_version: Literal[1] = SCHEMA_VERSION
    created: str
    assay_version: str
    deployment: str
    unit: Unit = "image"
    version: int
    precision: str
    model_sha256: str
    server: str
    server_cores: list[int] | None = None
    way: str
    environment: dict[str, JsonValue]
    closed_loop: list[ClosedLoop]
    overheads: list[Overhead]
    scenarios: list[Scenario]
    highest_rate: HighestRate | None
    seconds: float

    @property
    def invalid(self) -> bool:
        """Whether any of its numbers cannot be trusted."""
        reasons = [one.invalid for one in self.closed_loop] + [one.invalid for one in self.overheads]
        return any(reasons + [one.invalid for one in self.scenarios])


def read_load(path: Path) -> Load:
    """
    Raises:
        ArtifactError: missing, not JSON, of another version, or not a record of a load test.
    """
    try:
        return Load.model_validate(read_json(path))
    except (OSError, ValueError) as error:
        raise ArtifactError(
            f"Cannot read a load test from {path}",
            expected=f"a {LOAD_FILE} of version {SCHEMA_VERSION} written by `assay load`",
            found=mistake_in(error),
        ) from error
