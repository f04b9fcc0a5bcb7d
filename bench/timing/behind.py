"""Candidates so far behind in their first blocks that further ones are not worth their time: a pure function."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping

from assay.bench.timing.workers import Candidate
from assay.numerics.precisions import FULL
from assay.registry import FRAMEWORKS

CLEARLY_BEHIND = 1.4
"""Times the fastest of its side in the same two blocks: beyond what is out of the running by a whole process, which is
1.2 (`assay.bench.timing.width`), by more than two blocks differ from eight."""


def clearly_behind(medians: Mapping[Candidate, float]) -> set[Candidate]:
    """Return those that take more than `CLEARLY_BEHIND` times as long as the fastest of their side in their precision.

    Rulers are on no side and never behind.
    """
    fastest: dict[tuple[bool, str], float] = defaultdict(lambda: float("inf"))
    for one, median in medians.items():
        fastest[_side(one)] = min(fastest[_side(one)], median)
    return {one for one, median in medians.items() if one.framework and median > CLEARLY_BEHIND * fastest[_side(one)]}


def _side(one: Candidate) -> tuple[bool, str]:
    precision = one.asked_precision
    return one.framework in FRAMEWORKS, "" if precision in FULL else precision
