"""What bounds a server of a deployment: the size of a request, how many wait and how long, and its memory."""

from __future__ import annotations

import math

from assay.numerics.served import record_type
from assay.records.deployment import Deployment

SERVER_MEMORY_MIB = 512
"""What Triton itself takes, generously; the model's own peak comes on top."""
JSON_BYTES_A_NUMBER = 32
"""A float64 takes 24 characters and a comma, and whoever writes JSON may put blanks between."""
REQUEST_BYTES = 64 * 1024
"""For names, shapes and parameters around the numbers of a request."""
MIB = 1024 * 1024
QUEUE_MIB, LEAST_QUEUED, MOST_QUEUED = 256, 64, 1024
QUEUE_SECONDS = 30
"""Nobody waits longer; whoever would gets an error at once or then, so that the next good request is answered."""
CLOSED = "model-repository,shared-memory,trace,logging"
"""Triton's interfaces that change what it does or reach this machine's memory and files. Nobody needs them here."""
NEVER_SENT = "Closed=never\n"
"""The header that would open them, which nobody can send: over HTTP no value has the end of a line in it, and over gRPC
no name has a capital letter. So it is no secret, though every user of a machine may read a command's arguments."""
THREADS_BESIDE = 256
"""The server's threads beside those that run the model; it has a few for each core of the machine."""


def most_request_bytes(deployment: Deployment) -> int:
    """The largest request that the model takes, all its numbers written as JSON."""
    numbers = sum(math.prod(one.shape) for one in deployment.inputs)
    return max(deployment.most_records, 1) * numbers * JSON_BYTES_A_NUMBER + REQUEST_BYTES


def most_queued(deployment: Deployment) -> int:
    """How many requests may wait at a time, so that all of them together take no more than `QUEUE_MIB`."""
    request = max(deployment.most_records, 1) * record_type(deployment.inputs).itemsize
    return min(max(QUEUE_MIB * MIB // request, LEAST_QUEUED), MOST_QUEUED)


def memory_mib(deployment: Deployment, peak_mib: float) -> int:
    """What the server may take: its own, each instance's measured peak, and since rendering 2 a full queue."""
    found = SERVER_MEMORY_MIB + deployment.instances * math.ceil(peak_mib)
    return found if deployment.rendering == 1 else found + QUEUE_MIB


def most_threads(deployment: Deployment) -> int:
    """How many threads and processes the server may have."""
    return THREADS_BESIDE + 8 * deployment.cores


def stock_arguments(deployment: Deployment) -> list[str]:
    """The arguments of the stock Triton's command beside its repository: one model by its name, nothing guessed or
    open.
    """
    return [
        "--model-control-mode=explicit",
        f"--load-model={deployment.name}",
        "--disable-auto-complete-config",
        "--strict-readiness=true",
        "--exit-on-error=true",
        f"--http-max-input-size={most_request_bytes(deployment)}",
        f"--http-restricted-api={CLOSED}:{NEVER_SENT}",
        f"--grpc-restricted-protocol={CLOSED}:{NEVER_SENT}",
    ]
