"""How two outputs of one model are compared, and how far apart they may be.

The reference is the float64 forward pass. The tolerance is derived from how far a correct fp32 run of the
same weights on the same images is from that reference, not chosen:

    tolerance = min(FACTOR x (native error + noise), CEILING x scale), and at least FLOOR_ULPS ulps at that scale

where the native error is the largest |native - reference|, the noise the largest difference between two runs of the
same native program (0 where it was not measured), and the scale the largest |reference|, all over all logits of
all images given. `derive_tolerance` takes the outputs, `tolerance_of_errors` what was measured of them piece by
piece: one rule, for the checks after an export and for the audit.

- FACTOR. Two correct fp32 runs differ in the order of their sums. The rounding error of a sum of n terms
  grows like sqrt(n) u when it is taken term by term, and like sqrt(n/b + b) u when it is taken in blocks of b
  (Higham, "Accuracy and Stability of Numerical Algorithms", 2nd ed. 2002, sections 4.2 and 4.3, which bound
  it by n u and (n/b + b) u; Higham and Mary, "A New Approach to Probabilistic Rounding Error Analysis", SIAM
  J. Sci. Comput. 41, 2019, for the square roots). For the longest sum of our models, 3x3x512 = 4608 terms,
  the ratio between the worst order and the best block is sqrt(4608 / (2 x 68)) = 6. Folding BatchNorm into
  a convolution rounds every weight once more, and the largest of a few logits' errors is itself a random
  number: together allowed another factor of 2.5, hence 16.
- FLOOR_ULPS. A native run can be exact by luck. The last layer alone, a sum of 512 terms, has an error of
  about sqrt(512) u, which is 11 ulps (u is half an ulp); 16 is the next power of two.
- CEILING. The next coarser arithmetic, TF32 or fp16, has the unit roundoff 2^-11. A run that is further than half of
that from the reference, relative to the scale, did not compute in fp32, so no tolerance exceeds it, and a native run
that does measures nothing.

A model that itself computes in fp16 or bf16 is held to `assay.numerics.rounding` instead, against the same float64.

Defects are far outside: measured on our models, the tanh form of GELU in place of the exact one, a BatchNorm
epsilon of 1e-3 for 1e-5 and a max-pool that lost its padding are each refused (tests/export/checking/test_check.py).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from assay.numerics.reduced import BY_ERROR, ReducedRule
from assay.numerics.rounding import CEILING as CEILING_OF_FP32
from assay.numerics.rounding import FP32, NARROW_FLOOR, Rounding, one_rounding, rounding_of, rounding_seen
from assay.records.results import Agreement

FACTOR = int(FP32.factor)
FLOOR_ULPS = 16
CEILING = CEILING_OF_FP32

NOT_COMPARED = -1.0
"""Stands for a difference that could not be measured; JSON has no NaN."""

Logits = NDArray[np.floating]


@dataclass(frozen=True)
class Tolerance:
    """The result of `derive_tolerance`.

    Attributes:
        value: largest |output - reference| that passes; 0 where `problem` says why there is none.
        derivation: how it was derived, in words.
        problem: why nothing can be compared with this reference, or "".
    """

    value: float
    derivation: str
    problem: str = ""


def derive_tolerance(reference: Logits, natives: Mapping[str, Logits]) -> Tolerance:
    """Derive the tolerance for outputs on the images of `reference`; the module's text says how and why.

    Args:
        reference: float64 logits, (images, classes).
        natives: logits of correct runs on the same images, by a name for the derivation's text.
    """
    problem = _reference_problem(reference) or _natives_problem(reference, natives)
    if problem:
        return Tolerance(0.0, "none could be derived", problem)
    scale = float(np.abs(reference).max())
    errors = {name: _largest_difference(native, reference) for name, native in natives.items()}
    return tolerance_of_errors(scale, errors, len(reference))


def tolerance_of_errors(
    scale: float, errors: Mapping[str, float], images: int, noise: float = 0.0, arithmetic: str = "fp32"
) -> Tolerance:
    """Derive the same tolerance from errors that were measured before.

    Args:
        scale: largest |reference|.
        errors: largest |native - reference| of correct runs, by name.
        images: number of images they were measured on, for the derivation's text.
        noise: largest difference between two runs of the same native program.
        arithmetic: number format that the model computes in; see `assay.numerics.rounding`.
    """
    if not errors or scale <= 0:
        what = "there is no native output" if not errors else "the reference is zero everywhere"
        return Tolerance(0.0, "none could be derived", f"{what} to derive a tolerance from")
    name = max(errors, key=lambda key: errors[key])
    rounding = rounding_seen(arithmetic, errors[name] / scale)
    ceiling = rounding.ceiling * scale
    for one, error in errors.items():
        if not error <= ceiling:
            return Tolerance(0.0, "none could be derived", _not_in(rounding, one, error, scale))
    floor = max(FLOOR_ULPS * float(np.spacing(np.float32(scale))), rounding.floor * scale)
    value = max(min(rounding.factor * (errors[name] + noise), ceiling), floor)
    noisy = f" with {noise:.2g} between two runs of one program" if noise else ""
    least = f"{NARROW_FLOOR:g} roundings" if rounding.floor else f"{FLOOR_ULPS} ulps"
    most = rounding.in_words.partition(",")[0]
    derivation = (
        f"{rounding.factor:g} x {errors[name]:.2g}, the largest error of {name} in {rounding.precision} against "
        f"float64 on {images} inputs{noisy}; at least {least} ({floor:.2g}) and at most {most} ({ceiling:.2g})"
    )
    return Tolerance(value, derivation)


def tolerance_of_sound(
    scale: float,
    errors: Mapping[str, float],
    images: int,
    noise: float = 0.0,
    arithmetic: str = "fp32",
    *,
    may_be_wider: bool = False,
) -> Tolerance:
    """Derive the same tolerance from the errors of several runs; one that did not compute in the model's precision
    measures nothing and is left out, unless all are like that. They `may_be_wider` than that precision.
    """
    ceiling = rounding_of(arithmetic).ceiling * scale
    sound = {name: error for name, error in errors.items() if error <= ceiling} or dict(errors)
    if may_be_wider and sound:
        sound |= one_rounding(arithmetic, scale)
    return tolerance_of_errors(scale, sound, images, noise, arithmetic)


def compare(
    subject: str,
    candidate: Logits,
    reference: Logits,
    tolerance: Tolerance,
    precision: str = "fp32",
    rule: ReducedRule = BY_ERROR,
) -> Agreement:
    """Compare a candidate's logits with the reference's on the same images.

    Outputs that cannot be compared (no images, another shape, values that are not finite, no tolerance) have failed.

    Args:
        subject: name of the compared output, for the record.
        candidate: logits of any floating type, (images, classes).
        reference: float64 logits, same shape.
        tolerance: from `derive_tolerance`, of these images or of more.
        precision: number format that the candidate says it computes in; for all but "fp32" see `compare_reduced`.
        rule: the task's rule for those formats.
    """
    if precision != "fp32":
        return compare_reduced(subject, candidate, reference, rule)
    problem = tolerance.problem or _reference_problem(reference) or _candidate_problem(candidate, reference)
    if problem:
        return without_numbers(subject, len(reference) if reference.ndim else 0, problem, tolerance)
    largest = _largest_difference(candidate, reference)
    passed = largest <= tolerance.value
    return Agreement(
        subject=subject,
        images=len(reference),
        max_absolute=largest,
        max_relative=largest / float(np.abs(reference).max()),
        tolerance=tolerance.value,
        derivation=tolerance.derivation,
        largest_moved=moved(candidate, reference),
        passed=passed,
        reason="" if passed else f"differs by {largest:.3g}, where {tolerance.value:.3g} is tolerated",
    )


def compare_reduced(subject: str, candidate: Logits, reference: Logits, rule: ReducedRule) -> Agreement:
    """Compare outputs computed in less than fp32, by the part of the task's rule that needs no labels. The audit judges
    how right answers are, on the whole test split.
    """
    tolerance = Tolerance(rule.limit, rule.words)
    problem = _reference_problem(reference) or _candidate_problem(candidate, reference)
    if problem:
        return without_numbers(subject, len(reference) if reference.ndim else 0, problem, tolerance)
    found = rule.measured(reference.astype(np.float64, copy=False), candidate)
    reason = rule.reason(found)
    return Agreement(
        subject=subject,
        images=found.images,
        max_absolute=found.max_absolute,
        max_relative=found.max_relative,
        tolerance=tolerance.value,
        derivation=tolerance.derivation,
        largest_moved=moved(candidate, reference),
        passed=not reason,
        reason=reason,
    )


@dataclass(frozen=True)
class JudgeOfImages:
    """The judge of outputs of one of our architectures, in an export's check and where they are timed.

    The one for users' own models is `assay.train.brought.agreement.Judge`.

    Attributes:
        reference: float64 logits (images, classes).
        natives: correct fp32 logits of the same images by a name; the tolerance is derived from them.
        rule: the task's rule for computing in less than fp32.
    """

    reference: Logits
    natives: Mapping[str, Logits]
    rule: ReducedRule = BY_ERROR

    @cached_property
    def tolerance(self) -> Tolerance:
        """The tolerance for all images."""
        return derive_tolerance(self.reference, self.natives)

    def compare(self, subject: str, rows: Logits, places: NDArray[np.integer], precision: str = "") -> Agreement:
        """
        Args:
            places: (n,), which images the rows are of.
            precision: by which they are judged; "" for fp32.
        """
        return compare(subject, rows, self.reference[places], self.tolerance, precision or "fp32", self.rule)


def without_numbers(subject: str, images: int, reason: str, tolerance: Tolerance = Tolerance(0.0, "")) -> Agreement:
    """Return the record of an output without a distance: a failure, unless there is no reason against it."""
    distance = NOT_COMPARED if reason else 0.0
    return Agreement(
        subject=subject,
        images=images,
        max_absolute=distance,
        max_relative=distance,
        tolerance=tolerance.value,
        derivation=tolerance.derivation,
        largest_moved=0,
        passed=not reason,
        reason=reason,
    )


def _reference_problem(reference: Logits) -> str:
    """Return why a reference cannot be compared with, or ""."""
    if reference.dtype != np.float64:
        return f"the reference is {reference.dtype}, not float64"
    if reference.ndim != 2 or reference.size == 0:
        return f"the reference has shape {reference.shape}, which has no rows of outputs to compare"
    if not np.isfinite(reference).all():
        return "the reference has non-finite values"
    if not reference.any():
        return "the reference is zero everywhere, which is also the output of a model that does nothing"
    return ""


def _natives_problem(reference: Logits, natives: Mapping[str, Logits]) -> str:
    """Return why native outputs tell nothing about rounding, or ""."""
    if not natives:
        return "there is no native output to derive a tolerance from"
    for name, native in natives.items():
        problem = _candidate_problem(native, reference)
        if problem:
            return f"the native output of {name} cannot serve as a measure: {problem}"
    return ""


def _not_in(rounding: Rounding, name: str, error: float, scale: float) -> str:
    return (
        f"the native output of {name} is itself {error:.3g} from float64, more than "
        f"{rounding.in_words.partition(',')[0]} ({scale:.3g}): it did not compute this model in {rounding.precision}"
    )


def _candidate_problem(candidate: Logits, reference: Logits) -> str:
    """Return why an output cannot be compared with a good reference, or ""."""
    if candidate.size == 0:
        return "no outputs"
    if candidate.shape != reference.shape:
        return f"outputs of shape {candidate.shape}, expected {reference.shape}"
    if not np.issubdtype(candidate.dtype, np.floating):
        return f"outputs of type {candidate.dtype}, expected floating point"
    broken = int((~np.isfinite(candidate)).sum())
    return f"{broken} of {candidate.size} outputs are not finite" if broken else ""


def moved(candidate: Logits, reference: Logits) -> int:
    """Count the rows, (rows, numbers), whose largest number is in another place."""
    return int((candidate.argmax(axis=1) != reference.argmax(axis=1)).sum())


def _largest_difference(left: Logits, right: Logits) -> float:
    return float(np.abs(left.astype(np.float64) - right.astype(np.float64)).max())
