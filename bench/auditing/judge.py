"""The way from outputs on disk to the records of an audit: no process is started, and only pieces of arrays are
held.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from assay.bench.auditing.record import ComparedOutputs
from assay.bench.auditing.runs import (
    BATCHES,
    BOUNDARY,
    EXTREME,
    FULL_BATCH,
    HARD,
    WHOLE,
    AuditCall,
    AuditPlan,
    Inputs,
    Outputs,
    answering,
)
from assay.errors import InputError
from assay.files.arrays import map_array
from assay.numerics.agreement import CEILING, tolerance_of_sound
from assay.numerics.numbers import Measured, delivered_precision
from assay.numerics.reduced import BY_ERROR, ReducedRule, reason_against_any, reason_by_error
from assay.records.audit import AuditedTolerance, Comparison, Determinism, Propagation
from assay.registry import FRAMEWORKS

ROWS_AT_ONCE = 1024
INTEGER_RANGE = (
    "integers cover the range of the calibration images; larger values that these images give in a layer are clipped"
)
OUT_OF_RANGE = {
    ("int8", HARD): INTEGER_RANGE,
    ("int8", EXTREME): INTEGER_RANGE,
    ("fp16", EXTREME): "fp16 ends at 65,504, which these images may exceed inside a model",
}
"""Reasons why even a right model of a precision need not follow the reference on a set of inputs."""

Logits = NDArray[np.floating]


@dataclass(frozen=True)
class AuditEvidence:
    """Everything that was computed of one model.

    Attributes:
        outputs: outputs of every subject that ran.
        references: .npy file of float64 logits, by set of inputs.
        rule: the task's rule for computing in less than fp32.
    """

    plan: AuditPlan
    outputs: Sequence[Outputs]
    references: Mapping[str, Path]
    rule: ReducedRule

    @property
    def natives(self) -> list[Outputs]:
        """The outputs of the frameworks' own runtimes that compute in fp32."""
        own = [one for one in self.outputs if one.candidate.framework in FRAMEWORKS and not one.ran.otherwise]
        return [one for one in own if one.precision == "fp32"]


def judge_all(evidence: AuditEvidence) -> ComparedOutputs:
    """Judge every subject on every set of inputs, by the tolerance for it."""
    tolerances: list[AuditedTolerance] = []
    comparisons: list[Comparison] = []
    determinism = {one.candidate.label: determinism_of(one, evidence.plan) for one in evidence.outputs}
    noise = max((determinism[one.candidate.label].repeated for one in evidence.natives), default=0.0)
    for inputs in evidence.plan.sets:
        whole = {one.candidate.label: _measured(evidence, one, inputs) for one in evidence.outputs}
        natives = {one.candidate.label: whole[one.candidate.label] for one in evidence.natives}
        common = tolerance_for(inputs.name, "", natives, noise)
        tolerances.append(common)
        best = max((one.effective_bits for one in natives.values() if isinstance(one, Measured)), default=0.0)
        for outputs in evidence.outputs:
            label = outputs.candidate.label
            tolerance = common
            others = {name: found for name, found in natives.items() if name != label and _is_sound(found)}
            if label in natives and others:  # its own error is not a measure of itself
                tolerance = tolerance_for(inputs.name, label, others, noise)
                tolerances.append(tolerance)
            found = _comparisons(evidence, outputs, inputs, whole[label], tolerance, best)
            comparisons += [answering(one, outputs.ran) for one in found]
    return ComparedOutputs(tolerances, comparisons, [one.ran for one in evidence.outputs], list(determinism.values()))


def tolerance_for(inputs: str, subject: str, natives: Mapping[str, Measured | str], noise: float) -> AuditedTolerance:
    """Derive the tolerance that these native runs give; `natives` has the reason for one that could not be measured."""
    usable = {name: one for name, one in natives.items() if isinstance(one, Measured)}
    measured = {name: one for name, one in usable.items() if not one.not_finite and not one.lost}
    scale = max((one.scale for one in measured.values()), default=0.0)
    errors = {name: one.max_absolute for name, one in measured.items()}
    images = max((one.images for one in measured.values()), default=0)
    found = tolerance_of_sound(scale, errors, images, noise)
    return AuditedTolerance(
        inputs=inputs,
        for_subject=subject,
        value=found.value,
        derivation=found.derivation,
        scale=scale,
        native_errors=errors,
        noise=noise,
        problem=found.problem,
    )


