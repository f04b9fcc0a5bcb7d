"""One output of a foreign model in an audit: its reference, its tolerance, and every run of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from assay.bench.auditing.judge import judged, tolerance_for
from assay.bench.auditing.runs import AuditCall
from assay.numerics.columns import Columns, columns_of, reason_against_columns
from assay.numerics.following import (
    FOLLOWING_POLICY,
    LARGEST_SHARE,
    deviation_of,
    reason_against_share,
    share_of_error,
    widened,
)
from assay.numerics.numbers import Measured, measure
from assay.numerics.precisions import is_quantised
from assay.numerics.rounding import Rounding, rounding_of
from assay.numerics.ties import Alternatives, Deciding, Entries, told_of_ties
from assay.numerics.values import EQUALITY, NO_EVIDENCE, Mask, differences, lacks_numbers, overflowing, settled
from assay.records.audit import AuditedTolerance, Comparison
from assay.train.brought.own import reason_by_own

Array = NDArray[np.generic]
Float64 = NDArray[np.float64]

AT_THE_EDGES = ", at the edges"
"""Ends the name of an output of a call that was drawn from the edges of the model's input."""
NO_NUMBERS = "the reference is zero wherever it is finite, so the output has to be zero there"


@dataclass(frozen=True)
class AuditedOutput:
    """An output with its reference and correct runs of it in fp32.

    Attributes:
        reference: the right values, (rows, numbers), in float64 or as whole numbers.
        natives: the same from correct runs, by run; those that lack the output, or have it in another shape, measure
            nothing.
        shape: shape of one row.
        whole: whether it has only whole numbers or bools, in whatever type.
        exact: false where the reference is the model itself in fp32.
        decider: deciding values, where scores decide its numbers.
        arithmetic: precision of the reference, by whose rounding its runs are judged (`assay.numerics.rounding`).
        narrower: precision of a candidate that is less exact than the reference: "fp16", "bf16", or "".
        may_be_wider: whether the natives may have computed in more than `arithmetic`.
        usual_scale: at the edges of the model's input, the largest number of the same output elsewhere: an output that
            is small at an edge is judged on that scale. None elsewhere.
        own: the user's own tolerance (`assay.train.brought.own`); None without one.
    """

    name: str
    reference: Array
    natives: Mapping[str, Array]
    shape: tuple[int, ...]
    whole: bool
    exact: bool = True
    decider: Deciding | None = None
    arithmetic: str = "fp32"
    narrower: str = ""
    may_be_wider: bool = False
    usual_scale: float | None = None
    own: float | None = None

    @property
    def tensor(self) -> str:
        """The output's name in the file."""
        return self.name.removesuffix(AT_THE_EDGES)

    def measured(self, found: Array) -> Measured | str:
        """Measure a run's rows, which are the first rows of the reference, or return why they cannot be compared."""
        found = self._but_for_ties(found) if isinstance(self.decider, Entries) else found
        reference = self._right(found)
        if found.shape != reference.shape:
            return f"outputs of shape {found.shape}, which does not match the reference's {reference.shape}"
        if not reference.size:
            return "no outputs"
        if self.whole:
            return self._counted(reference, found)
        if self.lacks_numbers:
            return NO_EVIDENCE
        both = settled(reference, self._but_for_ties(found))
        return measure(both.reference, both.found).model_copy(update={"lost": both.lost})

    @property
    def lacks_numbers(self) -> bool:
        """Whether there is nothing to compare: it is empty, or infinite or NaN throughout."""
        return lacks_numbers(self._as_fp32_overflows)

    @cached_property
    def _as_fp32_overflows(self) -> Array:
        known = [one for one in self.natives.values() if one.shape == self.reference.shape]
        return self.reference if self.whole else overflowing(self.reference, known)

    def _right(self, found: Array) -> Array:
        """Return the reference of a run's rows: where fp32 overflows, the overflow is as right as the number, if fp32
        holds that.
        """
        reference, other = self.reference[: len(found)], self._as_fp32_overflows[: len(found)]
        if self._as_fp32_overflows is self.reference or found.shape != reference.shape:
            return reference
        same = (found == other) | (np.isnan(found) & np.isnan(other)) | (np.abs(reference) > np.finfo(np.float32).max)
        return np.where(same & ~np.isfinite(other), other, reference)

    def _counted(self, reference: Array, found: Array) -> Measured:
        counted = differences(reference, found, self._excused(reference, found))
        both = settled(reference, found)
        largest = counted.largest if np.isfinite(counted.largest) else 0.0
        changes = {"values": counted.values, "differing": counted.differing, "excused": counted.excused}
        return measure(both.reference, both.found).model_copy(update={**changes, "max_absolute": largest})

    def _but_for_ties(self, found: Array) -> Array:
        """Return a run's rows, in which no floating-point number, and no list of places, differs for a tie alone."""
        reference = self.reference[: len(found)]
        if isinstance(self.decider, Entries):
            right = self.reference
            if self.decider.records > 1:
                return self.decider.beside(reference, found) if found.shape == reference.shape else found
            beside = self.decider.beside(right.reshape(1, -1), found.reshape(1, -1))
            return beside.reshape(right.shape if beside.size == right.size else found.shape)
        if not isinstance(self.decider, Alternatives) or found.shape != reference.shape:
            return found
        records = (1, -1) if self.decider.records == 1 else reference.shape
        return self.decider.beside(reference.reshape(records), found.reshape(records)).reshape(reference.shape)

    def _excused(self, reference: Array, found: Array) -> Mask | None:
        if self.decider is None:
            return None
        records = (1, -1) if self.decider.records == 1 else reference.shape
        return self.decider.excuses(reference.reshape(records), found.reshape(records)).reshape(reference.shape)

    @cached_property
    def measured_natives(self) -> dict[str, Measured | str]:
        """The measures of native runs, by run."""
        return {run: self.measured(found) for run, found in self.natives.items()}

    @cached_property
    def native_bits(self) -> float:
        """The most effective bits of a native run."""
        found = self.measured_natives.values()
        return max((one.effective_bits for one in found if isinstance(one, Measured)), default=0.0)

    @cached_property
    def tolerance(self) -> AuditedTolerance:
        """The tolerance, and its derivation."""
        known = {run: one for run, one in self.measured_natives.items() if isinstance(one, Measured)}
        scale = max((one.scale for one in known.values()), default=0.0)
        errors = {run: one.max_absolute for run, one in known.items()}
        value, derivation = 0.0, ""
        if self.whole:
            derivation = EQUALITY
        elif known and is_quantised(self.narrower or self.arithmetic):
            value = LARGEST_SHARE * deviation_of(settled(self.reference, self.reference).reference)
            derivation = FOLLOWING_POLICY
        elif known and self.usual_scale is not None:
            scale = max(scale, self.usual_scale)
            value = self._rounding.ceiling * scale
            derivation = f"{self._rounding.in_words}: at the edges of the model's input range"
        elif known and not scale and not any(errors.values()):
            derivation = NO_NUMBERS
        elif known and not self.exact:
            value = self._rounding.ceiling * scale
            derivation = f"{self._rounding.in_words}: there is no float64 to derive it from"
        elif known and self.narrower:
            value = self._rounding.ceiling * scale
            derivation = f"{self._rounding.in_words}: the candidate computes in it, and the reference does not"
        else:
            made = tolerance_for(
                self.name, "", self.measured_natives, 0.0, self.arithmetic, may_be_wider=self.may_be_wider
            )
            return made.model_copy(update={"own": self.own})
        return AuditedTolerance(
            inputs=self.name,
            for_subject="candidate" if self.narrower else "",
            value=value,
            derivation=derivation,
            scale=scale,
            native_errors=errors,
            noise=0.0,
            own=self.own,
        )

    @property
    def _rounding(self) -> Rounding:
        return rounding_of(self.narrower or self.arithmetic)

    def compared(self, subject: str, call: AuditCall, found: Array, precision: str = "fp32") -> Comparison:
        """Return the record of one run."""
        made = judged(subject, call, self.measured(found), self.tolerance, self.native_bits, precision)
        if self.whole:
            return made.model_copy(update={"reason": told_of_ties(made.reason, self.decider)})
        if not made.passed or precision != "fp32":
            return made
        both = settled(self._right(found), self._but_for_ties(found))
        error = both.errors.reshape(-1, *self.shape)
        reason = reason_against_columns(self._columns, error)
        return made.model_copy(update={"passed": not reason, "reason": reason})

    def followed(self, subject: str, call: AuditCall, found: Array, precision: str) -> Comparison:
        """Return the record of a run in reduced precision, which has to follow the reference
        (`assay.numerics.following`).
        """
        wider = replace(self, decider=widened(self.decider))
        measured = wider.measured(found)
        made = judged(subject, call, measured, self.tolerance, self.native_bits, precision)
        if self.whole:
            return made.model_copy(update={"reason": told_of_ties(made.reason, self.decider)})
        if isinstance(measured, str):
            return made
        whole = settled(self.reference, self.reference).reference
        both = settled(self._right(found), wider._but_for_ties(found))
        deviation = deviation_of(whole)
        reason = both.problem or reason_against_share(share_of_error(both.errors, deviation))
        changes = {"tolerance": LARGEST_SHARE * deviation, "passed": not reason, "reason": reason, "note": ""}
        return made.model_copy(update=changes)

    def beside_own(self, found: Comparison) -> Comparison:
        """Return a comparison after the user's own tolerance is asked, too."""
        if found.measured is None or self.own is None:
            return found
        derived = f"{found.tolerance:.3g} was derived"
        reason = reason_by_own(found.reason, found.measured.max_absolute, self.own, derived)
        return found.model_copy(update={"passed": not reason, "reason": reason})

    @cached_property
    def _columns(self) -> list[Columns]:
        if not self.exact or self.usual_scale is not None:
            return []
        shape = (-1, *self.shape)
        sound = [one for run, one in self.natives.items() if isinstance(self.measured_natives[run], Measured)]
        errors = [settled(self._right(one), self._but_for_ties(one)).errors for one in sound]
        finite = [error for error in errors if np.isfinite(error).all()]
        if not finite:
            return []
        exact = settled(self.reference, self.reference).reference
        return columns_of(exact.reshape(shape), np.max(finite, axis=0).reshape(shape), self.tolerance.value)


def as_rows(array: NDArray[np.generic]) -> NDArray[np.generic]:
    """Return any output as rows, one for each entry of its first dimension."""
    return array.reshape(len(array), -1) if array.ndim and array.size else array.reshape(1, -1)
