"""One output of a user's model beside its reference: its tolerance, and whether rows of it are right.

A check of an export and a timed call (`assay.train.brought.agreement`) and an audit (`assay.bench.auditing.outputs`)
decide here, and differ in the record that they make of it. Differences of whole numbers and bools are counted
(`assay.numerics.values`), those that scores decide are excused where these tie, in whatever type they are given
(`assay.numerics.ties`), and columns of a floating-point output are also judged on their own scale
(`assay.numerics.columns`). A run in reduced precision has to follow the reference (`assay.numerics.following`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from assay.numerics.agreement import NOT_COMPARED, Tolerance, tolerance_of_sound
from assay.numerics.columns import Columns, columns_of, reason_against_columns
from assay.numerics.following import (
    FOLLOWING_POLICY,
    LARGEST_SHARE,
    deviation_of,
    reason_against_share,
    share_of_error,
)
from assay.numerics.judgement import Ground
from assay.numerics.numbers import measure
from assay.numerics.precisions import is_quantised
from assay.numerics.rounding import rounding_of
from assay.numerics.ties.deciding import Deciding, Places, told_of_ties
from assay.numerics.values import (
    EQUALITY,
    NO_EVIDENCE,
    Differences,
    Settled,
    differences,
    lacks_numbers,
    overflowing,
    settled,
)
from assay.train.brought.model import Tensor
from assay.train.brought.own import reason_by_own
from assay.train.brought.varying import MOST_APART, alike

Array = NDArray[np.generic]
Float64 = NDArray[np.float64]
Mask = NDArray[np.bool_]

NO_NUMBERS = "the reference is zero wherever it is finite, so the output has to be zero there"
UNEXPLAINED_ENTRIES = "no rounding of the scores that select its entries explains that"
UNEXPLAINED = Tolerance(0.0, "none: they differ by more than rounding can explain")


@dataclass(frozen=True)
class JudgedRows:
    """Rows of an output beside the reference.

    Attributes:
        reason: why they do not pass, or "".
        ground: the ground of `reason`, where it is more than a distance.
        tolerance: by which they were judged.
        both: the numbers of both sides, (rows, numbers), none of which differ for a tie alone; None where nothing can
            be compared.
        counted: the differences of whole numbers; None for other outputs.
        is_beyond: whether they do not pass for being further away than the tolerance.
        sizes: in how many records the output has another size, in words, or ""; these are left out.
        margin: which entries of correct runs only one side has, and how near their limits are, in words, or "".
    """

    reason: str
    tolerance: Tolerance = UNEXPLAINED
    both: Settled | None = None
    counted: Differences | None = None
    is_beyond: bool = False
    sizes: str = ""
    margin: str = ""
    ground: Ground = ""

    @property
    def largest(self) -> float:
        """The largest |found - expected|; `NOT_COMPARED` where some numbers have no distance."""
        if self.counted:
            return self.counted.largest if np.isfinite(self.counted.largest) else NOT_COMPARED
        return self.both.apart if self.both and not self.both.problem else NOT_COMPARED

    @property
    def on_one_side(self) -> str:
        """The things that only one side has, in words: entries that are explained, or records that are left out."""
        return self.margin or (f"{self.sizes}, which are left out" if self.sizes and not self.reason else "")


@dataclass(frozen=True)
class JudgedOutput:
    """An output with its reference and correct runs of it in the model's own precision.

    Attributes:
        reference: the right values, (rows, numbers), in float64 or as whole numbers.
        natives: the same from correct runs, by a name for the tolerance's text; those that lack the output, or have it
            in another shape, measure nothing.
        shape: shape of one row.
        whole: whether it has only whole numbers or bools, in whatever type.
        exact: false where the reference is the model itself in fp32, for lack of float64: then nothing can be derived
            from its error, and everything passes that is closer than the next coarser arithmetic.
        decider: deciding values, where scores decide its numbers.
        arithmetic: precision of the reference, by whose rounding its runs are judged (`assay.numerics.rounding`).
        narrower: precision of a candidate that is less exact than the reference: "fp16", "bf16", or "".
        may_be_wider: whether the natives may have computed in more than `arithmetic`.
        usual_scale: at the edges of the model's input, the largest number of the same output elsewhere: an output that
            is small at an edge is judged on that scale. None elsewhere.
        usual: its numbers elsewhere, which show a filling (`assay.numerics.values`); None where the reference does.
        own: the user's own tolerance (`assay.train.brought.own`); None without one.
        varying: the output, where its size depends on the inputs' values (`assay.train.brought.varying`).
        is_one_call: whether all rows are one call, and so one record of `decider`.
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
    usual: Array | None = None
    own: float | None = None
    varying: Tensor | None = None
    is_one_call: bool = False

    def judged(self, found: Array, places: Places | None = None, *, reduced: bool = False) -> JudgedRows:
        """Judge rows, (rows, numbers) of any type.

        Args:
            places: rows of the reference that they belong to; None for the first ones.
            reduced: whether they were computed in less than the reference's precision, and have to follow it.
        """
        rows = self._beside(found, np.arange(len(found)) if places is None else places, reduced=reduced)
        if rows.reason or rows.counted or rows.both is None:
            return rows
        if not reduced:
            return self._within(rows, rows.both)
        share = share_of_error(rows.both.errors, self.deviation)
        tolerance = Tolerance(LARGEST_SHARE * self.deviation, f"{FOLLOWING_POLICY}; it is {share:.2%}")
        reason = reason_against_share(share)
        return replace(rows, tolerance=tolerance, reason=reason, ground="not followed" if reason else "")

    def by_own(self, reason: str, rows: JudgedRows) -> str:
        """Return why rows do not pass after the user's own tolerance is asked, too.

        Args:
            reason: why they do not pass without it, or "".
        """
        return reason_by_own(reason, rows.largest, self.own, f"{rows.tolerance.value:.3g} was derived")

    def _beside(self, found: Array, places: Places, *, reduced: bool = False) -> JudgedRows:
        """Return rows beside the reference's, with the reason why they cannot agree whatever rounding does, or ""."""
        decider = self.decider.widened() if self.decider and reduced else self.decider
        expected = self.reference if self.is_one_call else self.reference[places[places < len(self.reference)]]
        if decider is None:
            return self._but_for_sizes(None, expected, found, places)
        if self.is_one_call:
            margin = decider.margin(expected.reshape(1, -1), found.reshape(1, -1))
        else:
            margin = decider.margin(expected, found, places)
        rows = self._but_for_sizes(decider, expected, self._but_for_ties(decider, expected, found, places), places)
        return replace(rows, margin=margin) if margin else rows

    def _but_for_sizes(self, decider: Deciding | None, expected: Array, found: Array, places: Places) -> JudgedRows:
        """Return rows beside the reference's without the records in which they have another size, as far as that may
        be.
        """
        sizes = ""
        if self.varying is not None and found.shape == expected.shape:
            same = alike(expected, found, self.varying)
            others = int((~same).sum())
            sizes = f"its size differs from the reference's in {others} of {len(same)} records" if others else ""
            refuted = bool(others and decider and decider.refutes(expected, found, places)[~same].any())
            if refuted or others > MOST_APART * len(same):
                unknown = decider.beyond() if decider and not refuted else None
                return _unlike(f"{sizes}, and {UNEXPLAINED_ENTRIES}" if refuted else sizes, unknown)
            expected, found, places = expected[same], found[same], places[same]
        if found.shape != expected.shape:
            return _unlike(f"outputs of shape {found.shape}, expected {expected.shape}", decider)
        if not len(found) or not (found.size or self.whole):
            return JudgedRows("no outputs")
        if self.whole:
            counted = differences(expected, found, self._excused(decider, expected, found, places))
            unlike = _unlike(str(counted) if counted.differing else "", decider)
            equality = Tolerance(0.0, f"{EQUALITY}; {counted}")
            both = settled(expected, found)
            return replace(unlike, tolerance=equality, both=both, counted=counted, sizes=sizes)
        if self.lacks_numbers:
            return JudgedRows(NO_EVIDENCE, Tolerance(0.0, "none: nothing can be compared"), ground="open")
        both = settled(self._or_overflow(expected, found, places), found, self._showing)
        return JudgedRows(both.problem, both=both, sizes=sizes)

    def _but_for_ties(self, decider: Deciding, expected: Array, found: Array, places: Places) -> Array:
        """Return a run's rows, in which no number and no list of places or entries differs for a tie alone."""
        if not self.is_one_call:
            return decider.beside(expected, found, places) if found.shape == expected.shape else found
        beside = decider.beside(expected.reshape(1, -1), found.reshape(1, -1))
        return beside.reshape(expected.shape if beside.size == expected.size else found.shape)

    def _excused(self, decider: Deciding | None, expected: Array, found: Array, places: Places) -> Mask | None:
        if decider is None or not self.is_one_call:
            return decider.excuses(expected, found, places) if decider else None
        return decider.excuses(expected.reshape(1, -1), found.reshape(1, -1)).reshape(expected.shape)

    def _within(self, rows: JudgedRows, both: Settled) -> JudgedRows:
        """Return rows as judged by the tolerance, and by that of each column."""
        tolerance, largest = self.tolerance, both.apart
        is_beyond = not tolerance.problem and largest > tolerance.value
        ground: Ground = ""
        if tolerance.problem:
            reason, ground = tolerance.problem, self._ground_of_natives
        elif is_beyond and both.scale:
            reason = f"differs by {largest:.3g}, where {tolerance.value:.3g} is tolerated"
        elif is_beyond:
            reason = f"should be zero but reaches {largest:.3g}"
        else:
            reason = reason_against_columns(self._columns, both.errors.reshape(-1, *self.shape))
        is_beyond = is_beyond and both.scale > 0
        return replace(rows, tolerance=tolerance, reason=reason, ground=ground, is_beyond=is_beyond)

    def _or_overflow(self, expected: Array, found: Array, places: Places) -> Array:
        """Return the reference's rows, with the overflow where a run has it and correct runs in fp32 do: it is as right
        as the number, if fp32 holds that.
        """
        if self._overflowing is self.reference:
            return expected
        other = self._overflowing if self.is_one_call else self._overflowing[places]
        same = (found == other) | (np.isnan(found) & np.isnan(other)) | (np.abs(expected) > np.finfo(np.float32).max)
        return np.where(same & ~np.isfinite(other), other, expected)

    @cached_property
    def _overflowing(self) -> Array:
        """The reference, infinite or NaN where every correct run in fp32 is."""
        known = [one for one in self.natives.values() if one.shape == self.reference.shape]
        return self.reference if self.whole else overflowing(self.reference, known)

    @property
    def _showing(self) -> Array:
        """The numbers that show a filling."""
        return self._overflowing if self.usual is None else self.usual

    @property
    def lacks_numbers(self) -> bool:
        """Whether there is nothing to compare: it is empty, or infinite or NaN throughout."""
        return lacks_numbers(self._overflowing)

    @cached_property
    def settled_reference(self) -> Float64:
        """The reference, finite throughout."""
        return settled(self._overflowing, self._overflowing, self._showing).reference

    @cached_property
    def scale(self) -> float:
        """The largest finite |reference|."""
        return float(np.abs(self.settled_reference).max(initial=0.0))

    @cached_property
    def deviation(self) -> float:
        """The deviation of the reference from record to record; see `assay.numerics.following.deviation_of`."""
        return deviation_of(self.settled_reference)

    @cached_property
    def natives_beside(self) -> dict[str, JudgedRows]:
        """Every correct run beside the reference."""
        at = np.arange(len(self.reference))
        return {run: self._beside(rows[: len(at)], at[: len(rows)]) for run, rows in self.natives.items()}

    @property
    def _ground_of_natives(self) -> Ground:
        """The ground on which no correct run can serve as a measure."""
        return next((one.ground for one in self.natives_beside.values()), "") if not self.native_errors else ""

    @cached_property
    def native_errors(self) -> dict[str, float]:
        """The largest error of each correct run that can be compared, by its name."""
        return {run: one.largest for run, one in self.natives_beside.items() if one.largest != NOT_COMPARED}

    @cached_property
    def native_bits(self) -> float:
        """The most effective bits of a correct run; see `assay.numerics.numbers.effective_bits`."""
        pairs = [one.both for one in self.natives_beside.values() if one.both]
        return max((measure(one.reference, one.found).effective_bits for one in pairs), default=0.0)

    @cached_property
    def tolerance(self) -> Tolerance:
        """The tolerance for rows in the reference's precision."""
        return self._by_rule() or self._derived()

    def _by_rule(self) -> Tolerance | None:
        """Return the tolerance of an output for which none is derived from its correct runs; None for any other."""
        if self.whole:
            return Tolerance(0.0, EQUALITY)
        if self.lacks_numbers:
            return Tolerance(0.0, "none could be derived", NO_EVIDENCE)
        if is_quantised(self.narrower or self.arithmetic):
            return Tolerance(LARGEST_SHARE * self.deviation, FOLLOWING_POLICY)
        if not self.scale and self.usual_scale is None:
            return Tolerance(0.0, NO_NUMBERS)
        why = ""
        if self.usual_scale is not None:
            why = "at the edges of the model's input range"
        elif not self.exact:
            why = "there is no float64 to derive it from"
        elif self.narrower:
            why = "the candidate computes in it, and the reference does not"
        rounding = rounding_of(self.narrower or self.arithmetic)
        scale = max(self.scale, self.usual_scale or 0.0)
        return Tolerance(rounding.ceiling * scale, f"{rounding.in_words}: {why}") if why else None

    def _derived(self) -> Tolerance:
        if self.natives and not self.native_errors:
            run, one = next(iter(self.natives_beside.items()))
            problem = f"the native output of {run} cannot serve as a measure: {one.reason}"
            return Tolerance(0.0, "none could be derived", problem)
        return tolerance_of_sound(
            self.scale,
            self.native_errors,
            len(self.reference),
            arithmetic=self.arithmetic,
            may_be_wider=self.may_be_wider,
        )

    @cached_property
    def _columns(self) -> list[Columns]:
        """The limits of the columns; without float64 nothing shows how exact a column should be."""
        if not self.exact or self.usual_scale is not None or not self.shape:
            return []
        sound = [one.both.errors for one in self.natives_beside.values() if one.both and not one.reason]
        errors = [one for one in sound if one.shape == self.reference.shape]
        if not errors:
            return []
        shape = (-1, *self.shape)
        reference = self.settled_reference.reshape(shape)
        return columns_of(reference, np.max(errors, axis=0).reshape(shape), self.tolerance.value)


def _unlike(differs: str, decider: Deciding | None) -> JudgedRows:
    """Return rows that differ so, in words, or do not for "": undecided where the scores are not followed."""
    is_open = bool(differs) and decider is not None and decider.leaves_open
    return JudgedRows(told_of_ties(differs, decider), ground="open" if is_open else "")
