"""Candidates of one selection after another, as arrays. Pure functions; see `on_onnx_selected`."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.generic]
Float64 = NDArray[np.float64]
Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class Selection:
    """The candidates that correct runs select.

    Attributes:
        own: how many candidates the run in float64 selects, the first ones.
        always, sometimes, near, why: see `assay.numerics.ties.selected.Selected`; (candidates,) each.
        operator: the operator that selects.
    """

    own: int
    always: Mask
    sometimes: Mask
    near: Float64
    why: NDArray[np.uint8]
    operator: str


@dataclass(frozen=True)
class Rows:
    """The rows of a value: the candidate of each, (rows,), in their order."""

    candidates: NDArray[np.integer]
    of: Selection

    @property
    def own(self) -> NDArray[np.intp]:
        """The places of the rows that the run in float64 has."""
        return np.flatnonzero(self.candidates < self.of.own)

    def at(self, places: NDArray[np.integer]) -> Rows:
        """Return the rows at these places."""
        return Rows(self.candidates[places], self.of)


LOST = None
"""The rows of a value that depends on selections in a way that is not followed."""


def selected(
    operator: str, own: NDArray[np.int64], known: tuple[Mask, Mask, Float64, NDArray[np.uint8]]
) -> tuple[Array, Selection] | None:
    """Return the candidates of a selection, a row for each with its place in arrays, the own ones first; None where an
    own one is none that may be selected.

    Args:
        known: see `Selection`, in arrays of any shape.
    """
    _, sometimes, *_ = known
    others = sometimes.copy()
    others[tuple(own.T)] = False
    if not sometimes[tuple(own.T)].all():
        return None
    value = np.concatenate([own, np.argwhere(others)])
    always, sometimes, near, why = (one[tuple(value.T)] for one in known)
    return value, Selection(len(own), always, sometimes, near, why, operator)


def as_before(near: Float64, why: NDArray[np.uint8], rows: Rows, axis: int) -> tuple[Float64, NDArray[np.uint8]]:
    """Return why candidates are near a limit, with the earlier selection's reason for those that it is uncertain of."""
    shape = [1] * near.ndim
    shape[axis] = -1
    before_near, before_why = (one[rows.candidates].reshape(shape) for one in (rows.of.near, rows.of.why))
    uncertain = np.broadcast_to((rows.of.always != rows.of.sometimes)[rows.candidates].reshape(shape), near.shape)
    return np.where(uncertain, before_near, near), np.where(uncertain, before_why, why).astype(np.uint8)
