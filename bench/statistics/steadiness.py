"""Whether calls stay as fast as they were, and how much information each adds: pure functions over samples in time
order.

Processes differ, so each is examined by itself and the findings are combined.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from assay.bench.statistics.stats import Samples, block_medians
from assay.numerics.distributions import normal

DRIFT_LEVEL = 0.01
DRIFT_LARGEST = 0.05
Series = NDArray[np.float64]


@dataclass(frozen=True)
class CallSteadiness:
    """How steady the calls of one cell are.

    Attributes:
        drift: relative change of a block's median from a process's first block to its last, by Sen's slope; 0 with
            fewer than two blocks in every process.
        drift_p_value: chance of such a trend without any drift (seasonal Mann-Kendall); 1 where it cannot be told.
        drift_testable: whether the blocks are enough for any drift to be beyond doubt: of three blocks in each of three
            processes even a perfect trend has a chance of 1.6 %.
        call_autocorrelation: lag-1 correlation of neighbouring calls of a block; nan where no block has three calls.
        block_autocorrelation: lag-1 correlation of neighbouring blocks of a process; nan likewise.
        calls: number of calls.
        effective_calls: number of independent calls that would say as much about the mean.
    """

    drift: float
    drift_p_value: float
    drift_testable: bool
    call_autocorrelation: float
    block_autocorrelation: float
    calls: int
    effective_calls: float

    @property
    def drifts(self) -> bool:
        return is_drift(self.drift, self.drift_p_value)


def is_drift(drift: float, p_value: float) -> bool:
    """Check whether there is a significant trend (1 %), and it matters: more than 5 % over a process."""
    return p_value < DRIFT_LEVEL and abs(drift) > DRIFT_LARGEST


def steadiness(samples: Samples) -> CallSteadiness:
    """Return the drift over the blocks of each process, and how neighbours resemble each other."""
    medians = _medians_by_process(samples)
    drift, p_value = trend(medians)
    calls = autocorrelation(_calls_by_block(samples))
    return CallSteadiness(
        drift=drift,
        drift_p_value=p_value,
        drift_testable=least_p_value(medians) < DRIFT_LEVEL,
        call_autocorrelation=calls,
        block_autocorrelation=autocorrelation(medians),
        calls=len(samples.values),
        effective_calls=effective_samples(len(samples.values), calls),
    )


def trend(series: list[Series]) -> tuple[float, float]:
    """Return the relative change along the series, and the p-value of there being none.

    Each series is a season of the seasonal Mann-Kendall test (Hirsch, Slack & Smith 1982, "Techniques of trend
    analysis for monthly water quality data"), so that their levels may differ; Kendall's variance with its correction
    for ties, and for continuity. The change is the median of the slopes between all pairs of a series, in shares of
    the series' median (Sen 1968, "Estimates of the regression coefficient based on Kendall's tau"), times the longest
    series' length less one.
    """
    useful = [one for one in series if len(one) >= 2]
    if not useful:
        return 0.0, 1.0
    score = sum(_kendall_score(one) for one in useful)
    variance = sum(_kendall_variance(one) for one in useful)
    slopes = np.concatenate([_slopes(one / np.median(one)) for one in useful])
    change = float(np.median(slopes)) * (max(len(one) for one in useful) - 1)
    if variance == 0:
        return change, 1.0
    return change, _two_sided(abs(score), variance)


def least_p_value(series: list[Series]) -> float:
    """Return the p-value of the seasonal Mann-Kendall test where every series rises throughout: none is smaller."""
    lengths = [len(one) for one in series if len(one) >= 2]
    variance = sum(n * (n - 1) * (2 * n + 5) / 18 for n in lengths)
    return _two_sided(sum(n * (n - 1) / 2 for n in lengths), variance) if lengths else 1.0


def _two_sided(score: float, variance: float) -> float:
    """Return the chance of a score so far from zero, with the correction for continuity."""
    return 2 * normal(-max(score - 1, 0) / math.sqrt(variance))


def autocorrelation(series: list[Series]) -> float:
    """Return the lag-1 autocorrelation over series with levels of their own, or nan where none has three values.

    Deviations are taken from each series' own mean, which lowers the estimate by about (1 + 3r) / n for n values
    (Kendall 1954, "Note on bias in the estimation of autocorrelation"); this is corrected. In series shorter than some
    20 values it is still too low.
    """
    useful = [one - one.mean() for one in series if len(one) >= 3]
    power = sum(float(one @ one) for one in useful)
    if not useful or power == 0:
        return math.nan
    plain = sum(float(one[:-1] @ one[1:]) for one in useful) / power
    length = sum(len(one) for one in useful) / len(useful)
    return min(1.0, plain + (1 + 3 * plain) / length)


def effective_samples(count: int, lag_one: float) -> float:
    """Return how many independent values say as much about the mean as `count` with this lag-1 autocorrelation.

    For a first-order autoregressive series, n (1 - r) / (1 + r) (Bayley & Hammersley 1946, "The effective number of
    independent observations in an autocorrelated time series"); between 1 and n, and n where it is unknown.
    """
    if math.isnan(lag_one) or lag_one <= 0:
        return float(count)
    return min(float(count), max(1.0, count * (1 - lag_one) / (1 + lag_one)))


def _medians_by_process(samples: Samples) -> list[Series]:
    found: dict[int, list[float]] = {}
    for (process, _), median in block_medians(samples).items():
        found.setdefault(process, []).append(median)
    return [np.asarray(medians) for medians in found.values()]


def process_medians(samples: Samples) -> list[float]:
    """Return one time for each process: the median of its blocks' medians."""
    return [float(np.median(medians)) for medians in _medians_by_process(samples)]


def _calls_by_block(samples: Samples) -> list[Series]:
    """Return the calls of each block, in the order in which they were made."""
    order = np.lexsort((samples.block, samples.process))
    process, block = samples.process[order], samples.block[order]
    ends = np.flatnonzero((np.diff(process) != 0) | (np.diff(block) != 0)) + 1
    return np.split(samples.values[order], ends)


def _kendall_score(series: Series) -> float:
    """Return how many pairs rise less how many fall."""
    return float(sum(np.sign(series[place + 1 :] - series[place]).sum() for place in range(len(series) - 1)))


def _kendall_variance(series: Series) -> float:
    """Return the variance of the score, if the order were random."""
    _, ties = np.unique(series, return_counts=True)
    n = len(series)
    return float(n * (n - 1) * (2 * n + 5) - (ties * (ties - 1) * (2 * ties + 5)).sum()) / 18


def _slopes(series: Series) -> Series:
    """Return the slopes between all pairs of values, per step."""
    first, second = np.triu_indices(len(series), 1)
    slopes: Series = (series[second] - series[first]) / (second - first)
    return slopes
