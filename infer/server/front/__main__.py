"""The filter's process, started by infer/server/triton_guard.py with the ports already open.

    python -m assay.infer.server.front FOLDER HTTP GRPC METRICS

FOLDER has the server's sockets and `CONTRACT_FILE`; the others are numbers of listening sockets. The process ends after
SIGTERM, when all owed answers have been sent, within `LEAVE_SECONDS`.
"""

from __future__ import annotations

import asyncio
import os
import resource
import signal
import socket
import sys
from pathlib import Path

import uvloop

from assay.infer.server.front.contract import Contract
from assay.infer.server.front.crowd import Crowd, RequestMemory
from assay.infer.server.front.grpc_front import GrpcFront, GrpcPort
from assay.infer.server.front.http_front import HttpFront, Port
from assay.infer.server.front.places import CONTRACT_FILE, Sockets
from assay.infer.server.front.routes import inference_routes, metrics_routes
from assay.infer.server.front.upstream import Upstream

LEAVE_SECONDS = 4.0
LEAST_MEMORY, REQUESTS_HELD = 256 * 2**20, 8
"""Bytes of requests that may be held at a time: the former, or the latter times the largest request."""
OPEN_FILES = 2_048


async def run(folder: Path, numbers: list[int]) -> None:
    """Serve until SIGTERM."""
    contract = Contract.model_validate_json((folder / CONTRACT_FILE).read_bytes())
    sockets = Sockets(folder)
    memory = RequestMemory(max(LEAST_MEMORY, REQUESTS_HELD * contract.largest_body))
    crowds = [Crowd() for _ in numbers]
    upstream = Upstream(sockets.http)
    http = Port(inference_routes(contract), upstream, crowds[0], memory, contract)
    grpc = GrpcPort(contract, sockets.grpc, crowds[1], memory)
    metrics = Port(metrics_routes(), Upstream(sockets.metrics), crowds[2], memory, contract)
    made = (lambda: HttpFront(http), lambda: GrpcFront(grpc), lambda: HttpFront(metrics))
    loop = asyncio.get_running_loop()
    stopping = asyncio.Event()
    loop.add_signal_handler(signal.SIGTERM, stopping.set)
    servers = [
        await loop.create_server(one, sock=socket.socket(fileno=number))
        for one, number in zip(made, numbers, strict=True)
    ]
    sweeps = [asyncio.ensure_future(crowd.sweep()) for crowd in crowds]
    await stopping.wait()
    for server in servers:
        server.close()
    await asyncio.gather(*(crowd.disperse(LEAVE_SECONDS) for crowd in crowds))
    for sweep in sweeps:
        sweep.cancel()


def main(folder: str, *numbers: str) -> None:
    """Serve a deployment until the process is told to end.

    Args:
        folder: the deployment.
        numbers: descriptors of the sockets, see `run`.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    files = OPEN_FILES if most == resource.RLIM_INFINITY else min(OPEN_FILES, most)
    resource.setrlimit(resource.RLIMIT_NOFILE, (files, most))
    uvloop.run(run(Path(folder), list(map(int, numbers))))
    sys.stdout.flush()
    os._exit(0)  # remaining connections have had their time


if __name__ == "__main__":
    main(*sys.argv[1:])
