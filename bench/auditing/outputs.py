"""The records that an audit makes of one output of a foreign model: its tolerance, and every run of it."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from assay.bench.auditing.judge import words_of_bits
from assay.bench.auditing.runs import AuditCall
from assay.numerics.numbers import Measured, delivered_precision, measure
from assay.records.audit import AuditedTolerance, Comparison
from assay.train.brought.judged import JudgedOutput, JudgedRows

Array = NDArray[np.generic]

AT_THE_EDGES = ", at the edges"
"""Ends the name of an output of a call that was drawn from the edges of the model's input."""


def tensor_of(output: JudgedOutput) -> str:
    """Return the output's name in the file."""
    return output.name.removesuffix(AT_THE_EDGES)


def audited_tolerance(output: JudgedOutput) -> AuditedTolerance:
    """Return the record of an output's tolerance."""
    made = output.tolerance
    return AuditedTolerance(
        inputs=output.name,
        for_subject="candidate" if output.narrower else "",
        value=made.value,
        derivation=made.derivation,
        scale=max(output.scale, output.usual_scale or 0.0),
        native_errors=output.native_errors,
        noise=0.0,
        problem=made.problem,
        own=output.own,
    )


def compared(
    output: JudgedOutput, subject: str, call: AuditCall, found: Array, precision: str = "fp32", *, reduced: bool = False
) -> Comparison:
    """Return the record of one run, whose rows are the first rows of the reference.

    Args:
        found: (rows, numbers).
        precision: precision of the run, for the record.
        reduced: whether it has to follow the reference, as a run in less than the model's precision does.
    """
    rows = output.judged(found, reduced=reduced)
    measured, delivered = measured_rows(rows), ""
    if measured and not rows.counted:
        delivered = delivered_precision(measured.effective_bits, output.native_bits, measured.stored_bits)
    bits = words_of_bits(measured, delivered) if measured and rows.is_beyond else ""
    reason = output.by_own(rows.reason + bits, rows)
    return Comparison(
        subject=subject,
        inputs=call.inputs,
        batch=call.batch,
        threads=call.threads,
        images=call.images,
        measured=measured,
        tolerance=rows.tolerance.value,
        precision=precision,
        delivered=delivered,
        passed=not reason,
        reason=reason,
        ground=rows.ground,
        margin=rows.on_one_side,
    )


def measured_rows(rows: JudgedRows) -> Measured | None:
    """Return the measures of rows; None where nothing can be compared."""
    if rows.both is None:
        return None
    found = measure(rows.both.reference, rows.both.found)
    if rows.counted is None:
        return found.model_copy(update={"lost": rows.both.lost})
    counted, largest = rows.counted, max(rows.largest, 0.0)
    counts = {"values": counted.values, "differing": counted.differing, "excused": counted.excused}
    return found.model_copy(update={**counts, "max_absolute": largest})


def as_rows(array: NDArray[np.generic]) -> NDArray[np.generic]:
    """Return any output as rows, one for each entry of its first dimension."""
    return array.reshape(len(array), -1) if array.ndim and array.size else array.reshape(1, -1)
