"""`assay load`: a served model under load, and what the server costs against onnxruntime in the client's process."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal, cast

import numpy as np
from numpy.typing import NDArray
from pydantic import JsonValue

from assay import __version__
from assay.deployment import MODEL_FILE, MODELS
from assay.errors import FailedError
from assay.jobs import Message, run_job
from assay.load import ClosedLoop, Conditions, HighestRate, Load, Overhead, RateTried, Scenario
from bench.disturbance import Disturbance, busy_seconds, disturbance
from bench.machine import environment, usable_cores
from bench.serving.audited import Audited
from bench.serving.load_numbers import (
    KEEPS_UP,
    difference_over_processes,
    over_processes,
    reasons,
    samples_of,
    search_rate,
    split_of,
)
from bench.stats import quantile_intervals
from infer import wire
from infer.wire import Target, Way

JOB = "infer.load_job"
LOOK_SECONDS = 0.25
LIMIT_SECONDS = 120.0
RATES_TRIED = 8
BOUND_TIMES_MEDIAN = 10.0
Tell = Callable[[str], None]
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
    """

    way: Way = "grpc"
    seconds: float = 2.0
    processes: int = 3
    clients: tuple[int, ...] = (1, 2, 4, 8)
    scenarios: tuple[ScenarioName, ...] = SCENARIOS
    bound_ms: float | None = None


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
            ),
        )
        grown = seen["end"].since(seen["begin"])
        conditions = Conditions(
            client_use=result["client_use"],
            stolen_share=None if grown.stolen_seconds is None else grown.stolen_seconds / (result["wall_ns"] / 1e9),
            throttle_events=grown.throttle_events,
            others_busy=busy,
        )
        return Run(result, dict(np.load(arrays)) if arrays.is_file() else {}, conditions)

    def repeat(self, do: str, way: Way, **more: JsonValue) -> list[Run]:
        """As many fresh processes as are planned."""
        return [self.run(do, way, **more) for _ in range(self.plan.processes)]


def measure_load(audited: Audited, folder: Path, target: Target, plan: Plan, tell: Tell) -> Load:
    """Load a server by all that is planned.

    Args:
        folder: of the deployment.
        tell: told what is being done.

    Raises:
        InputError: no server answers, or it does not serve the model.
        NotInstalledError: a package of the extra 'serve' is missing.
    """
    began = time.monotonic()
    server = wire.describe(target.http)
    target = wire.agreed(target, server)
    wire.describe(target.http, target.model)
    with tempfile.TemporaryDirectory(prefix="assay-load-") as work:
        client = Client(audited, folder, target, plan, Path(work))
        loops = [closed_loop(client, count, tell) for count in plan.clients]
        overheads = [overhead(client, way, tell) for way in dict.fromkeys((plan.way, "http"))]
        most = max(loop.images_per_second.value for loop in loops)
        bound = plan.bound_ms or BOUND_TIMES_MEDIAN * loops[0].median_ms.value
        highest = highest_rate(client, most, bound, tell) if "Server" in plan.scenarios else None
        scenarios = [
            scenario(client, name, _rate_for(name, highest, most), bound, tell)
            for name in plan.scenarios
            if _rate_for(name, highest, most)
        ]
    version = audited.version
    return Load(
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        assay_version=__version__,
        deployment=audited.deployment.name,
        unit=audited.deployment.unit,
        version=version.number,
        precision=version.precision,
        model_sha256=version.model_sha256,
        server=f"{server.get('name', '')} {server.get('version', '')}".strip(),
        way=plan.way,
        environment=environment(),
        closed_loop=loops,
        overheads=overheads,
        scenarios=scenarios,
        highest_rate=highest,
        seconds=time.monotonic() - began,
    )


def closed_loop(client: Client, count: int, tell: Tell) -> ClosedLoop:
    """So many clients, each sending its next request when it has the last one's answer."""
    tell(f"closed loop, {count} client{'s' if count > 1 else ''}")
    way = client.plan.way
    runs = client.repeat("closed", way, clients=count)
    samples = samples_of(
        [run.arrays["begun_ns"] for run in runs],
        [run.arrays["wire_ns"] + run.arrays["client_ns"] for run in runs],
    )
    failed, wrong = _total(runs, "failed"), _total(runs, "wrong")
    if not all(len(run.arrays["wire_ns"]) for run in runs):
        raise _no_answers(runs)
    median, p90, p99 = quantile_intervals(samples, (0.5, 0.9, 0.99))
    counters = [run.result["statistics"] for run in runs]
    alone = all(
        one is None or abs(one["success"]["count"] - len(run.arrays["wire_ns"])) <= count
        for one, run in zip(counters, runs, strict=True)
    )
    invalid = reasons(samples, [run.conditions for run in runs], failed, wrong)
    return ClosedLoop(
        way=way,
        clients=count,
        processes=len(runs),
        requests=len(samples.values),
        failed=failed,
        wrong=wrong,
        images_per_second=over_processes([len(run.arrays["wire_ns"]) / (run.result["wall_ns"] / 1e9) for run in runs]),
        median_ms=median,
        p90_ms=p90,
        p99_ms=p99,
        split=split_of(
            [one for one in counters if one],
            float(np.concatenate([run.arrays["wire_ns"] for run in runs]).mean() / 1e6),
            float(np.concatenate([run.arrays["client_ns"] for run in runs]).mean() / 1e6),
        )
        if alone and all(counters)
        else None,
        conditions=[run.conditions for run in runs],
        invalid=invalid if alone else [*invalid, "somebody else asked the server too"],
    )


