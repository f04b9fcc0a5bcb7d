"""MLPerf LoadGen's scenarios against a server.

LoadGen (Reddi et al. 2020, "MLPerf inference benchmark") decides when each query is due, and judges the answers; this
module is only the system under test, which passes the queries on. The runs are far shorter than LoadGen's rules demand.
"""

from __future__ import annotations

import queue
import re
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from assay.errors import FailedError, missing
from assay.infer.load.asking import Asking, Tell, measured
from assay.infer.load.load_jobs import ScenarioAnswer, ScenarioRequest, Summary

SCENARIOS = ("SingleStream", "MultiStream", "Server", "Offline")
CLIENTS = 16
MULTI_STREAM_SAMPLES = 8
LEAST_QUERIES = 32
MOST_QUERIES = 1_000_000
SUMMARY_FILE = "mlperf_log_summary.txt"
Job = list[tuple[int, int]]  # LoadGen's number of each sample, and its record's


def scenario(request: ScenarioRequest, tell: Tell) -> ScenarioAnswer:
    """Run one scenario and read LoadGen's summary of it.

    Raises:
        NotInstalledError: LoadGen is not installed.
        FailedError: it wrote no summary.
    """
    try:
        import mlperf_loadgen as loadgen  # noqa: PLC0415  of the extra 'serve'
    except ImportError as error:
        raise missing("MLPerf LoadGen", error, "serve") from error
    asking, logs = Asking.of(request), request.logs
    logs.mkdir(parents=True, exist_ok=True)
    clients = 1 if request.scenario in {"SingleStream", "MultiStream"} else CLIENTS
    most = max(request.target.most_records, 1)
    batch = {"MultiStream": MULTI_STREAM_SAMPLES, "Offline": most}.get(request.scenario, 1)
    system = _System(loadgen, asking, clients, min(batch, most))
    under_test = loadgen.ConstructSUT(system.issue, lambda: None)
    count = max(len(asking.records), MULTI_STREAM_SAMPLES)  # as many as one query has
    library = loadgen.ConstructQSL(count, count, lambda _: None, lambda _: None)
    output = loadgen.LogOutputSettings()
    output.outdir = str(logs)
    log_settings = loadgen.LogSettings()
    log_settings.log_output = output
    log_settings.enable_trace = False
    with measured(tell) as use:
        loadgen.StartTestWithLogSettings(under_test, library, _settings(loadgen, request), log_settings)
    system.close()
    loadgen.DestroyQSL(library)
    loadgen.DestroySUT(under_test)
    summary = _read_summary(logs / SUMMARY_FILE, MULTI_STREAM_SAMPLES if request.scenario == "MultiStream" else 1)
    return ScenarioAnswer(**dict(asking.answer(use)), summary=summary)


class _System:
    """LoadGen's system under test: threads that query the server, each over its own connection."""

    def __init__(self, loadgen: Any, asking: Asking, clients: int, batch: int) -> None:  # LoadGen has no types
        self._loadgen, self._asking, self._batch = loadgen, asking, batch
        self._jobs: queue.SimpleQueue[Job | None] = queue.SimpleQueue()
        ready = threading.Barrier(clients + 1)
        self._threads = [threading.Thread(target=self._serve, args=(ready,)) for _ in range(clients)]
        for thread in self._threads:
            thread.start()
        ready.wait()

    def issue(self, samples: Sequence[Any]) -> None:
        """Take LoadGen's query, and split its samples into requests of as many records as one may have."""
        pairs = [(sample.id, sample.index % len(self._asking.records)) for sample in samples]
        for begin in range(0, len(pairs), self._batch):
            self._jobs.put(pairs[begin : begin + self._batch])

    def close(self) -> None:
        for _ in self._threads:
            self._jobs.put(None)
        for thread in self._threads:
            thread.join()

    def _serve(self, ready: threading.Barrier) -> None:
        connection = self._asking.connect()
        self._asking.ask(connection, np.arange(min(self._batch, len(self._asking.records))))
        ready.wait()
        while (job := self._jobs.get()) is not None:
            self._asking.ask(connection, np.array([index for _, index in job]))
            self._loadgen.QuerySamplesComplete([self._loadgen.QuerySampleResponse(number, 0, 0) for number, _ in job])
        connection.close()


def _settings(loadgen: Any, request: ScenarioRequest) -> Any:
    """Return LoadGen's settings for a run of about so many seconds."""
    found = loadgen.TestSettings()
    found.scenario = getattr(loadgen.TestScenario, request.scenario)
    found.mode = loadgen.TestMode.PerformanceOnly
    found.min_duration_ms = int(1000 * request.seconds)
    found.max_duration_ms = int(5000 * request.seconds)
    found.min_query_count = LEAST_QUERIES
    found.max_query_count = MOST_QUERIES
    found.qsl_rng_seed = found.sample_index_rng_seed = found.schedule_rng_seed = request.seed
    found.multi_stream_samples_per_query = MULTI_STREAM_SAMPLES
    if request.scenario == "Server":
        found.server_target_qps = request.rate
        found.server_target_latency_ns = int(1e6 * request.bound_ms)
        found.server_target_latency_percentile = 0.99
        found.max_duration_ms = int(2000 * request.seconds)
    if request.scenario == "Offline":
        found.offline_expected_qps = request.rate
        found.min_query_count = 1
    return found


LATENCIES = {
    "mean_ns": r"Mean latency \(ns\)\s*:\s*(\d+)",
    "p50_ns": r"50\.00 percentile latency \(ns\)\s*:\s*(\d+)",
    "p90_ns": r"90\.00 percentile latency \(ns\)\s*:\s*(\d+)",
    "p99_ns": r"99\.00 percentile latency \(ns\)\s*:\s*(\d+)",
}
RATE = r"(?:Completed samples per second|Samples per second|QPS w/o loadgen overhead)\s*:\s*([\d.e+]+)"


def _read_summary(path: Path, samples_per_query: int = 1) -> Summary:
    """Read LoadGen's verdict, latencies in nanoseconds and samples a second from its summary.

    Where the summary has no rate ("MultiStream"), one query follows the other, so the mean latency gives the rate.

    Raises:
        FailedError: there is no summary, or it is not in the known form.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise FailedError(f"LoadGen wrote no summary {path}", found=error.strerror) from error
    verdict, rate = re.search(r"Result is\s*:\s*(\w+)", text), re.search(RATE, text)
    latencies = {name: re.search(pattern, text) for name, pattern in LATENCIES.items()}
    missing = [name for name, match in {"verdict": verdict, **latencies}.items() if match is None]
    if missing or verdict is None:
        raise FailedError(f"LoadGen's summary {path} does not say {', '.join(missing)}", found=text[-500:])
    found = {name: float(match[1]) for name, match in latencies.items() if match}
    per_second = float(rate[1]) if rate else 1e9 * samples_per_query / found["mean_ns"]
    return Summary(verdict=verdict[1], samples_per_second=per_second, **found)