def _is_sound(found: Measured | str) -> bool:
    """Return whether a native run can serve as a measure of rounding in fp32."""
    return isinstance(found, Measured) and not found.not_finite and found.max_absolute <= CEILING * found.scale


def _comparisons(
    evidence: AuditEvidence,
    outputs: Outputs,
    inputs: Inputs,
    whole: Measured | str,
    tolerance: AuditedTolerance,
    native_bits: float,
) -> Iterator[Comparison]:
    """Iterate over the comparisons of the whole set and, for the test split, of the sample at every batch size and
    number of threads.
    """
    plan = evidence.plan
    label, precision = outputs.candidate.label, outputs.precision
    rule = evidence.rule
    yield judged(label, plan.whole(inputs.name), whole, tolerance, native_bits, precision, rule)
    if inputs is not plan.sets[0]:
        return
    if plan.split and plan.whole(WHOLE) in outputs.files:
        found = _measured(evidence, outputs, plan.split)
        yield judged(label, plan.whole(WHOLE), found, tolerance, native_bits, precision, rule)
    labels = inputs.labels if precision == "fp32" else None  # a sample cannot show how little is lost
    for threads in plan.threads:
        for batch in BATCHES:
            call = plan.sampled(batch, threads)
            if call != plan.whole(inputs.name):
                exact = evidence.references[inputs.name]
                found = measured_or_reason(exact, outputs.files[call], call.images, labels, rule)
                yield judged(label, call, found, tolerance, native_bits, precision, rule)


def judged(
    subject: str,
    call: AuditCall,
    found: Measured | str,
    tolerance: AuditedTolerance,
    native_bits: float,
    precision: str = "fp32",
    rule: ReducedRule = BY_ERROR,
) -> Comparison:
    """Return the record of one comparison.

    Args:
        precision: precision that the subject says it computes in.
        found: the measures, or the reason why there are none.
        native_bits: the most effective bits of a native fp32 run on the same inputs.
        rule: rule for computing in less than fp32.
    """
    measured = found if isinstance(found, Measured) else None
    delivered, note = "", ""
    if measured and measured.images:
        delivered = delivered_precision(measured.effective_bits, native_bits, measured.stored_bits)
    if isinstance(found, str):
        reason = found
    elif precision == "fp32":
        reason = tolerance.problem or reason_against(found, tolerance.value, delivered)
    else:
        reason, note = _judged_reduced(found, call.inputs, precision, rule)
    return Comparison(
        subject=subject,
        inputs=call.inputs,
        batch=call.batch,
        threads=call.threads,
        images=call.images,
        measured=measured,
        tolerance=tolerance.value if precision == "fp32" else 0.0,
        precision=precision,
        delivered=delivered,
        passed=not reason,
        reason=reason,
        note=note,
    )


def _judged_reduced(found: Measured, inputs: str, precision: str, rule: ReducedRule) -> tuple[str, str]:
    """Return why a subject of reduced precision does not meet the policy, or "", and why the policy does not apply, or
    "".
    """
    if inputs not in {HARD, EXTREME, BOUNDARY}:
        return rule.reason(found), ""
    note = OUT_OF_RANGE.get((precision, inputs), "")
    if not note:
        return reason_by_error(found), ""  # nobody knows what is right for generated inputs
    broken = reason_against_any(found) if precision == "int8" else ""  # integers cannot overflow to infinity
    return broken, "" if broken else note


def reason_against(found: Measured, tolerance: float, delivered: str) -> str:
    """Return why a measured subject does not pass, or ""."""
    if broken := reason_against_any(found):
        return broken
    if found.max_absolute <= tolerance:
        return ""
    return f"differs by {found.max_absolute:.3g}, where {tolerance:.3g} is tolerated{words_of_bits(found, delivered)}"


