"""The knee of a trade-off between time and quality: the point after which more time buys less than before it. Pure
functions.

The rule is that of Kneedle (Satopää, Albrecht, Irwin & Raghavan 2011, "Finding a 'Kneedle' in a haystack: detecting
knee points in system behavior", ICDCS Workshops) for a curve given by few points, without its smoothing, which needs
many: both axes are scaled to 0..1, and the knee is the point furthest above the line from the first point to the last.
It is looked for on the Pareto front, since a slower point that is no better is no trade-off. A front of one point needs
no knee: that point is both the fastest and the best. A front of two has none, and neither has one that lies on or below
the line: there each step in time buys at least as much as the step before.

Quality is a share of right answers, known from a sample of inputs. Its uncertainty is that of the parametric bootstrap
(Efron & Tibshirani 1993, "An introduction to the bootstrap", section 6.5): the number of right answers is drawn again
from its binomial distribution, and the time from a log-normal one with the width of its interval. Draws of two points
are independent although they are of the same inputs, which makes differences look more uncertain than they are.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from assay.bench.statistics.resampling import ROUNDING, SEED
from assay.numerics.distributions import normal_quantile
from assay.records.base import Interval

DRAWS = 2000
LEAST_SHARE = 0.95
"""The share of draws that a set of candidates has to cover."""


@dataclass(frozen=True)
class Point:
    """One point of a trade-off.

    Attributes:
        time: time of a call, in any unit.
        right: number of right answers.
        count: number of inputs.
    """

    time: Interval
    right: int
    count: int


@dataclass(frozen=True)
class Knee:
    """The knee of a trade-off, with its uncertainty.

    Attributes:
        place: index of the knee among the points, or None where there is no knee.
        shares: share of the draws in which each point is the knee, by index; those without a knee are left out.
        candidates: fewest points that together are the knee in at least `LEAST_SHARE` of the draws, the most frequent
            first; None among them stands for no knee.
    """

    place: int | None
    shares: dict[int, float]
    candidates: tuple[int | None, ...]


def knee_of(times: Sequence[float], qualities: Sequence[float]) -> int | None:
    """Return the index of the knee, or None where there is none.

    Args:
        times: time of each point, above zero.
        qualities: quality of each point; higher is better.
    """
    front = pareto_front(list(zip(qualities, times, strict=True)))
    if len(front) == 1:
        return front[0]
    first, last = front[0], front[-1]
    across, up = times[last] - times[first], qualities[last] - qualities[first]
    above = [
        ((qualities[place] - qualities[first]) / up - (times[place] - times[first]) / across, -place, place)
        for place in front[1:-1]
    ]
    distance, _, place = max(above, default=(0.0, 0, 0))
    return place if distance > ROUNDING else None


def knee_with_uncertainty(points: Sequence[Point]) -> Knee:
    """Return the knee of at least two points, and how often each point is the knee when all of them are drawn again."""
    random = np.random.default_rng(SEED)
    drawn = [
        (
            one.time.value * np.exp(_log_error(one.time) * random.standard_normal(DRAWS)),
            random.binomial(one.count, one.right / one.count, DRAWS) / one.count,
        )
        for one in points
    ]
    times = np.array([time for time, _ in drawn]).T.tolist()
    qualities = np.array([quality for _, quality in drawn]).T.tolist()
    found = [knee_of(*draw) for draw in zip(times, qualities, strict=True)]
    places, counts = dict.fromkeys(found), {place: found.count(place) / DRAWS for place in set(found)}
    ordered = sorted(places, key=lambda place: -counts[place])
    covered = np.cumsum([counts[place] for place in ordered])
    needed = int(np.searchsorted(covered, LEAST_SHARE - 1e-12)) + 1
    return Knee(
        place=knee_of([one.time.value for one in points], [one.right / one.count for one in points]),
        shares={place: counts[place] for place in sorted(one for one in places if one is not None)},
        candidates=tuple(ordered[:needed]),
    )


def pareto_front(points: Sequence[tuple[float, float]]) -> list[int]:
    """Return the indices of the (quality, latency) points that no other point beats in both, by ascending latency."""
    front: list[int] = []
    for index in sorted(range(len(points)), key=lambda i: (points[i][1], -points[i][0])):
        if not front or points[index][0] > points[front[-1]][0]:
            front.append(index)
    return front


def _log_error(time: Interval) -> float:
    """Return the standard deviation of a log-normal time whose 95 % interval has the same width."""
    return math.log(time.high / time.low) / (2 * normal_quantile(0.975)) if time.low > 0 else 0.0
