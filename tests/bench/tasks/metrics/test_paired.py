"""A metric's interval, difference and test: what they promise, on answers whose truth is known."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from assay.bench.tasks.metrics.paired import Named, paired_with
from assay.errors import InputError


def hits(outputs: Named, labels: Any) -> float:
    return float(np.mean(outputs["a"] == labels))


def quality_of(found: np.ndarray, base: np.ndarray, labels: np.ndarray) -> Any:
    return paired_with("hits", hits, {"a": base}, labels, 1).quality_of({"a": found})


@pytest.mark.slow
def test_the_interval_covers_the_truth_as_often_as_it_says() -> None:
    chance, covered = np.random.default_rng(0), 0
    for _ in range(40):
        found = (chance.random(60) < 0.8).astype(int)
        one = quality_of(found, found, np.ones(60, int))
        covered += one.value.low <= 0.8 <= one.value.high
    assert 35 <= covered <= 40


@pytest.mark.slow
def test_the_test_says_no_difference_as_often_as_it_should() -> None:
    """Of two sides that are right equally often, one in twenty differs at 5 %, within chance."""
    chance, small = np.random.default_rng(1), 0
    for _ in range(30):
        one, other = (chance.random((2, 50)) < 0.7).astype(int)
        small += quality_of(one, other, np.ones(50, int)).p_value < 0.05
    assert small <= 5


def test_a_difference_on_the_same_records_is_seen_where_the_intervals_overlap() -> None:
    labels = np.ones(200, int)
    base = (np.arange(200) % 4 > 0).astype(int)
    found = base.copy()
    found[1:16:4] = 0
    found[17:33:4] = 0
    one = quality_of(found, base, labels)
    assert one.value.high > one.base.low
    assert one.difference.high < 0
    assert one.p_value < 0.05


def test_the_same_answers_do_not_differ() -> None:
    found = np.array([1, 0, 1, 1])
    one = quality_of(found, found, np.ones(4, int))
    assert (one.difference.value, one.p_value) == (0.0, 1.0)
    assert (one.is_metric, one.share) == (True, False)


def test_draws_on_which_it_is_not_defined_are_left_out_and_said() -> None:
    def needs_both(outputs: Named, labels: Any) -> float:
        if len(set(labels.tolist())) < 2:
            raise InputError("one class")
        return hits(outputs, labels)

    labels = np.array([0, 1, 1, 1, 1, 1])
    one = paired_with("m", needs_both, {"a": labels}, labels, 1).quality_of({"a": labels})
    assert "not defined on 3" in one.method  # (5/6)^6 of the draws miss the one record of class 0

    def needs_all(outputs: Named, labels: Any) -> float:
        if len(set(labels.tolist())) < 3:
            raise InputError("a class is missing")
        return hits(outputs, labels)

    few = np.arange(3)  # all three are in 6 of 27 draws
    with pytest.raises(InputError, match=r"m has no interval.*defined on most draws"):
        paired_with("m", needs_all, {"a": few}, few, 1)


def test_one_record_is_too_few() -> None:
    with pytest.raises(InputError, match="two records or more"):
        paired_with("hits", hits, {"a": np.ones(1)}, np.ones(1), 1)
