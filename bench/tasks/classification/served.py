"""The answers of a deployable graph over the whole test split, judged against the float64 reference's probabilities.

How far a probability may be from the reference's follows from how far a logit may be. Let no logit differ by more than
t. Between the two logit vectors lies a straight line, along which dp_i = p_i (d_i - sum_j p_j d_j); the expression in
parentheses is p_i's own difference less a mean that contains it, so |dp_i| <= p_i (1 - p_i) 2 t <= t / 2. The softmax
itself is computed in fp32: exponentials, a sum of as many terms as there are classes and a division, each of at most
one unit roundoff u = 2^-24 (Higham, "Accuracy and Stability of Numerical Algorithms", 2nd ed. 2002, section 4.2 for the
sum; four u are allowed for the exponential, whose argument is rounded as well). Hence t / 2 + (classes + 6) u.

The audit of large images has float64 for a part and fp32 for all of them. An fp32 reference is itself as far from
float64 as a correct graph may be, so that the two may be twice as far apart, and so may a server and the audited
answers.

A graph of reduced precision is judged by `assay.numerics.classification.reduced`, as everywhere.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from assay.errors import FailedError
from assay.numerics.classification.measuring import ClassAccumulator
from assay.numerics.classification.reduced import REDUCED_PRECISION_POLICY, reason_against_reduced
from assay.numerics.distributions import softmax
from assay.numerics.numbers import Measured
from assay.records.audit import ModelAudit
from assay.records.deployment import ServedTolerance

UNIT_ROUNDOFF = 2.0**-24
SOFTMAX_OPERATIONS = 6
LEAST_PROBABILITY = float(np.finfo(np.float32).smallest_subnormal)

Probabilities = NDArray[np.float32]


def judge_answers(
    probabilities: Probabilities,
    reference: NDArray[np.floating],
    labels: NDArray[np.int64],
    audit: ModelAudit,
    precision: str,
    spread: float,
    *,
    in_fp32: bool = False,
) -> ServedTolerance:
    """Compare a classifier's answers with the reference, and derive how far a server's may be from them.

    Args:
        probabilities: probabilities by the deployable graph, (images, classes).
        reference: logits of the same images, (images, classes).
        labels: true classes of the images.
        audit: record with the tolerance of a logit.
        precision: precision of the graph.
        spread: largest difference of a probability between correct evaluations of the file.
        in_fp32: whether the reference was computed in fp32.

    Raises:
        FailedError: they are further away than rounding explains, or the policy is not met.
    """
    exact = reference.astype(np.float64, copy=False)
    if precision != "fp32":
        return _judge_reduced(probabilities, exact, labels, spread)
    tolerance = next((one for one in audit.tolerances if one.inputs == "test" and not one.for_subject), None)
    if tolerance is None or tolerance.problem:
        raise FailedError(
            "The audit has no tolerance for the test images", found=tolerance.problem if tolerance else None
        )
    classes = reference.shape[1]
    allowed = tolerance.value / 2 + (classes + SOFTMAX_OPERATIONS) * UNIT_ROUNDOFF
    apart = 2 * allowed if in_fp32 else allowed
    largest = float(np.abs(probabilities - softmax(exact)).max())
    if not largest <= apart:
        raise FailedError(
            "The deployable graph's probabilities are not the reference's",
            expected=f"at most {apart:.3g} apart",
            found=f"{largest:.3g}",
            remedy="The graph that was audited is right, so its input or output is not: this is a defect in Assay",
        )
    audited = (
        "as much again for the audited answers, compared with a reference in fp32"
        if in_fp32
        else f"{largest:.2g} that the audited answers are from it"
    )
    return ServedTolerance(
        value=allowed + (allowed if in_fp32 else largest),
        derivation=(
            f"{allowed:.2g} from the float64 reference (half of {tolerance.value:.2g} for a logit, and {classes} + "
            f"{SOFTMAX_OPERATIONS} units of fp32 rounding), and {audited}"
        ),
    )


def most_of_a_probability(audited: float, classes: int, precision: str) -> float:
    """Return the greatest tolerance of a probability by `judge_answers`, where that of a logit is `audited`.

    It is twice as large as the logits allow, since the audited answers themselves are so near. The policy for
    reduced precision has no such number; a probability is no further than 1 from another.
    """
    return 2 * (audited / 2 + (classes + SOFTMAX_OPERATIONS) * UNIT_ROUNDOFF) if precision == "fp32" else 1.0


def _judge_reduced(
    probabilities: Probabilities, reference: NDArray[np.float64], labels: NDArray[np.int64], spread: float
) -> ServedTolerance:
    measured = measured_of(probabilities, reference, labels)
    reason = reason_against_reduced(measured)
    if reason:
        raise FailedError("The deployable graph does not meet the policy for reduced precision", found=reason)
    classes = reference.shape[1]
    rounding = (classes + SOFTMAX_OPERATIONS) * UNIT_ROUNDOFF
    return ServedTolerance(
        value=2 * spread + rounding,
        derivation=(
            f"twice {spread:.2g}, the largest difference of a probability between correct evaluations of the same file "
            f"(other batches, and without graph optimisations), and {classes} + {SOFTMAX_OPERATIONS} units of fp32 "
            f"rounding; against the reference: {REDUCED_PRECISION_POLICY}"
        ),
    )


def measured_of(probabilities: Probabilities, reference: NDArray[np.float64], labels: NDArray[np.int64]) -> Measured:
    """Return the measures of probabilities against reference logits; logits of both are relative to their log-sum."""
    exact = reference - reference.max(axis=1, keepdims=True)
    exact -= np.log(np.exp(exact).sum(axis=1, keepdims=True))
    found = np.log(np.maximum(probabilities.astype(np.float64), LEAST_PROBABILITY))
    accumulator = ClassAccumulator()
    accumulator.add(exact, found, labels)
    return accumulator.result()
