"""How the outputs of a user's model are compared: each output by itself, with a tolerance derived for it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from assay.agreement import CEILING, NOT_COMPARED, Tolerance, compare, derive_tolerance
from assay.results import Agreement
from assay.user.model import UserModel

Rows = NDArray[np.generic]


@dataclass(frozen=True)
class Judge:
    """The float64 outputs of a model, and what correct runs of it gave in fp32.

    Attributes:
        reference: float64 (records, `model.width`).
        natives: the same in fp32, by a name for the tolerance's text.
        exact: False where the reference is the model's own output in fp32, for want of float64: nothing can be derived
            from its error, and everything passes that is closer than the next coarser arithmetic.
    """

    model: UserModel
    reference: Rows
    natives: Mapping[str, Rows]
    exact: bool = True

    def compare(self, subject: str, rows: Rows, places: NDArray[np.integer]) -> Agreement:
        """The comparison of the output that is worst off; all must pass.

        Args:
            rows: (n, width) of any type.
            places: (n,), which records they are of; those without a reference are left out.
        """
        known = np.flatnonzero(places < len(self.reference))
        rows, places = rows[known], places[known]
        found = [
            self._one(subject, name, rows[:, part], places, part) for name, part in parts_of(self.model) if len(known)
        ]
        if not found:
            return compare(subject, np.empty((0, 1)), np.empty((0, 1)), Tolerance(0.0, "none", "nothing to compare"))
        return max(found, key=_distress)

    def _one(self, subject: str, name: str, rows: Rows, places: NDArray[np.integer], part: slice) -> Agreement:
        exact = self.reference[:, part].astype(np.float64)
        if not exact.any() and not rows.any():
            return _equal(subject, name, len(rows))
        tolerance = self._tolerance(exact, part)
        if exact.any() and not exact[places].any():
            return _near_zero(subject, name, rows, tolerance, float(np.abs(exact).max()))
        made = compare(subject, rows.astype(np.float64), exact[places], tolerance)
        label = f"output '{name}': " if len(self.model.outputs) > 1 else ""
        changes = {"reason": label + made.reason if made.reason else ""}
        ranks = {one.name: len(one.shape) - (1 if self.model.whole else 0) for one in self.model.outputs}
        return made.model_copy(update=changes | ({} if ranks[name] == 1 else {"top1_flips": 0}))

    def _tolerance(self, exact: NDArray[np.float64], part: slice) -> Tolerance:
        if not exact.any():
            return Tolerance(0.0, "none could be derived", "the reference is zero everywhere, and the output is not")
        if not self.exact:
            return Tolerance(
                CEILING * float(np.abs(exact).max()), "2^-12 of the largest output, half a step of TF32: no float64"
            )
        natives = {key: value[: len(exact), part].astype(np.float64) for key, value in self.natives.items()}
        return derive_tolerance(exact, natives)


def parts_of(model: UserModel) -> Iterator[tuple[str, slice]]:
    """Each output's name and its columns."""
    start = 0
    for output in model.outputs:
        yield output.name, slice(start, start + output.size)
        start += output.size


def _distress(one: Agreement) -> tuple[bool, float]:
    share = one.max_absolute / one.tolerance if one.tolerance > 0 else float(one.max_absolute != 0)
    return (not one.passed, share)


def _equal(subject: str, name: str, records: int) -> Agreement:
    return Agreement(
        subject=subject,
        images=records,
        max_absolute=0.0,
        max_relative=0.0,
        tolerance=0.0,
        derivation=f"output '{name}' is zero everywhere in float64, and so it is here",
        top1_flips=0,
        passed=True,
    )


def _near_zero(subject: str, name: str, rows: Rows, tolerance: Tolerance, scale: float) -> Agreement:
    """Records of which the output is zero, of a model whose output is not always: on the scale of its other ones."""
    largest = float(np.abs(rows.astype(np.float64)).max())
    passed = largest <= tolerance.value
    return Agreement(
        subject=subject,
        images=len(rows),
        max_absolute=largest if np.isfinite(largest) else NOT_COMPARED,
        max_relative=largest / scale if np.isfinite(largest) else NOT_COMPARED,
        tolerance=tolerance.value,
        derivation=tolerance.derivation,
        top1_flips=0,
        passed=passed,
        reason="" if passed else f"output '{name}' should be zero and is {largest:.3g}",
    )
