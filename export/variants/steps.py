"""The cost and gain of each step from int8 towards fp32: files with more and more layers in fp32, judged and timed."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from statistics import median

from assay.export.variants.quantize import Feeds
from assay.export.variants.trials import called, session_of

MOST_STEPS = 8
ROUNDS, FEWEST_ROUNDS = 15, 3
TIMING_SECONDS, BURST_SECONDS = 10.0, 0.02
"""The time for all files together, and for the calls of one file before the next has its turn."""


def chain(ordered: Sequence[str]) -> list[list[str]]:
    """Return at most so many steps from no layer to all of them, the most sensitive first.

    Args:
        ordered: layers, the most sensitive first.
    """
    count = min(len(ordered), MOST_STEPS - 1)
    sizes = sorted({round(place * len(ordered) / count) for place in range(count + 1)}) if count else [0]
    return [list(ordered[:size]) for size in sizes]


def medians_ms(
    files: Mapping[str, Path], feeds: Feeds, clock: Callable[[], float] = time.perf_counter
) -> dict[str, float]:
    """Return the milliseconds of a call of each file: on one thread, with the files taking turns in one process, as the
    median of the least disturbed round.

    Raises:
        ExportFailedError: ONNX Runtime does not load or run one of them.
    """
    sessions = {name: session_of(file, threads=1) for name, file in files.items()}
    names = {name: [one.name for one in session.get_outputs()] for name, session in sessions.items()}

    def call(name: str) -> float:
        begun = clock()
        called(sessions[name], names[name], feeds)
        return clock() - begun

    for name in sessions:
        call(name)
    once = {name: call(name) for name in sessions}
    calls = {name: max(int(BURST_SECONDS / max(seconds, 1e-6)), 1) for name, seconds in once.items()}
    a_round = sum(once[name] * calls[name] for name in sessions)
    rounds = max(min(int(TIMING_SECONDS / max(a_round, 1e-6)), ROUNDS), FEWEST_ROUNDS)
    times: dict[str, list[float]] = {name: [] for name in sessions}
    for _ in range(rounds):
        for name in sessions:
            times[name].append(median(call(name) for _ in range(calls[name])))
    return {name: 1000 * min(found) for name, found in times.items()}
