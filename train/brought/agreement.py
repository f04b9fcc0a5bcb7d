"""How the outputs of a user's model are compared: each output by itself, with a tolerance derived for it. Differences
of whole numbers and bools are counted (`assay.numerics.values`), those that scores decide are excused where these tie,
in whatever type they are given (`assay.numerics.ties`), and columns of a floating-point output are also judged on their
own scale (`assay.numerics.columns`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from assay.numerics.agreement import NOT_COMPARED, Tolerance, compare, derive_tolerance
from assay.numerics.columns import columns_of, reason_against_columns
from assay.numerics.following import (
    FOLLOWING_POLICY,
    LARGEST_SHARE,
    deviation_of,
    is_counted,
    is_reduced,
    reason_against_share,
    share_of_error,
    widened,
)
from assay.numerics.rounding import rounding_of
from assay.numerics.ties import Alternatives, Deciding, Entries, Unfollowed, is_open, told_of_ties
from assay.numerics.values import EQUALITY, NO_EVIDENCE, Settled, differences, is_whole, lacks_numbers, settled
from assay.records.results import Agreement
from assay.train.brought.model import Tensor, UserModel
from assay.train.brought.own import reason_by_own
from assay.train.brought.varying import MOST_APART, alike, in_order

Rows = NDArray[np.generic]
Places = NDArray[np.integer]
Compared = Callable[[str, Tensor, Rows, Places, slice], Agreement]


@dataclass(frozen=True)
class Judge:
    """The float64 outputs of a model, and the outputs of correct runs in its own precision.

    Attributes:
        reference: float64 outputs (records, `model.width`), or a wider type next to large whole numbers.
        natives: the outputs of correct runs in fp32, by a name for the tolerance's text.
        exact: false where the reference is the model's own output in fp32, for lack of float64: then nothing can be
            derived from its error, and everything passes that is closer than the next coarser arithmetic.
        deciders: deciding values of outputs that scores decide, by name.
        own: the user's own tolerances, by output (`assay.train.brought.own`).
    """

    model: UserModel
    reference: Rows
    natives: Mapping[str, Rows]
    exact: bool = True
    deciders: Mapping[str, Deciding] = field(default_factory=dict)
    own: Mapping[str, float] = field(default_factory=dict)

    def compare(self, subject: str, rows: Rows, places: Places, precision: str = "") -> Agreement:
        """Return the comparison of the output that is worst off; all must pass.

        Args:
            rows: outputs (n, width) of any type.
            places: the records that they belong to, (n,); those without a reference are left out.
            precision: precision asked for; in less than the model's, or where the model is quantised, an output has to
                follow the reference (`assay.numerics.following`).
        """
        known = np.flatnonzero(places < len(self.reference))
        rows, places = in_order(self.reference[places[known]], rows[known], self.model.outputs), places[known]
        parts = zip(self.model.outputs, parts_of(self.model), strict=True)
        one = self._following if is_reduced(precision, self.model.arithmetic) else self._one
        found = [
            self._beside(output, self._where_alike(one, subject, output, rows[:, part], places, part))
            for output, (_, part) in parts
            if len(known)
        ]
        if not found:
            return compare(subject, np.empty((0, 1)), np.empty((0, 1)), Tolerance(0.0, "none", "nothing to compare"))
        return max(found, key=distress)

    def following(self, subject: str, rows: Rows, places: Places) -> list[Agreement]:
        """Return a comparison for each output, all of which have to follow the reference; see `compare`."""
        parts = zip(self.model.outputs, parts_of(self.model), strict=True)
        return [
            self._following(f"output '{output.name}' {subject}", output, rows[:, part], places, part)
            for output, (_, part) in parts
        ]

    def _where_alike(
        self, one: Compared, subject: str, output: Tensor, rows: Rows, places: Places, part: slice
    ) -> Agreement:
        """Return the comparison of an output on the records where its size is the reference's."""
        if not output.varying:
            return one(subject, output, rows, places, part)
        rows = self._but_for_ties(output.name, self.reference[places, part], rows, places)
        same = alike(self.reference[places, part], rows, output)
        others = int((~same).sum())
        said = f"its size differs from the reference's in {others} of {len(same)} records"
        if others > MOST_APART * len(same):
            unfollowed = next((one for one in self.deciders.values() if isinstance(one, Unfollowed)), None)
            return _failed(subject, len(rows), told_of_ties(f"output '{output.name}': {said}", unfollowed))
        found = one(subject, output, rows[same], places[same], part)
        return found.model_copy(update={"derivation": f"{found.derivation}; {said}"}) if others else found

    def _beside(self, output: Tensor, found: Agreement) -> Agreement:
        """Return the comparison, beside the user's own tolerance of the output."""
        own = self.own.get(output.name)
        if own is None:
            return found
        derived = f"{found.tolerance:.3g} was derived"
        reason = reason_by_own(found.reason, found.max_absolute, own, derived)
        label = f"output '{output.name}': " if reason and not found.reason and len(self.model.outputs) > 1 else ""
        return found.model_copy(update={"own_tolerance": own, "passed": not reason, "reason": label + reason})

    def _one(self, subject: str, output: Tensor, rows: Rows, places: Places, part: slice) -> Agreement:
        label = f"output '{output.name}': " if len(self.model.outputs) > 1 else ""
        if is_whole(output.dtype):
            return self._counted(subject, output, rows, places, part)
        rows = self._but_for_ties(output.name, self.reference[places, part], rows, places)
        if lacks_numbers(self.reference[:, part]):
            return _failed(subject, len(rows), label + NO_EVIDENCE)
        mine = settled(self.reference[places, part], rows)
        if mine.lost:
            return _failed(subject, len(rows), label + mine.problem)
        exact = settled(self.reference[:, part], self.reference[:, part]).reference
        if not exact.any() and not mine.found.any():
            return _equal(subject, output.name, len(rows))
        tolerance = self._tolerance(output.name, exact, part)
        if exact.any() and not mine.reference.any():
            return _near_zero(subject, output.name, mine.found, tolerance, float(np.abs(exact).max()))
        made = compare(subject, mine.found, mine.reference, tolerance)
        reason = made.reason or self._reason_against_columns(output, mine, exact, part, tolerance)
        changes = {"reason": label + reason if reason else "", "passed": not reason}
        rank = len(output.shape) - (1 if self.model.whole else 0)
        return made.model_copy(update=changes | ({} if rank == 1 else {"largest_moved": 0}))

    def _following(self, subject: str, output: Tensor, rows: Rows, places: Places, part: slice) -> Agreement:
        label = f"output '{output.name}': " if len(self.model.outputs) > 1 else ""
        if is_counted(output.dtype, self.model.arithmetic):
            return self._counted(subject, output, rows, places, part, reduced=True)
        if lacks_numbers(self.reference[:, part]):
            return _failed(subject, len(rows), label + NO_EVIDENCE)
        rows = self._but_for_ties(output.name, self.reference[places, part], rows, places, reduced=True)
        mine = settled(self.reference[places, part], rows)
        if mine.problem:
            return _failed(subject, len(rows), label + mine.problem)
        whole = settled(self.reference[:, part], self.reference[:, part]).reference
        deviation, scale = deviation_of(whole), float(np.abs(whole).max(initial=0.0))
        share = share_of_error(mine.errors, deviation)
        reason = reason_against_share(share)
        largest = float(mine.errors.max(initial=0.0))
        return Agreement(
            subject=subject,
            images=len(rows),
            max_absolute=largest,
            max_relative=largest / scale if scale else largest,
            tolerance=LARGEST_SHARE * deviation,
            derivation=f"{FOLLOWING_POLICY}; it is {share:.2%}",
            largest_moved=0,
            passed=not reason,
            reason=label + reason if reason else "",
        )

    def _but_for_ties(
        self, name: str, expected: Rows, rows: Rows, places: Places | None = None, *, reduced: bool = False
    ) -> Rows:
        """Return an output's rows, in which no number differs for a tie alone."""
        decider = self.deciders.get(name)
        decider = widened(decider) if reduced else decider
        if not isinstance(decider, Alternatives | Entries) or rows.shape != expected.shape:
            return rows
        return decider.beside(expected, rows, places)

    def _counted(
        self, subject: str, output: Tensor, rows: Rows, places: Places, part: slice, *, reduced: bool = False
    ) -> Agreement:
        expected = self.reference[places, part]
        decider = self.deciders.get(output.name)
        decider = widened(decider) if reduced else decider
        if rows.shape != expected.shape:
            return _failed(subject, len(rows), f"outputs of shape {rows.shape}, expected {expected.shape}")
        found = differences(expected, rows, decider.excuses(expected, rows, places) if decider else None)
        reason = told_of_ties(str(found) if found.differing else "", decider)
        label = f"output '{output.name}': " if reason and len(self.model.outputs) > 1 else ""
        largest = found.largest if np.isfinite(found.largest) else NOT_COMPARED
        scale = float(np.abs(expected.astype(np.float64)).max(initial=0.0))
        return Agreement(
            subject=subject,
            images=len(rows),
            max_absolute=largest,
            max_relative=largest / scale if scale and largest > 0 else largest,
            tolerance=0.0,
            derivation=f"{EQUALITY}; {found}",
            largest_moved=0,
            passed=not reason,
            reason=label + reason,
        )

    def _reason_against_columns(
        self, output: Tensor, mine: Settled, exact: NDArray[np.float64], part: slice, tolerance: Tolerance
    ) -> str:
        """Return why a column of an output does not pass on its own scale, or ""; without float64 nothing shows how
        exact a column should be.
        """
        if not self.exact or not output.shape:
            return ""
        errors = [np.abs(one - exact) for one in self._natives(output.name, exact, part).values()]
        shape = (-1, *output.shape)
        columns = columns_of(exact.reshape(shape), np.max(errors, axis=0).reshape(shape), tolerance.value)
        return reason_against_columns(columns, mine.errors.reshape(shape))

    def _tolerance(self, name: str, exact: NDArray[np.float64], part: slice) -> Tolerance:
        if not exact.any():
            return Tolerance(0.0, "none could be derived", "the reference is zero everywhere, and the output is not")
        if not self.exact:
            rounding = rounding_of(self.model.arithmetic)
            return Tolerance(rounding.ceiling * float(np.abs(exact).max()), f"{rounding.in_words}: no float64")
        is_file = self.model.kind == "onnx"
        return derive_tolerance(exact, self._natives(name, exact, part), self.model.arithmetic, may_be_wider=is_file)

    def _natives(self, name: str, exact: NDArray[np.float64], part: slice) -> dict[str, NDArray[np.float64]]:
        """Return the native outputs with the reference's non-finite values replaced; NaN throughout for an output that
        lost one.
        """
        found = {}
        for key, value in self.natives.items():
            right = self.reference[:, part]
            one = settled(right, self._but_for_ties(name, right, value[: len(exact), part]))
            found[key] = np.full_like(one.found, np.nan) if one.lost else one.found
        return found