def words_of_bits(found: Measured, delivered: str) -> str:
    """Return how many bits of a measured subject are right, and what arithmetic leaves so few, to end a sentence."""
    said = f"; {found.effective_bits:.1f} bits are right"
    if delivered == "less than bf16":
        return f"{said}, fewer than any arithmetic explains: it is a different function"
    return said if delivered == "fp32" else f"{said}, as few as {delivered} leaves, which is no proof of that precision"


def _measured(evidence: AuditEvidence, outputs: Outputs, inputs: Inputs) -> Measured | str:
    plan = evidence.plan
    of_part = plan.split and inputs is plan.sets[0] and outputs.precision != "fp32"
    labels = None if of_part else inputs.labels  # so few images cannot show how little is lost
    file = outputs.files[plan.whole(inputs.name)]
    return measured_or_reason(evidence.references[inputs.name], file, inputs.images, labels, evidence.rule)


def measured_or_reason(
    reference: Path, candidate: Path, images: int, labels: Path | None, rule: ReducedRule
) -> Measured | str:
    """Measure two .npy files of logits, the first `images` of each, or return why they cannot be compared."""
    exact, found = (map_array(path) for path in (reference, candidate))
    known = None if labels is None else map_array(labels)
    if found.shape[:1] != (images,):
        return f"outputs of shape {found.shape}, expected {(images, *exact.shape[1:])}"
    accumulator = rule.accumulator()
    try:
        for start in range(0, images, ROWS_AT_ONCE):
            rows = slice(start, min(start + ROWS_AT_ONCE, images))
            accumulator.add(
                np.asarray(exact[rows]),
                np.asarray(found[rows]),
                None if known is None else np.asarray(known[rows], np.int64),
            )
    except InputError as error:
        return str(error)
    return accumulator.result()


def determinism_of(outputs: Outputs, plan: AuditPlan) -> Determinism:
    """Measure how far a subject's results differ when it runs again, in other batches and with other threads."""
    most, fewest = plan.threads[0], plan.threads[-1]

    def logits(batch: int, threads: int, *, repeated: bool = False) -> Logits:
        found: Logits = map_array(outputs.files[plan.sampled(batch, threads, repeated=repeated)])
        return found

    base = logits(FULL_BATCH, most)
    return Determinism(
        subject=outputs.candidate.label,
        images=len(base),
        repeated=max(
            difference(logits(FULL_BATCH, threads), logits(FULL_BATCH, threads, repeated=True))
            for threads in plan.threads
        ),
        batches=max(difference(base, logits(batch, most)) for batch in BATCHES),
        threads=difference(base, logits(FULL_BATCH, fewest)) if most != fewest else None,
    )


def difference(left: Logits, right: Logits) -> float:
    """Return the largest |left - right|: 0 where the bits are equal (including NaN), the largest float where only one
    is finite.
    """
    if left.shape != right.shape:
        return float(np.finfo(np.float64).max)
    equal = (left == right) | (np.isnan(left) & np.isnan(right))
    if equal.all():
        return 0.0
    largest = float(np.abs(left[~equal].astype(np.float64) - right[~equal].astype(np.float64)).max())
    return largest if math.isfinite(largest) else float(np.finfo(np.float64).max)


def propagation_of(
    subject: str,
    names: Sequence[str],
    reference: Logits,
    found: Logits,
    operators: Mapping[str, str] | None = None,
) -> Propagation:
    """Return whether a subject passes on NaN and infinity as the reference does.

    Args:
        names: names of the inputs, (images,).
        reference, found: logits (images, classes).
        operators: operators of the subject's runtime that lose a NaN, where it was tested.
    """
    expected, got = (~np.isfinite(one) for one in (reference, found))
    swallowed = [names[int(row)] for row in np.flatnonzero((expected & ~got).any(axis=1))]
    invented = [names[int(row)] for row in np.flatnonzero((~expected & got).any(axis=1))]
    return Propagation(
        subject=subject,
        inputs=list(names),
        swallowed=swallowed,
        invented=invented,
        operators=dict(operators or {}),
        passed=not swallowed and not invented,
    )