def overhead(client: Client, way: Way, tell: Tell) -> Overhead:
    """One client's records by the server and by onnxruntime in the client, interleaved."""
    tell(f"what the server costs over {way}")
    runs = client.repeat("overhead", way)
    if not all(run.arrays["served_ns"].size for run in runs):
        raise _no_answers(runs)
    served = [np.median(run.arrays["served_ns"], axis=1) / 1e6 for run in runs]
    here = [np.median(run.arrays["in_process_ns"], axis=1) / 1e6 for run in runs]
    differences = [float(np.median(one - other)) for one, other in zip(served, here, strict=True)]
    return Overhead(
        way=way,
        processes=len(runs),
        served_ms=over_processes([float(np.median(blocks)) for blocks in served]),
        in_process_ms=over_processes([float(np.median(blocks)) for blocks in here]),
        overhead_ms=difference_over_processes(differences),
        invalid=reasons(None, [run.conditions for run in runs], _total(runs, "failed"), _total(runs, "wrong")),
    )


def highest_rate(client: Client, most: float, bound_ms: float, tell: Tell) -> HighestRate:
    """The highest request rate whose 99th percentile stays within the bound, by LoadGen's Server scenario."""

    def measure(rate: float) -> RateTried:
        tell(f"{rate:.0f} requests a second, p99 within {bound_ms:.3g} ms?")
        found = client.run("Server", client.plan.way, rate=rate, bound_ms=bound_ms).result
        p99_ms, reached = found["summary"]["p99_ns"] / 1e6, found["summary"]["samples_per_second"]
        clean = not found["failed"] and not found["wrong"]
        return RateTried(rate=rate, p99_ms=p99_ms, holds=clean and p99_ms <= bound_ms and reached >= KEEPS_UP * rate)

    return search_rate(measure, 0.7 * most, bound_ms, RATES_TRIED)


def scenario(client: Client, name: ScenarioName, rate: float, bound_ms: float, tell: Tell) -> Scenario:
    """One of LoadGen's scenarios, in fresh processes."""
    tell(f"LoadGen, {name}")
    runs = client.repeat(name, client.plan.way, rate=rate, bound_ms=bound_ms)
    summaries = [run.result["summary"] for run in runs]
    p50, p90, p99 = (over_processes([one[key] / 1e6 for one in summaries]) for key in ("p50_ns", "p90_ns", "p99_ns"))
    failed, wrong = _total(runs, "failed"), _total(runs, "wrong")
    return Scenario(
        name=name,
        processes=len(runs),
        queries=_total(runs, "asked"),
        seconds=sum(run.result["wall_ns"] for run in runs) / 1e9,
        verdicts=[one["verdict"] for one in summaries],
        samples_per_second=over_processes([one["samples_per_second"] for one in summaries]),
        p50_ms=p50,
        p90_ms=p90,
        p99_ms=p99,
        target_rate=rate if name == "Server" else None,
        bound_ms=bound_ms if name == "Server" else None,
        failed=failed,
        wrong=wrong,
        invalid=reasons(None, [run.conditions for run in runs], failed, wrong),
    )


def _rate_for(name: ScenarioName, highest: HighestRate | None, most: float) -> float:
    """What LoadGen is to expect; 0 where the scenario cannot be had."""
    if name == "Server":
        return (highest.rate if highest else None) or 0.0
    return most


def _total(runs: Sequence[Run], what: str) -> int:
    return sum(int(run.result[what]) for run in runs)


def _no_answers(runs: Sequence[Run]) -> FailedError:
    said = next((reason for run in runs for reason in run.result["reasons"]), None)
    return FailedError("The server answered no request", found=said)


def _busy_cores(cores: Sequence[int]) -> float | None:
    """How many cores are busy now, when nothing of ours is running."""
    before = busy_seconds(cores)
    begun = time.monotonic()
    time.sleep(LOOK_SECONDS)
    after = busy_seconds(cores)
    return None if before is None or after is None else (after - before) / (time.monotonic() - begun)
