"""The highest rate of several ways to do the same work, each repeated."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterator

from assay.records.roofline import Rate

Kernel = Callable[[], object]
Kernels = dict[str, tuple[Kernel, float]]
"""Ways to do some work, by name, each with the operations or bytes of a call."""

SECONDS_EACH = 0.2
LEAST_REPETITIONS, MOST_REPETITIONS = 4, 200
LEAST_REPETITION_SECONDS = 0.002


def repetitions(kernel: Kernel) -> Iterator[float]:
    """Iterate over the seconds of a call, each measured over enough calls for the clock.

    Where a single call is enough, the one that shows this is the first.
    """
    kernel()
    begun = time.perf_counter()
    kernel()
    once = time.perf_counter() - begun
    calls = max(1, round(LEAST_REPETITION_SECONDS / max(once, 1e-7)))
    end = begun + SECONDS_EACH
    if calls == 1:
        yield once
    for done in range(calls == 1, MOST_REPETITIONS):
        if done >= LEAST_REPETITIONS and time.perf_counter() > end:
            return
        begun = time.perf_counter()
        for _ in range(calls):
            kernel()
        yield (time.perf_counter() - begun) / calls


def best_of(kernels: Kernels, seconds_of: Callable[[Kernel], Iterator[float]] = repetitions) -> Rate:
    """Return the highest rate, in 10^9 units a second, of kernels that each do so many units in a call."""
    seconds = {name: list(seconds_of(kernel)) for name, (kernel, _) in kernels.items()}
    best = {name: kernels[name][1] / min(times) / 1e9 for name, times in seconds.items()}
    winner = max(best, key=lambda name: best[name])
    return Rate(
        best=best[winner],
        median=kernels[winner][1] / statistics.median(seconds[winner]) / 1e9,
        by=winner,
        repetitions=len(seconds[winner]),
        all_best=best,
    )