def parts_of(model: UserModel) -> Iterator[tuple[str, slice]]:
    """Iterate over each output's name and its columns."""
    start = 0
    for output in model.outputs:
        yield output.name, slice(start, start + output.size)
        start += output.size


def distress(one: Agreement) -> tuple[bool, bool, float]:
    """Return by how much a comparison is worse off than others: whether it failed, whether beyond doubt, and its share
    of the tolerance.
    """
    tolerated = one.tolerance if one.own_tolerance is None else min(one.tolerance, one.own_tolerance)
    share = one.max_absolute / tolerated if tolerated > 0 else float(one.max_absolute != 0)
    return (not one.passed, not is_open(one.reason), share)


def _failed(subject: str, records: int, reason: str) -> Agreement:
    return Agreement(
        subject=subject,
        images=records,
        max_absolute=NOT_COMPARED,
        max_relative=NOT_COMPARED,
        tolerance=0.0,
        derivation="none: " + ("nothing" if NO_EVIDENCE in reason else "they differ by more than rounding can explain"),
        largest_moved=0,
        passed=False,
        reason=reason,
    )


def _equal(subject: str, name: str, records: int) -> Agreement:
    return Agreement(
        subject=subject,
        images=records,
        max_absolute=0.0,
        max_relative=0.0,
        tolerance=0.0,
        derivation=f"output '{name}' is zero everywhere in float64, and so it is here",
        largest_moved=0,
        passed=True,
    )


def _near_zero(subject: str, name: str, rows: Rows, tolerance: Tolerance, scale: float) -> Agreement:
    """Compare records whose output is zero, for a model whose output is not always: on the scale of its other
    records.
    """
    largest = float(np.abs(rows.astype(np.float64)).max())
    passed = largest <= tolerance.value
    return Agreement(
        subject=subject,
        images=len(rows),
        max_absolute=largest if np.isfinite(largest) else NOT_COMPARED,
        max_relative=largest / scale if np.isfinite(largest) else NOT_COMPARED,
        tolerance=tolerance.value,
        derivation=tolerance.derivation,
        largest_moved=0,
        passed=passed,
        reason="" if passed else f"output '{name}' should be zero but reaches {largest:.3g}",
    )
