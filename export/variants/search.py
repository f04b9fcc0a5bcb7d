"""The smallest set of layers to leave in fp32 so that an int8 file passes. Pure: the functions that make and judge
files are given.

Layers are ranked by the error that each makes with all others in fp32 (Gluska & Grobman 2020, "Exploring Neural
Networks Quantization via Layer-Wise Quantization Analysis": nearly all of what a model loses may be one layer's). Then
the least number of layers, the most sensitive first, with which the file passes is found: in steps that double, and by
bisection between the last two. Then layers are taken back in pieces that get smaller, down to single ones, until none
can be (Zeller & Hildebrandt 2002, "Simplifying and Isolating Failure-Inducing Input", whose result is minimal in the
same sense).

The result is minimal: with any one of its layers in int8 again the file fails, and each of these files was made and
judged. It is not shown that no other set has fewer layers; that would take trying them all.

The accuracy control of OpenVINO and NNCF ranks layers by putting back one at a time and then puts back one after
another, each with a whole evaluation, until the result is good enough: it takes as many tries as layers, and layers in
fp32 stay there.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from assay.records.localisation import Ended, Tried

RANKING_SHARE = 0.5
"""The share of the time that ranking may take; layers that were not reached come last."""

Alone = Callable[[str], float]
"""Returns the error of the outputs with one layer alone in int8."""
Together = Callable[[Sequence[str]], Tried]
"""Returns the judged file with these layers in fp32."""
Spent = Callable[[], float]
"""Returns the share of the time that is spent; 1 or more when it is over."""


class TimeOverError(Exception):
    """There is no time for another try."""


@dataclass(frozen=True)
class Searched:
    """The result of a search.

    Attributes:
        ranked: layers and their errors alone in int8, the most sensitive first; layers that were not measured are left
            out.
        found: the set, or the one with the least error where none passes.
        tried: every set that was judged, once each, in order.
    """

    ranked: dict[str, float]
    found: Tried
    ended: Ended
    tried: list[Tried]


def search(layers: Sequence[str], as_it_is: Tried, alone: Alone, together: Together, spent: Spent) -> Searched:
    """
    Args:
        layers: layers that compute, in the order of the graph.
        as_it_is: the file with none of them in fp32.
    """
    ranked = ranking(layers, alone, spent)
    order = [*ranked, *(one for one in layers if one not in ranked)]
    tries = _Tries(order, as_it_is, together, spent)
    passing: list[str] | None = [] if as_it_is.passed else None
    try:
        passing = _fewest_of_the_first(order, tries) if passing is None else passing
        if passing is None:
            return Searched(ranked, tries.nearest, "nothing", tries.all)
        minimal = _taken_back(passing, tries)
    except TimeOverError:
        found = tries.smallest_passing
        return Searched(ranked, found or tries.nearest, "passes" if found else "time", tries.all)
    return Searched(ranked, tries(minimal), "minimal", tries.all)


def ranking(layers: Sequence[str], alone: Alone, spent: Spent) -> dict[str, float]:
    """Return the error of each layer alone in int8, the largest first. The ends of a model are measured first, as the
    time may run out: layers next to inputs and outputs are most often the sensitive ones.
    """
    found: dict[str, float] = {}
    for place in range(len(layers)):
        if spent() >= RANKING_SHARE and found:
            break
        one = layers[place // 2] if place % 2 == 0 else layers[-1 - place // 2]
        found[one] = alone(one)
    return dict(sorted(found.items(), key=lambda pair: (-pair[1], layers.index(pair[0]))))


class _Tries:
    """Tries every set at most once, while there is time."""

    def __init__(self, order: Sequence[str], as_it_is: Tried, together: Together, spent: Spent) -> None:
        self._order, self._together, self._spent = list(order), together, spent
        self._known = {frozenset(as_it_is.left): as_it_is}

    def __call__(self, left: Sequence[str]) -> Tried:
        """
        Raises:
            TimeOverError: the time is over, and this set was not tried before.
        """
        key = frozenset(left)
        if key not in self._known:
            if self._spent() >= 1:
                raise TimeOverError
            self._known[key] = self._together([one for one in self._order if one in key])
        return self._known[key]

    @property
    def all(self) -> list[Tried]:
        return list(self._known.values())

    @property
    def nearest(self) -> Tried:
        """The set with the least error."""
        return min(self.all, key=lambda one: (one.error, len(one.left)))

    @property
    def smallest_passing(self) -> Tried | None:
        return min((one for one in self.all if one.passed), key=lambda one: len(one.left), default=None)


def _fewest_of_the_first(order: Sequence[str], tries: _Tries) -> list[str] | None:
    """Return the least number of layers of the order with which the file passes; None where all but the least sensitive
    are too few.
    """
    most, fails, passes = len(order) - 1, 0, 1
    while passes <= most and not tries(order[:passes]).passed:
        fails, passes = passes, min(2 * passes, most) if passes < most else most + 1
    if passes > most:
        return None
    while passes - fails > 1:
        middle = (fails + passes) // 2
        fails, passes = (fails, middle) if tries(order[:middle]).passed else (middle, passes)
    return list(order[:passes])


def _taken_back(passing: Sequence[str], tries: _Tries) -> list[str]:
    """Return a part of the set that passes, and that fails with any one layer fewer."""
    kept, piece = list(passing), max(len(passing) // 2, 1)
    while kept:
        before = len(kept)
        for end in range(len(kept), 0, -piece):  # the least sensitive first
            less = kept[: max(end - piece, 0)] + kept[end:]
            if tries(less).passed:
                kept = less
        if piece == 1 and len(kept) == before:
            break
        piece = max(piece // 2, 1)
    return kept
