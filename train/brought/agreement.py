"""How the outputs of a user's model are compared: each output by itself (`assay.train.brought.judged`); the one that is
worst off stands for the model.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from assay.numerics.agreement import NOT_COMPARED, moved, without_numbers
from assay.numerics.following import is_counted, is_reduced
from assay.numerics.ties.deciding import Deciding, Places, Unfollowed
from assay.records.results import Agreement
from assay.train.brought.judged import JudgedOutput, JudgedRows
from assay.train.brought.model import UserModel
from assay.train.brought.varying import in_order

Rows = NDArray[np.generic]


@dataclass(frozen=True)
class Judge:
    """The float64 outputs of a model, and the outputs of correct runs in its own precision.

    Attributes:
        reference: float64 outputs (records, `model.width`), or a wider type next to large whole numbers.
        natives: the outputs of correct runs in fp32, by a name for the tolerance's text.
        exact: false where the reference is the model's own output in fp32, for lack of float64.
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
        reduced = is_reduced(precision, self.model.arithmetic)
        found = [
            self._record(subject, output, output.judged(rows[:, part], places, reduced=reduced), len(rows))
            for output, part in self.outputs
            if len(known)
        ]
        if not found:
            return without_numbers(subject, 0, "nothing to compare")
        worst = max(found, key=distress)
        margin = next((one.margin for one in found if one.margin), "")  # scores select the entries of all outputs alike
        return worst.model_copy(update={"margin": margin}) if margin else worst

    def following(self, subject: str, rows: Rows, places: Places) -> list[Agreement]:
        """Return a comparison for each output, all of which have to follow the reference; see `compare`."""
        return [
            self._record(
                f"output '{output.name}' {subject}",
                output,
                output.judged(rows[:, part], places, reduced=True),
                len(rows),
            )
            for output, part in self.outputs
        ]

    @cached_property
    def outputs(self) -> list[tuple[JudgedOutput, slice]]:
        """Every output with its reference, and its columns."""
        unfollowed = next((one for one in self.deciders.values() if isinstance(one, Unfollowed)), None)
        return [
            (
                JudgedOutput(
                    name=output.name,
                    reference=self.reference[:, part],
                    natives={run: rows[: len(self.reference), part] for run, rows in self.natives.items()},
                    shape=output.shape,
                    whole=is_counted(output.dtype, self.model.arithmetic),
                    exact=self.exact,
                    decider=self.deciders.get(output.name, unfollowed if output.varying else None),
                    arithmetic=self.model.arithmetic,
                    may_be_wider=self.model.kind == "onnx",
                    own=self.own.get(output.name),
                    varying=output if output.varying else None,
                ),
                part,
            )
            for output, part in self.model.parts
        ]

    def _record(self, subject: str, output: JudgedOutput, rows: JudgedRows, records: int) -> Agreement:
        classes = len(output.shape) == (2 if self.model.whole else 1)
        return agreement_of(subject, output, rows, records, alone=len(self.model.outputs) == 1, classes=classes)


def agreement_of(
    subject: str, output: JudgedOutput, rows: JudgedRows, records: int, *, alone: bool = False, classes: bool = False
) -> Agreement:
    """Return the record of judged rows.

    Args:
        records: number of rows that were to be judged.
        alone: whether the model has no other output, so that a reason need not name it.
        classes: whether each row has one largest number, which may move.
    """
    reason = output.by_own(rows.reason, rows)
    label = f"output '{output.name}': " if reason and not alone else ""
    both, largest, derivation = rows.both, rows.largest, rows.tolerance.derivation
    scale = (both.scale if both else 0.0) or (0.0 if output.whole else output.scale)
    may_move = both and classes and not output.whole and largest != NOT_COMPARED
    return Agreement(
        subject=subject,
        images=len(both.found) if both else records,
        max_absolute=largest,
        max_relative=largest / scale if scale and largest > 0 else largest,
        tolerance=rows.tolerance.value,
        derivation=f"{derivation}; {rows.sizes}" if rows.sizes else derivation,
        margin=f"output '{output.name}': {rows.on_one_side}" if rows.on_one_side else "",
        largest_moved=moved(both.found, both.reference) if both and may_move else 0,
        passed=not reason,
        reason=label + reason,
        ground=rows.ground,
        own_tolerance=output.own,
    )


def distress(one: Agreement) -> tuple[bool, bool, float]:
    """Return by how much a comparison is worse off than others: whether it failed, whether beyond doubt, and its share
    of the tolerance.
    """
    tolerated = one.tolerance if one.own_tolerance is None else min(one.tolerance, one.own_tolerance)
    share = one.max_absolute / tolerated if tolerated > 0 else float(one.max_absolute != 0)
    return (not one.passed, one.ground != "open", share)
