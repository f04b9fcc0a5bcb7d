"""Limits of a deployment's server: the size of a request, how many wait and for how long, and its memory."""

from __future__ import annotations

import math

from assay.numerics.served import record_type
from assay.records.deployment import Deployment

SERVER_MEMORY_MIB = 512
"""The memory that Triton itself takes, generously estimated; the model's own peak comes on top."""
JSON_BYTES_A_NUMBER = 32
"""The bytes of a number in JSON: a float64 takes 24 characters and a comma, and writers may put blanks between."""
REQUEST_BYTES = 64 * 1024
"""The bytes for names, shapes and parameters in addition to the numbers of a request."""
MIB = 1024 * 1024
QUEUE_MIB, LEAST_QUEUED, MOST_QUEUED = 256, 64, 1024
QUEUE_SECONDS = 30
"""The longest wait; a request that would wait longer gets an error at once or then, so that the next good one is
answered.
"""
CLOSED = "model-repository,shared-memory,trace,logging"
"""Triton's interfaces that change its behaviour or reach this machine's memory and files. Nobody needs them here."""
NEVER_SENT = "Closed=never\n"
"""The header that would open them, which nobody can send: over HTTP no value can contain a line end, and over gRPC no
name a capital letter. So it is not a secret, although every user of a machine may read a command's arguments.
"""
THREADS_BESIDE = 256
"""The server's threads besides those that run the model; it has a few for each core of the machine."""


def most_request_bytes(deployment: Deployment) -> int:
    """Return the size of the largest request that the model takes, with all its numbers written as JSON."""
    numbers = sum(math.prod(one.shape) for one in deployment.inputs)
    return max(deployment.most_records, 1) * numbers * JSON_BYTES_A_NUMBER + REQUEST_BYTES


def most_queued(deployment: Deployment) -> int:
    """Return how many requests may wait at a time, so that together they take no more than `QUEUE_MIB`."""
    request = max(deployment.most_records, 1) * record_type(deployment.inputs).itemsize
    return min(max(QUEUE_MIB * MIB // request, LEAST_QUEUED), MOST_QUEUED)


def memory_mib(deployment: Deployment, peak_mib: float) -> int:
    """Return the memory that the server may take: its own, each instance's measured peak, and since rendering 2 a full
    queue.
    """
    found = SERVER_MEMORY_MIB + deployment.instances * math.ceil(peak_mib)
    return found if deployment.rendering == 1 else found + QUEUE_MIB


def most_threads(deployment: Deployment) -> int:
    """Return how many threads and processes the server may have."""
    return THREADS_BESIDE + 8 * deployment.cores


def stock_arguments(deployment: Deployment) -> list[str]:
    """Return the arguments of the stock Triton's command besides its repository: one model by its name, with nothing
    guessed or open.
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
