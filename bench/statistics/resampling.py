"""Intervals and tests for any measure of a set of records, by drawing the records again. Pure functions.

An interval is the bootstrap's (Efron 1979, "Bootstrap methods: another look at the jackknife"): records are drawn again
with replacement, the measure is computed on them, and the percentiles are expanded as is right for few (Hesterberg
2015, "What Teachers Should Know About the Bootstrap", The American Statistician 69, section 5.3). Two sides that
answered the same records are measured on the same draws, so that what they have in common cancels out of their
difference.

The test of no difference between two sides is approximate randomisation (Noreen 1989, "Computer-Intensive Methods for
Testing Hypotheses"; Yeh 2000, "More accurate tests for the statistical significance of result differences", for
measures such as F1): without a difference it does not matter which side gave which of the two answers to a record, so
they are exchanged by a coin, record by record.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from assay.numerics.distributions import normal, student_quantile
from assay.records.base import Interval

RESAMPLES, SEED = 1000, 0
ROUNDING = 1e-12
"""The relative difference by which two sums of the same numbers may differ."""

Floats = NDArray[np.float64]


def _tail_of(records: int) -> float:
    """Return the probability below the lower percentile of a 95 % interval over so many records, two or more."""
    return normal(-math.sqrt(records / (records - 1)) * student_quantile(records - 1, 0.975))


def interval_over(value: float, draws: Floats, records: int) -> Interval:
    """Return a measure with its interval from its values on draws, (draws,); none of them may be NaN."""
    tail = _tail_of(records)
    low, high = np.quantile(draws, [tail, 1 - tail])
    return Interval(value=value, low=min(float(low), value), high=max(float(high), value))


def exchanged_p_value(difference: float, exchanged: Floats) -> float:
    """Return the two-sided p-value of a difference, from the differences after exchanges, (draws,).

    The data as they are count as one of the exchanges, so that it is never zero (Phipson & Smyth 2010, "Permutation
    p-values should never be zero"). An undefined difference, NaN, counts as one that is as large.
    """
    least = abs(difference) * (1 - ROUNDING)
    as_large = int((~(np.abs(exchanged) < least)).sum())
    return (1 + as_large) / (1 + len(exchanged))
