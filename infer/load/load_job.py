"""A client that loads a server, in a process of its own: `python -P -m assay.infer.load.load_job`.

Every answer is compared with the audited one of its record. Measurements are returned in a file of arrays.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any

import numpy as np

from assay.errors import ArtifactError, AssayError
from assay.infer import wire
from assay.infer.load.asking import Asking, Tell, measured
from assay.infer.load.load_jobs import (
    CLOSED_LOOP,
    OVERHEAD,
    SCENARIO,
    ClosedLoopAnswer,
    ClosedLoopRequest,
    LoadAnswer,
    OverheadRequest,
)
from assay.infer.load.loadgen import scenario
from assay.infer.runtimes.same_for_all import begin
from assay.jobs.serving import serve_job
from assay.numerics.served import Opened, is_deciding, types_of
from assay.records.deployment import served_by

WARM_UP_REQUESTS = 20
BURST_CALLS = 20
FAILURES_BORNE = 20
"""The number of failures after which a client gives up, so that a server that is gone is not asked a million times."""


def closed_loop(request: ClosedLoopRequest, tell: Tell) -> ClosedLoopAnswer:
    """Run some clients for some seconds, each asking about the next record when it has the answer to the last."""
    asking = Asking.of(request)
    rows: list[tuple[int, int, int]] = []
    barrier, start = threading.Barrier(request.clients + 1), threading.Event()
    ends: list[int] = []

    def client(number: int) -> None:
        random = np.random.default_rng((request.seed, number))
        connection = asking.connect()
        for _ in range(WARM_UP_REQUESTS):
            asking.ask(connection, random.integers(0, len(asking.records), 1))
        barrier.wait()
        start.wait()
        mine: list[tuple[int, int, int]] = []
        while time.perf_counter_ns() < ends[0] and asking.failed < FAILURES_BORNE:
            answer = asking.ask(connection, random.integers(0, len(asking.records), 1))
            if answer is not None:
                mine.append((answer.begun_ns, answer.wire_ns, answer.client_ns))
        rows.extend(mine)
        connection.close()

    threads = [threading.Thread(target=client, args=(number,)) for number in range(request.clients)]
    for thread in threads:
        thread.start()
    barrier.wait()
    before = wire.statistics(request.target, request.version)
    with measured(tell) as use:
        begun = time.perf_counter_ns()
        ends.append(begun + int(request.seconds * 1e9))
        start.set()
        for thread in threads:
            thread.join()
    table = np.array(sorted(rows), np.int64).reshape(-1, 3)
    np.savez(request.arrays, begun_ns=table[:, 0] - begun, wire_ns=table[:, 1], client_ns=table[:, 2])
    return ClosedLoopAnswer(
        **dict(asking.answer(use)), statistics=_grown(before, wire.statistics(request.target, request.version))
    )


def overhead(request: OverheadRequest, tell: Tell) -> LoadAnswer:
    """Time bursts of single records with the server and with the runtime here, in random order within each block."""
    begin((), served_by(request.runtime).device)
    asking = Asking.of(request)
    connection = asking.connect()
    here, outputs = _opened_here(request), [one.name for one in request.target.outputs]
    random = np.random.default_rng(request.seed)

    def served(place: int) -> int:
        answer = asking.ask(connection, np.array([place]))
        return 0 if answer is None else answer.total_ns

    def in_process(place: int) -> int:
        inputs = request.target.arrays(asking.records[place : place + 1])
        begun = time.perf_counter_ns()
        here(inputs, outputs)
        return time.perf_counter_ns() - begun

    sides: tuple[Callable[[int], int], ...] = (served, in_process)
    for place in range(WARM_UP_REQUESTS):
        for side in sides:
            side(place % len(asking.records))
    found: tuple[list[list[int]], list[list[int]]] = ([], [])
    with measured(tell) as use:
        deadline = time.perf_counter() + request.seconds
        while time.perf_counter() < deadline and asking.failed < FAILURES_BORNE:
            places = random.integers(0, len(asking.records), BURST_CALLS)
            for side in random.permutation(len(sides)):
                found[side].append([sides[side](int(place)) for place in places])
    connection.close()
    np.savez(request.arrays, served_ns=np.array(found[0]), in_process_ns=np.array(found[1]))
    return asking.answer(use)


def _opened_here(request: OverheadRequest) -> Opened:
    """Open the deployed file without a server, with the options that the server gives it.

    Raises:
        ArtifactError: the runtime refuses the file.
    """
    served = served_by(request.runtime)
    try:
        inputs, outputs = types_of(request.target.inputs), types_of(request.target.outputs)
        options = served.options_of(request.threads, decides=is_deciding(request.target.outputs))
        return served.open(request.model, options, inputs, outputs)
    except AssayError:
        raise
    except Exception as error:  # exceptions of libraries share no base but this
        raise ArtifactError(f"Cannot load {request.model} here", found=str(error)) from error


def _grown(before: dict[str, Any], after: dict[str, Any]) -> dict[str, dict[str, int]] | None:
    """Return how much Triton's counters grew: nanoseconds and requests of each part; None where it keeps none."""
    if not before or not after:
        return None
    old, new = before["inference_stats"], after["inference_stats"]
    return {
        name: {unit: int(new[name].get(unit, 0)) - int(old[name].get(unit, 0)) for unit in ("count", "ns")}
        for name in ("success", "fail", "queue", "compute_input", "compute_infer", "compute_output")
    }


if __name__ == "__main__":
    serve_job(CLOSED_LOOP.told_by(closed_loop), OVERHEAD.told_by(overhead), SCENARIO.told_by(scenario))
