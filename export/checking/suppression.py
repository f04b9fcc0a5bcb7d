"""Which boxes NonMaxSuppression keeps in every correct run, and which in some, where a score or an overlap is as near
to its limit, or to another score, as rounding moves it. Pure functions.

It goes through the boxes of a class from the highest score down, and keeps each whose score exceeds the least and whose
overlap with every box that it has kept does not exceed the most, until it has kept so many.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from assay.numerics.ties.selected import AtLimit

Float64 = NDArray[np.float64]
Mask = NDArray[np.bool_]

MOST_BOXES = 2048
"""The most boxes of a class above the least score; of more, none is known to be kept in every run."""
MOVES = np.array([-2.0, 2.0])[:, None, None, None]
"""By how much a side may be too short and too long, as a multiple of what a number may be off."""


@dataclass(frozen=True)
class Boxes:
    """
    Attributes:
        numbers: (records, boxes, 4), two opposite corners, or centre, width and height where `centred`.
        off: how far each number may be off.
        always, sometimes: which boxes are there in every correct run, and in some, (boxes,); all, where they are None.
    """

    numbers: Float64
    off: float
    centred: bool
    always: Mask | None = None
    sometimes: Mask | None = None


@dataclass(frozen=True)
class BoxLimits:
    """
    Attributes:
        least: the score that a box must exceed.
        overlap: the intersection over union with a better box of its class that it must not exceed.
        most: how many boxes of a class are kept.
    """

    least: float
    overlap: float
    most: float = np.inf


@dataclass(frozen=True)
class Keeping:
    """
    Attributes:
        always, sometimes: which boxes every correct run keeps, and which some do, (records, classes, boxes).
        near: how far what decides is from its limit, in the same shape, where only some runs keep a box; NaN where that
            is not known, and 0 elsewhere.
        why: the thing that is near a limit there, see `AtLimit`.
        in_order: whether every correct run gives them in the same order.
    """

    always: Mask
    sometimes: Mask
    near: Float64
    why: NDArray[np.uint8]
    in_order: bool

    @property
    def is_certain(self) -> bool:
        """Whether all correct runs keep the same boxes, in the same order."""
        return self.in_order and bool((self.always == self.sometimes).all())


def kept(boxes: Boxes, scores: Float64, off: Float64, limits: BoxLimits) -> Keeping:
    """Return what correct runs keep.

    Args:
        scores: (records, classes, boxes); `off` says in the same shape how far each may be off.
    """
    always, sometimes = np.zeros((2, *scores.shape), bool)
    near, why = np.zeros(scores.shape), np.zeros(scores.shape, np.uint8)
    in_order = True
    for record, numbers in enumerate(boxes.numbers):
        for of_class in range(scores.shape[1]):
            at = record, of_class
            one = _Class(numbers, boxes, scores[at], off[at], limits)
            always[at][one.places], sometimes[at][one.places] = one.always, one.sometimes
            near[at][one.places], why[at][one.places] = one.nearness()
            in_order &= one.is_in_order()
    return Keeping(always, sometimes, near, why, in_order)


class _Class:
    """The boxes of one class in one record whose scores may exceed the least.

    A box is kept always where no box that may be kept may come first and suppress it, and never where one that is kept
    always does. Each of the two shows more of the other, until nothing changes.

    Attributes:
        places: their places among all boxes, from the highest score down; the other attributes are in this order.
    """

    def __init__(self, numbers: Float64, boxes: Boxes, scores: Float64, off: Float64, limits: BoxLimits) -> None:
        there = np.ones(len(scores), bool) if boxes.sometimes is None else boxes.sometimes
        chosen = np.flatnonzero((scores + off > limits.least) & there)
        self.places = chosen[np.argsort(-scores[chosen], kind="stable")]
        self._limits, self._scores, self._off = limits, scores[self.places], off[self.places]
        enters = np.ones(len(scores), bool) if boxes.always is None else boxes.always
        self._enters = enters[self.places] & (self._scores - self._off > limits.least)
        self.always, self.sometimes = np.zeros(len(self.places), bool), np.ones(len(self.places), bool)
        self._is_compared = len(self.places) <= MOST_BOXES
        if self._is_compared:
            self._compare(numbers[self.places], boxes)

    def _compare(self, numbers: Float64, boxes: Boxes) -> None:
        low, high = overlaps(numbers, boxes.off, centred=boxes.centred)
        self._exact = overlaps(numbers, 0.0, centred=boxes.centred)[0]
        apart, both = self._scores[:, None] - self._scores, self._off[:, None] + self._off
        self._may_precede, self._precedes = apart >= -both, apart > both  # (the first, the second)
        np.fill_diagonal(self._may_precede, False)
        limit = self._limits.overlap
        self._may_suppress, self._suppresses = self._may_precede & (high > limit), self._precedes & (low > limit)
        while True:
            before = self.always.copy(), self.sometimes.copy()
            self.always = self._enters & ~np.asarray(self._may_suppress[self.sometimes].any(axis=0))
            self.always &= self._may_precede[self.sometimes].sum(axis=0) < self._limits.most
            self.sometimes = ~np.asarray(self._suppresses[self.always].any(axis=0))
            self.sometimes &= self._precedes[self.always].sum(axis=0) < self._limits.most
            if (before[0] == self.always).all() and (before[1] == self.sometimes).all():
                return

    def is_in_order(self) -> bool:
        """Return whether the scores of boxes that may be kept are clearly in one order."""
        some = np.flatnonzero(self.sometimes)
        apart, both = -np.diff(self._scores[some]), self._off[some][1:] + self._off[some][:-1]
        return bool((apart > both).all())

    def nearness(self) -> tuple[Float64, NDArray[np.uint8]]:
        """Return how far what decides is from its limit, and what it is; see `Keeping`."""
        near, why = np.zeros(len(self.places)), np.zeros(len(self.places), np.uint8)
        for one in np.flatnonzero(self.sometimes & ~self.always):
            near[one], why[one] = self._nearness_of(int(one))
        return near, why

    def _nearness_of(self, one: int) -> tuple[float, AtLimit]:
        least = abs(float(self._scores[one]) - self._limits.least)
        if not self._is_compared:
            return float("nan"), AtLimit.OTHER
        if least <= self._off[one]:
            return least, AtLimit.SCORE
        rivals = np.flatnonzero(self._may_suppress[:, one] & self.sometimes)
        clear = self._suppresses[rivals, one]
        exact, apart = self._exact[rivals, one], np.abs(self._scores[rivals] - self._scores[one])
        if clear.any() or not self._enters[one]:  # the other is itself at a limit, or the box is
            return float("nan"), AtLimit.OTHER
        if not len(rivals):
            others = np.flatnonzero(self._may_precede[:, one] & ~self._precedes[:, one] & self.sometimes)
            gaps = np.abs(self._scores[others] - self._scores[one])
            return float(gaps.min(initial=np.inf)) if len(others) else float("nan"), AtLimit.COUNT
        by_order = self._precedes[rivals, one]
        if by_order.any():
            return float(np.abs(exact - self._limits.overlap)[by_order].min()), AtLimit.OVERLAP
        return float(apart.min()), AtLimit.ORDER


def overlaps(boxes: Float64, off: float, *, centred: bool) -> tuple[Float64, Float64]:
    """Return the least and the most that the intersection over union of each two boxes can be.

    Args:
        boxes: (boxes, 4), see `Boxes`.

    Returns:
        (boxes, boxes) each, with NaN for a box and itself.
    """
    first, second = boxes[:, :2], boxes[:, 2:]
    if centred:
        first, second, off = first - second / 2, first + second / 2, 1.5 * off
    low, high = np.minimum(first, second), np.maximum(first, second)
    sides = np.minimum(high[:, None], high) - np.maximum(low[:, None], low)
    shared = np.prod(np.maximum(sides + MOVES * off, 0), axis=-1)
    areas = np.prod(np.maximum(high - low + MOVES[:, :, 0] * off, 0), axis=-1)
    unions = areas[:, :, None] + areas[:, None] - shared[::-1]
    with np.errstate(divide="ignore", invalid="ignore"):
        least, most = shared[0] / np.maximum(unions[1], shared[0]), shared[1] / np.maximum(unions[0], shared[1])
    for one in (least, most):
        np.fill_diagonal(one, np.nan)
    return least, most
