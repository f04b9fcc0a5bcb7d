"""Calls at several sizes in turn, as a server gets them: each round is one call at every size, in an order of its own.

What is timed is the round, and its time is the mean of its calls: single calls are of as many kinds as there are sizes,
and a median over them would be that of one size.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

Places = NDArray[np.int64]
Drawn = tuple[int, Places]
"""A call: the number of its file of records, and the records that it takes."""

ROTATED_INPUTS = 4


def rotation(images: int, batch: int, least: int = 1) -> list[Places]:
    """Return which images make up the batches that calls use in turn; they repeat only when there are too few.

    Args:
        least: fewest batches, whose images are the same ones again where there are too few.
    """
    count = max(min(ROTATED_INPUTS, max(images // batch, 1)), least)
    return list(np.arange(count * batch).reshape(count, batch) % images)


def drawn_rounds(counts: Sequence[int], batch: int, least: int = 1) -> list[Drawn]:
    """Return the calls of successive rounds, each with one call of every file in an order drawn with seed 0.

    Args:
        counts: the number of records of each file.
        least: as `rotation` takes it, where there is one file.
    """
    turns = [rotation(count, batch, least if len(counts) == 1 else 1) for count in counts]
    order = random.Random(0)  # noqa: S311  an order, not a secret
    found = []
    for turn in range(ROTATED_INPUTS if len(counts) > 1 else len(turns[0])):
        files = order.sample(range(len(counts)), len(counts))
        found += [(file, turns[file][turn % len(turns[file])]) for file in files]
    return found


def timed_round(call: Callable[[int], object], turn: int, length: int, inputs: int) -> int:
    """Return the mean nanoseconds of the calls of one round.

    Args:
        call: makes the call with an input, by its place among the inputs.
        turn: number of the round; rounds take turns with the inputs.
        length: number of calls in a round.
        inputs: number of inputs, a multiple of the length.
    """
    first, clock = turn * length % inputs, time.perf_counter_ns
    places = range(first, first + length)
    begun = clock()
    for place in places:
        call(place)
    return (clock() - begun) // length
