"""`assay load`: a served model under load, and the server's cost compared with onnxruntime in the client's process."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from assay import __version__
from assay.bench.machine.machine import cores_of_server, environment, telling_variables
from assay.bench.serving.audited import AuditedAnswers
from assay.bench.serving.client import CLIENT_VARIABLES, Client, ClientFindings, LoadPlan
from assay.bench.serving.load_numbers import (
    KEEPS_UP,
    reasons,
    samples_of,
    search_rate,
    split_of,
)
from assay.bench.statistics.intervals import difference_over_processes, ratio_over_processes
from assay.bench.statistics.stats import quantile_intervals
from assay.errors import FailedError
from assay.infer import wire
from assay.infer.load.load_jobs import LoadAnswer, ScenarioName
from assay.infer.server.triton import PROGRAM
from assay.infer.wire import Target, Way
from assay.records.base import Interval
from assay.records.load import ClosedLoop, HighestRate, Load, Overhead, RateTried, Scenario

RATES_TRIED = 8
MOST_TIMES = 4
BOUND_TIMES_MEDIAN = 10.0
Tell = Callable[[str], None]


def measure_load(audited: AuditedAnswers, folder: Path, target: Target, plan: LoadPlan, tell: Tell) -> Load:
    """Load a server with every planned measurement.

    Args:
        folder: folder of the deployment.
        tell: receiver of progress.

    Raises:
        InputError: no server answers, or it does not serve the model.
        NotInstalledError: a package of the extra 'serve' is missing.
    """
    began = time.monotonic()
    server = wire.describe(target.http)
    target = wire.agreed(target, server)
    wire.describe(target.http, target.model)
    cores = cores_of_server(target.http, PROGRAM)
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
        server=f"{server.name} {server.version}".strip(),
        server_cores=cores and list(cores),
        way=plan.way,
        environment=environment() | {"variables": dict(CLIENT_VARIABLES | telling_variables())},
        closed_loop=loops,
        overheads=overheads,
        scenarios=scenarios,
        highest_rate=highest,
        seconds=time.monotonic() - began,
    )


def closed_loop(client: Client, count: int, tell: Tell) -> ClosedLoop:
    """Measure several clients, each sending its next request once its last one is answered."""
    tell(f"closed loop, {count} client{'s' if count > 1 else ''}")
    way = client.plan.way
    runs = client.repeat(partial(client.closed_loop, count))
    samples = samples_of(
        [run.arrays["begun_ns"] for run in runs],
        [run.arrays["wire_ns"] + run.arrays["client_ns"] for run in runs],
    )
    failed, wrong = _failed_and_wrong(runs)
    if not all(len(run.arrays["wire_ns"]) for run in runs):
        raise _no_answers(runs)
    median, p90, p99 = quantile_intervals(samples, (0.5, 0.9, 0.99))
    counters = [run.result.statistics for run in runs]
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
        images_per_second=ratio_over_processes(
            [len(run.arrays["wire_ns"]) / (run.result.wall_ns / 1e9) for run in runs]
        ),
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
        invalid=invalid if alone else [*invalid, "another client used the server during the measurement"],
    )


def overhead(client: Client, way: Way, tell: Tell) -> Overhead:
    """Measure one client's records by the server and by onnxruntime in the client, interleaved."""
    tell(f"the server's cost over {way}")
    runs = client.repeat(partial(client.overhead, way))
    planned = len(runs)
    cost = _cost(runs, planned)
    enough = client.plan.known_to * cost.value
    while cost.high - cost.value > enough and len(runs) < MOST_TIMES * planned:
        runs.append(client.overhead(way))
        cost = _cost(runs, planned)
    return Overhead(
        way=way,
        processes=len(runs),
        served_ms=ratio_over_processes([float(np.median(blocks)) for blocks in _blocks(runs, "served_ns")]),
        in_process_ms=ratio_over_processes([float(np.median(blocks)) for blocks in _blocks(runs, "in_process_ns")]),
        overhead_ms=cost,
        invalid=reasons(None, [run.conditions for run in runs], *_failed_and_wrong(runs)),
    )


def _cost(runs: Sequence[ClientFindings[LoadAnswer]], planned: int) -> Interval:
    """Return the time that the server adds, in ms: the median difference of a block's two medians in each process.

    The interval rests on the spread of the planned processes (`assay.bench.statistics.stats`), so that stopping when it
    is narrow enough does not matter for it.
    """
    if not all(run.arrays["served_ns"].size for run in runs):
        raise _no_answers(runs)
    sides = zip(_blocks(runs, "served_ns"), _blocks(runs, "in_process_ns"), strict=True)
    return difference_over_processes([float(np.median(served - here)) for served, here in sides], planned)


def _blocks(runs: Sequence[ClientFindings[LoadAnswer]], side: str) -> list[NDArray[np.float64]]:
    """Return the medians of each process's blocks, in ms."""
    return [np.median(run.arrays[side], axis=1) / 1e6 for run in runs]


def highest_rate(client: Client, most: float, bound_ms: float, tell: Tell) -> HighestRate:
    """Find the highest request rate whose 99th percentile stays within the bound, by LoadGen's Server scenario."""

    def measure(rate: float) -> RateTried:
        tell(f"{rate:.0f} requests a second, p99 within {bound_ms:.3g} ms?")
        found = client.scenario("Server", rate, bound_ms).result
        p99_ms, reached = found.summary.p99_ns / 1e6, found.summary.samples_per_second
        clean = not found.failed and not found.wrong
        return RateTried(rate=rate, p99_ms=p99_ms, holds=clean and p99_ms <= bound_ms and reached >= KEEPS_UP * rate)

    return search_rate(measure, 0.7 * most, bound_ms, RATES_TRIED, client.plan.processes)


def scenario(client: Client, name: ScenarioName, rate: float, bound_ms: float, tell: Tell) -> Scenario:
    """Run one of LoadGen's scenarios in fresh processes."""
    tell(f"LoadGen, {name}")
    runs = client.repeat(partial(client.scenario, name, rate, bound_ms))
    summaries = [run.result.summary for run in runs]
    p50, p90, p99 = (
        ratio_over_processes([nanoseconds / 1e6 for nanoseconds in of_processes])
        for of_processes in zip(*((one.p50_ns, one.p90_ns, one.p99_ns) for one in summaries), strict=True)
    )
    failed, wrong = _failed_and_wrong(runs)
    return Scenario(
        name=name,
        processes=len(runs),
        queries=sum(run.result.asked for run in runs),
        seconds=sum(run.result.wall_ns for run in runs) / 1e9,
        verdicts=[one.verdict for one in summaries],
        samples_per_second=ratio_over_processes([one.samples_per_second for one in summaries]),
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
    """Return the rate that LoadGen should expect; 0 where the scenario cannot run."""
    if name == "Server":
        return (highest.rate if highest else None) or 0.0
    return most


def _failed_and_wrong(runs: Sequence[ClientFindings[LoadAnswer]]) -> tuple[int, int]:
    return sum(run.result.failed for run in runs), sum(run.result.wrong for run in runs)


def _no_answers(runs: Sequence[ClientFindings[LoadAnswer]]) -> FailedError:
    said = next((reason for run in runs for reason in run.result.reasons), None)
    return FailedError("The server answered no request", found=said)
