"""Lists that are right as a whole: the places of numbers that are not zero."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Self

import numpy as np

from assay.numerics.ties.deciding import Array, Deciding, Mask, Places

LISTS, LISTS_ACROSS = "may list ", "may list, across: "


@dataclass(frozen=True)
class Entries(Deciding):
    """The places that an output may list, as NonZero lists those of an array's numbers that are not zero. No number is
    excused by itself: a list is right as a whole; see `beside`.

    Attributes:
        may_be: which numbers of the array are not zero, (4, records, *the array's shape): in every correct run, in some
            correct run, and the same for runs in reduced precision.
        across: whether the output has a place in each column, as NonZero does, or in each row.
    """

    may_be: Mask
    across: bool

    @property
    def records(self) -> int:
        return len(self.may_be[0])

    def decides(self, numbers: Array) -> bool:
        """Return whether every list, (records, numbers), is one of a correct run."""
        return all(self._explains(one, record) for record, one in enumerate(numbers))

    def beside(self, expected: Array, found: Array, places: Places | None = None) -> Array:
        """Return lists (records, numbers), with the expected one in place of each that is as good.

        Args:
            expected: lists, with numbers below zero where there is room for more places.
            found: lists, which may have another length where all are of one record.
            places: see `Deciding.excuses`.
        """
        known_places = np.arange(len(expected)) if places is None else places
        good = [at < self.records and self._explains(one, at) for at, one in zip(known_places, found, strict=True)]
        if expected.shape != found.shape:
            return expected if all(good) else found
        return np.where(np.array(good, bool)[:, None], expected, found)

    def widened(self) -> Self:
        return replace(self, may_be=self.may_be[[2, 3, 2, 3]])

    def joined(self, others: Sequence[Self]) -> Self | None:
        every = [self, *others]
        if len({(one.across, one.may_be.shape[2:]) for one in every}) > 1:
            return None
        return replace(self, may_be=np.concatenate([one.may_be for one in every], axis=1))

    def arrays(self, output: str) -> dict[str, Array]:
        return {(LISTS_ACROSS if self.across else LISTS) + output: self.may_be}

    def _explains(self, listed: Array, record: int) -> bool:
        always, sometimes = self.may_be[0, record], self.may_be[1, record]
        if listed.size % sometimes.ndim:
            return False
        grid = listed.reshape((sometimes.ndim, -1) if self.across else (-1, sometimes.ndim))
        entries = grid.T if self.across else grid
        entries = entries[(entries >= 0).all(axis=1)].astype(np.int64)
        if (entries >= sometimes.shape).any():
            return False
        there = np.zeros(sometimes.shape, bool)
        there[tuple(entries.T)] = True
        return int(there.sum()) == len(entries) and bool((always <= there).all() and (there <= sometimes).all())
