"""Calls of several processes that ran at the same time: their throughput while all of them ran. Pure functions.

Only the window in which every process was calling is counted, from the latest first call to the earliest last end, and
only the calls that lie wholly in it: at both ends some process has the machine to itself. A process's rate is that of
its whole calls over the time from the first one's beginning to the last one's end, so that no fraction of a call is
lost, however long a call is; the rates are added. The sample is the set of fresh processes, as a process is elsewhere
(`assay.bench.statistics.stats`).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from assay.bench.statistics.stats import Ratio, standard_error
from assay.records.base import Interval

Stamps = NDArray[np.int64]
"""Calls of a process, (calls, 2): beginning and end of each, in nanoseconds of the machine's monotonic clock."""


@dataclass(frozen=True)
class Together:
    """Throughput of the processes of one set in the window that they have in common.

    Attributes:
        calls_a_second: calls per second of all processes together.
        calls_ms: for each process, the times of its calls in the window, in the order of time.
    """

    calls_a_second: float
    calls_ms: tuple[NDArray[np.float64], ...]

    @property
    def median_ms(self) -> float:
        return float(np.median(np.concatenate(self.calls_ms)))

    @property
    def fewest(self) -> int:
        """Number of calls of the process that has the fewest."""
        return min(map(len, self.calls_ms))


def common_window(processes: Sequence[Stamps]) -> tuple[int, int]:
    """Return beginning and end of the time when all were calling; the end is not later where there is no such time."""
    return max(int(one[0, 0]) for one in processes), min(int(one[-1, 1]) for one in processes)


def together(processes: Sequence[Stamps]) -> Together | None:
    """Return the throughput of one set, or None where a process has no whole call while all ran.

    Args:
        processes: stamps of each process, at least one call long.
    """
    begin, end = common_window(processes)
    kept = [one[(one[:, 0] >= begin) & (one[:, 1] <= end)] for one in processes]
    if not all(len(one) for one in kept):
        return None
    rates = [len(one) * 1e9 / max(int(one[-1, 1] - one[0, 0]), 1) for one in kept]
    return Together(sum(rates), tuple((one[:, 1] - one[:, 0]) / 1e6 for one in kept))


def mean_interval(values: Sequence[float]) -> Interval:
    """Return the geometric mean of one value per set, with its 95 % interval (Student's, of the logarithms)."""
    return _mean([math.log(value) for value in values]).interval


def ratio_interval(above: Sequence[float], below: Sequence[float]) -> Interval:
    """Return the geometric mean of the ratios of two values of each round, with its 95 % interval."""
    return _mean([math.log(one / other) for one, other in zip(above, below, strict=True)]).interval


def ratio_of_sets(above: Sequence[float], below: Sequence[float]) -> Ratio:
    """Return the ratio of one set of values to another, by the rounds that both were measured in."""
    return _mean([math.log(one / other) for one, other in zip(above, below, strict=False)])


def _mean(logs: Sequence[float]) -> Ratio:
    if len(logs) < 2:
        return Ratio(logs[0], 0.0, 0, 1, 1)
    error, degrees = standard_error(logs)
    return Ratio(float(np.mean(logs)), error, degrees, len(logs), len(logs))
