"""The knee of a trade-off between time and quality, and its uncertainty."""

from __future__ import annotations

import numpy as np
import pytest

from assay.bench.statistics import knee
from assay.bench.statistics.knee import Point, knee_of, knee_with_uncertainty
from assay.records.base import Interval


def timed(value: float, spread: float = 1.02) -> Interval:
    return Interval(value=value, low=value / spread, high=value * spread)


@pytest.mark.parametrize(
    ("times", "qualities", "place"),
    [
        ([1, 2, 4, 8], [0.50, 0.90, 0.95, 0.96], 1),
        ([8, 4, 2, 1], [0.96, 0.95, 0.90, 0.50], 2),
        ([1, 2, 4, 8], [0.50, 0.55, 0.94, 0.96], 2),
        ([1, 2, 3], [0.1, 0.2, 0.3], None),  # a straight line
        ([1, 2, 3], [0.1, 0.15, 0.3], None),  # each step buys more than the one before
        ([1, 2], [0.5, 0.9], None),
        ([1, 2, 4], [0.9, 0.8, 0.7], 0),  # the fastest is the best
        ([1, 2, 4, 8], [0.98, 0.99, 0.97, 0.35], None),  # those that are slower and no better are no trade-off
        ([1, 2, 3, 4, 8], [0.5, 0.4, 0.9, 0.95, 0.96], 2),
        ([1, 1, 4, 8], [0.5, 0.6, 0.9, 0.91], 2),  # of two equally fast ones, the better
        ([3.0], [0.9], 0),
    ],
)
def test_the_knee_is_furthest_above_the_line_between_the_ends(
    times: list[float], qualities: list[float], place: int | None
) -> None:
    assert knee_of(times, qualities) == place


def test_the_knee_does_not_depend_on_units() -> None:
    times, qualities = [1.0, 2.0, 4.0, 9.0], [0.5, 0.8, 0.9, 0.96]
    assert knee_of(times, qualities) == knee_of([1000 * one for one in times], [3 * one + 1 for one in qualities]) == 1


def test_clear_points_have_one_candidate() -> None:
    rights = (500, 900, 950, 960)
    found = knee_with_uncertainty([Point(timed(2.0**n), right, 1000) for n, right in enumerate(rights)])
    assert (found.place, found.candidates) == (1, (1,))
    assert found.shares[1] > 0.99


def test_few_inputs_leave_several_candidates_and_perhaps_none() -> None:
    rights = (28, 29, 29, 29)
    found = knee_with_uncertainty([Point(timed(2.0**n), right, 30) for n, right in enumerate(rights)])
    assert found.place is None  # 28 and 29 of 30 are a front of two
    assert None in found.candidates
    assert 0 in found.candidates, "the fastest may be the best"
    assert sum(found.shares.values()) < 1


def test_candidates_hold_the_true_knee(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(knee, "DRAWS", 200)
    random, truth, repeats = np.random.default_rng(0), (0.90, 0.95, 0.965, 0.97), 200
    times = [1.0, 3.0, 9.0, 27.0]
    assert knee_of(times, truth) == 1
    held = 0
    for _ in range(repeats):
        rights = random.binomial(1000, truth)
        points = [Point(timed(time), int(right), 1000) for time, right in zip(times, rights, strict=True)]
        held += 1 in knee_with_uncertainty(points).candidates
    assert held / repeats >= 0.95
