"""Whether NonMaxSuppression keeps the same boxes in every correct run, because no score and no overlap is near its
limit, and no two scores of a class are near each other. Pure functions.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Float64 = NDArray[np.float64]

MOST_BOXES = 2048
"""The most boxes of a class above the least score; more are not compared with each other."""
MOVES = np.array([-2.0, 2.0])[:, None, None, None]
"""By how much a side may be too short and too long, as a multiple of what a number may be off."""


@dataclass(frozen=True)
class Boxes:
    """
    Attributes:
        numbers: (records, boxes, 4), two opposite corners, or centre, width and height where `centred`.
        off: how far each number may be off.
    """

    numbers: Float64
    off: float
    centred: bool


def keeps_clearly(boxes: Boxes, scores: Float64, off: Float64, *, least: float, overlap: float) -> bool:
    """Return whether all correct runs keep the same boxes, in the same order.

    Args:
        scores: (records, classes, boxes); `off` says in the same shape how far each may be off.
        least: the score that a box must exceed.
        overlap: the intersection over union with a better box of its class that it must not exceed.
    """
    if (np.abs(scores - least) <= off)[off > 0].any():
        return False
    for record, classes, moves in zip(boxes.numbers, scores, off, strict=True):
        for one, by in zip(classes, moves, strict=True):
            chosen = np.flatnonzero(one > least)
            order = chosen[np.argsort(one[chosen])]
            if len(chosen) > MOST_BOXES or (np.diff(one[order]) <= by[order[1:]] + by[order[:-1]]).any():
                return False
            low, high = overlaps(record[chosen], boxes.off, centred=boxes.centred)
            if ((low <= overlap) & (overlap < high)).any():
                return False
    return True


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
