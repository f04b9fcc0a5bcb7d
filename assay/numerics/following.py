"""How an output of a user's model in reduced precision is judged: by whether it follows the reference.

Nobody knows what the numbers of a foreign model are for, so the policy of `assay.numerics.reduced`, which is about
classes, does not apply to them. For any output one can measure how much of the reference's variation from record to
record is kept: the root-mean-square error over the reference's own deviation from the mean of each number. That is
sqrt(1 - R^2), with the coefficient of determination R^2; zeros, or an output that is the same for all records, have 1
or more, however large the numbers are. An output that does not vary, or has only one record, is judged relative to its
own size.

A model that is itself quantised is judged in the same way, against float64 of the weights that it stores: a value that
nearly ties between two steps is rounded the other way by another order of sums, which moves it by a whole step, and no
rounding of fp32 explains that.

int8 of the reference study's models has 3 to 4 % on images of the data. A tenth, an R^2 of 0.99, is more than twice
that, and far from any model that lost a layer's range. It is a default, not a law: the error itself is in the record.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from assay.numerics.precisions import is_less_exact, is_quantised
from assay.numerics.values import Settled, is_whole

LARGEST_SHARE = 0.1
MOST_BYTES_OF_STEPS = 2
FOLLOWING_POLICY = (
    f"a root-mean-square error of at most {LARGEST_SHARE:.0%} of what varies in the reference from record to record"
)

Float64 = NDArray[np.float64]


def is_reduced(precision: str, arithmetic: str) -> bool:
    """Return whether a run is judged by how well it follows: it computes in less than its model does, or the model is
    itself quantised.

    Args:
        precision: the precision requested of the run, "" for none.
        arithmetic: the precision that the model computes in.
    """
    return is_quantised(arithmetic) or is_variant(precision, arithmetic)


def is_variant(precision: str, arithmetic: str) -> bool:
    """Return whether the requested precision is less exact than fp32 and than that of the model."""
    return is_less_exact(precision, arithmetic) and is_less_exact(precision, "fp32")


def is_counted(dtype: str, arithmetic: str) -> bool:
    """Return whether the numbers of an output are whole ones that have to be equal. In a quantised model, integers of
    one or two bytes are steps of a scale, and follow as other numbers do.
    """
    kind = np.dtype(dtype)
    steps = is_quantised(arithmetic) and kind.kind in "iu" and kind.itemsize <= MOST_BYTES_OF_STEPS
    return is_whole(kind) and not steps


def deviation_of(reference: Float64) -> float:
    """Return the quantity that an error is divided by: the root-mean-square of the variation, or without any, of the
    output.

    Args:
        reference: (records, numbers), finite.
    """
    varying = reference - reference.mean(axis=0) if len(reference) > 1 else reference
    varies = _rms(varying)
    return varies if varies > np.finfo(np.float32).eps * np.abs(reference).max(initial=0.0) else _rms(reference)


def share_of_error(errors: Float64, deviation: float) -> float:
    """Return the root-mean-square error over the deviation; infinite where an error is divided by zero."""
    error = _rms(errors)
    return error / deviation if deviation else (float("inf") if error else 0.0)


def reason_not_followed(both: Settled) -> str:
    """Return why an output, (records, numbers), does not follow its reference, or ""."""
    return both.problem or reason_against_share(share_of_error(both.errors, deviation_of(both.reference)))


def reason_against_share(share: float) -> str:
    """Return why an output does not follow its reference, or ""."""
    if share <= LARGEST_SHARE:
        return ""
    varies = "what varies in the reference (root-mean-square)"
    return f"the error is {share:.0%} of {varies}, {LARGEST_SHARE:.0%} is allowed"


def _rms(values: Float64) -> float:
    return float(np.sqrt(np.mean(np.square(values)))) if values.size else 0.0
