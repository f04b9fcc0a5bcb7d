"""Parts of a call on a GPU, by the host's clock: waiting for a GPU that has nothing to do, and both transfers.

A call's time at the device boundary begins with its launch and ends when the host knows that it has ended, in every
runtime alike. So it includes one wait, whose cost depends on the runtime and is measured here; the rest is the time of
the device. Events would leave out the wait by themselves (nvbench and triton's do_bench use them), but an event has to
be recorded on the stream that computes, and JAX, TensorFlow and ONNX Runtime keep theirs to themselves: they would be
measured in another way than PyTorch.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np

from assay.errors import InputError
from assay.infer.gpu.cudart import Cudart
from assay.infer.runtime import Records, Session

TIMES = 20
MOST_SECONDS = 0.05
"""The longest time for each part: transfers of large batches are made once or twice."""
ROTATED_BYTES, LEAST_INPUTS, MOST_INPUTS = 256 << 20, 2, 32
"""Inputs that calls take in turn on a GPU: more than the second-level cache of any GPU (50 MB on an H200, 126 MB on a
B200), where so many fit. Otherwise the inputs of a large batch would be found there by the next call.
"""


@runtime_checkable
class Synchronises(Protocol):
    """A session that can wait for the GPU by itself, as it does at the end of a call."""

    def synchronise(self) -> None:
        """Wait until all that was launched has ended."""


@runtime_checkable
class Allocates(Protocol):
    """A session whose framework tells what its allocator has given out."""

    def most_allocated_bytes(self) -> int | None:
        """Return the most memory of the GPU that was given out at a time since the process began; None on the CPU."""


@dataclass(frozen=True)
class Parts:
    """Medians in nanoseconds: waiting for an idle GPU (None where the session cannot), inputs to it, outputs from it;
    and the most memory that the framework's allocator has given out, in MiB.

    The arrays are in ordinary memory of the host, which is pageable, as NumPy's are. The pinned times are of CUDA's own
    copies of as many bytes from and to page-locked memory, the same in all runtimes, and without what a framework does
    beside them: the least that a transfer could take. They are None where CUDA's library is not there.
    """

    synchronising_ns: int | None
    to_ns: int
    from_ns: int
    to_pinned_ns: int | None = None
    from_pinned_ns: int | None = None
    allocated_mib: float | None = None


def parts_of(session: Session[object], records: Records) -> Parts:
    """Measure the parts of a session's calls, which has finished all others."""
    last = session.run(session.prepare(records))
    wait = session.synchronise if isinstance(session, Synchronises) else None
    allocated = session.most_allocated_bytes() if isinstance(session, Allocates) else None
    to_pinned, from_pinned = pinned_ns(records.nbytes, np.asarray(session.fetch(last)).nbytes)
    return Parts(
        synchronising_ns=_median(wait) if wait else None,
        to_ns=_median(lambda: session.prepare(records)),
        from_ns=_median(lambda: session.fetch(last)),
        to_pinned_ns=to_pinned,
        from_pinned_ns=from_pinned,
        allocated_mib=None if allocated is None else allocated / 2**20,
    )


def pinned_ns(inputs: int, outputs: int) -> tuple[int | None, int | None]:
    """Return the medians of copies of so many bytes from page-locked memory to the GPU, and of so many back."""
    try:
        cuda = Cudart()
        with cuda.buffers(max(inputs, outputs, 1)) as (host, gpu):
            return _median(lambda: cuda.copy(gpu, host, inputs)), _median(lambda: cuda.copy(host, gpu, outputs))
    except InputError:  # it is not there, or there is no room
        return None, None


def rotated_inputs(bytes_of_one: int) -> int:
    """Return how many inputs of this size calls take in turn."""
    return max(LEAST_INPUTS, min(MOST_INPUTS, -(-ROTATED_BYTES // max(bytes_of_one, 1))))


def _median(call: Callable[[], object]) -> int:
    times: list[int] = []
    until = time.perf_counter() + MOST_SECONDS
    while not times or (len(times) < TIMES and time.perf_counter() < until):
        begun = time.perf_counter_ns()
        call()
        times.append(time.perf_counter_ns() - begun)
    return int(statistics.median(times))
