"""How an output of a user's model in reduced precision is judged: whether it follows the reference.

Nobody knows what the numbers of a foreign model are for, so that the policy of `assay.numerics.reduced`, which is about
classes, says nothing of them. What can be said of any output is how much of what varies in the reference from record to
record is still there: the root-mean-square error over the reference's own deviation from the mean of each number. That
is sqrt(1 - R^2) of the coefficient of determination; zeros, or an output that is the same for all records, have 1 and
more, however large the numbers are. What does not vary, or is of one record, is held against its own size.

int8 of the reference study's models has 3 to 4 % on images of the data. A tenth, R^2 of 0.99, is twice that and more,
and far from anything that lost a layer's range. It is a default and no law: the error stands in the record.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from assay.numerics.precisions import is_less_exact
from assay.numerics.ties import Decider

LARGEST_SHARE = 0.1
FOLLOWING_POLICY = (
    f"a root-mean-square error of at most {LARGEST_SHARE:.0%} of what varies in the reference from record to record"
)

Float64 = NDArray[np.float64]


def is_reduced(precision: str, arithmetic: str) -> bool:
    """Whether a run computes in less than its model does, and is judged by how it follows it.

    Args:
        precision: that the run was asked to compute in, "" where nobody asked.
        arithmetic: that the model computes in.
    """
    return is_less_exact(precision, arithmetic) and is_less_exact(precision, "fp32")


def deviation_of(reference: Float64) -> float:
    """What an error of an output is a share of: the root-mean-square of what varies in it, else of itself.

    Args:
        reference: (records, numbers), finite.
    """
    varying = reference - reference.mean(axis=0) if len(reference) > 1 else reference
    varies = _rms(varying)
    return varies if varies > np.finfo(np.float32).eps * np.abs(reference).max(initial=0.0) else _rms(reference)


def share_of_error(errors: Float64, deviation: float) -> float:
    """The root-mean-square error over the deviation; infinite where there is an error of nothing."""
    error = _rms(errors)
    return error / deviation if deviation else (float("inf") if error else 0.0)


def reason_against_share(share: float) -> str:
    """Why an output does not follow its reference, or ""."""
    if share <= LARGEST_SHARE:
        return ""
    return (
        f"the error is {share:.0%} of what varies in the reference (root-mean-square), {LARGEST_SHARE:.0%} is allowed"
    )


def widened(decider: Decider | None) -> Decider | None:
    """What decides an index, as far apart as an output in reduced precision may be from its reference: an index may be
    another one where the values that it chooses from are closer than that.
    """
    if decider is None:
        return None
    return replace(decider, tolerance=LARGEST_SHARE * deviation_of(decider.values.reshape(len(decider.values), -1)))


def _rms(values: Float64) -> float:
    return float(np.sqrt(np.mean(np.square(values)))) if values.size else 0.0
