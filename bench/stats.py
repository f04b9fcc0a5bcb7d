"""Statistics over samples: pure functions from numbers to estimates with intervals.

The structure of the data is nested: calls in blocks (bursts), blocks in processes. Processes are the sample, since
what differs between two processes (memory layout, address randomisation) does not average out inside one
(Georges et al. 2007, "Statistically rigorous Java performance evaluation"; Kalibera & Jones 2013, "Rigorous
benchmarking in reasonable time").
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import t as student

from assay.records import Interval

RESAMPLES = 500
LEAST_PROCESSES = 3
CONFIDENCE = 0.95


@dataclass(frozen=True)
class Samples:
    """Timed calls of one cell at one boundary.

    Attributes:
        process, block: int, (calls,): where each call belongs.
        values: float, (calls,): the measurement.
    """

    process: NDArray[np.int64]
    block: NDArray[np.int64]
    values: NDArray[np.float64]


def quantile_intervals(samples: Samples, quantiles: Sequence[float], seed: int = 0) -> list[Interval]:
    """Quantiles over all calls, each with a 95 % hierarchical bootstrap interval.

    Processes are drawn with replacement, then blocks within each (Davison & Hinkley 1997, section 3.8); the calls of a
    block stay together, since neighbours resemble each other. A draw is kept as weights on the sorted calls, so that
    its quantiles need no sorting. A single process is all there is to draw from: the interval then only covers what
    varies within it.
    """
    order = np.argsort(samples.values, kind="stable")
    values = samples.values[order]
    cluster, cluster_of = _clusters(samples)
    cluster_of = cluster_of[order]
    weights = np.ones((1, len(cluster)))
    weights = np.concatenate([weights, _draws(cluster, np.random.default_rng(seed))])
    found = np.empty((len(weights), len(quantiles)))
    for row, weight in enumerate(weights):
        reached = np.cumsum(weight[cluster_of])
        places = np.searchsorted(reached, np.asarray(quantiles) * reached[-1])
        found[row] = values[np.minimum(places, len(values) - 1)]
    low, high = np.percentile(found[1:], [2.5, 97.5], axis=0)
    return [
        Interval(value=float(found[0, i]), low=float(min(low[i], found[0, i])), high=float(max(high[i], found[0, i])))
        for i in range(len(quantiles))
    ]


def _clusters(samples: Samples) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The distinct (process, block) pairs as an array of process numbers, and each call's index into it."""
    pairs = np.stack([samples.process, samples.block], axis=1)
    distinct, place = np.unique(pairs, axis=0, return_inverse=True)
    return distinct[:, 0], place.reshape(-1)


def _draws(process_of: NDArray[np.int64], random: np.random.Generator) -> NDArray[np.float64]:
    """How often each block occurs in each of the resamples: (RESAMPLES, blocks)."""
    processes = np.unique(process_of)
    weights = np.zeros((RESAMPLES, len(process_of)))
    for row in weights:
        for process in random.choice(processes, len(processes)):
            blocks = np.flatnonzero(process_of == process)
            np.add.at(row, random.choice(blocks, len(blocks)), 1)
    return weights


def paired_ratio(numerator: Samples, denominator: Samples) -> Interval | None:
    """Ratio of two cells measured in the same interleaved blocks, with its 95 % interval.

    Each block gives the logarithm of the ratio of its two medians; each process, the median of its blocks. With three
    or more processes the interval is Student's over processes; with fewer it is over all blocks, and leaves out how
    processes differ. None when no block has both.
    """
    logs = _block_logs(numerator, denominator)
    if not logs:
        return None
    by_process: dict[int, list[float]] = {}
    for (process, _), value in logs.items():
        by_process.setdefault(process, []).append(value)
    units = [float(np.median(values)) for values in by_process.values()]
    if len(units) < LEAST_PROCESSES:
        units = list(logs.values())
    centre, half = float(np.mean(units)), student_half_width(units)
    return Interval(value=math.exp(centre), low=math.exp(centre - half), high=math.exp(centre + half))


def student_half_width(values: Sequence[float]) -> float:
    """Half the width of Student's 95 % interval of a mean; infinite for fewer than two values."""
    if len(values) < 2:
        return 700.0  # exp(700) is about the largest double: an interval that says nothing
    deviation = float(np.std(values, ddof=1))
    return float(student.ppf((1 + CONFIDENCE) / 2, len(values) - 1)) * deviation / math.sqrt(len(values))


def _block_logs(numerator: Samples, denominator: Samples) -> dict[tuple[int, int], float]:
    """Logarithm of the ratio of medians for every block that both have."""
    above, below = _block_medians(numerator), _block_medians(denominator)
    return {block: math.log(above[block] / below[block]) for block in above.keys() & below.keys()}


def _block_medians(samples: Samples) -> dict[tuple[int, int], float]:
    process_of, place = _clusters(samples)
    order = np.argsort(place, kind="stable")
    parts = np.split(samples.values[order], np.flatnonzero(np.diff(place[order])) + 1)
    blocks = samples.block[order][np.searchsorted(place[order], np.arange(len(process_of)))]
    return {
        (int(process), int(block)): float(np.median(part))
        for process, block, part in zip(process_of, blocks, parts, strict=True)
    }
