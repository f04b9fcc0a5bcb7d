"""Entries that scores select are right as a whole: those that every correct run selects, and none that no run does."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from assay.numerics.ties.deciding import Unfollowed
from assay.numerics.ties.saved import joined, read_deciders, save_deciders
from assay.numerics.ties.selected import AtLimit, Selected
from assay.numerics.values import padding_of

TOLERANCE, ROOM = 1e-3, 9
BOXES = np.array([[0, 0, 1, 1], [2, 0, 3, 1], [4, 0, 5, 1], [0, 0, 1, 1.001]], np.float64)
"""The last one is within two tolerances of the first."""


def selected(
    values: np.ndarray, always: list[bool], sometimes: list[bool], near: float = 2e-8, why: AtLimit = AtLimit.SCORE
) -> Selected:
    """One record's candidates; what only some runs select is so near a limit."""
    one, other = np.array([always], bool), np.array([sometimes], bool)
    return Selected(
        values=values.reshape(1, len(values), -1),
        always=one,
        sometimes=other,
        near=np.where(one != other, near, 0.0),
        why=np.where(one != other, why, AtLimit.NONE).astype(np.uint8),
        tolerance=0.0 if values.dtype.kind in "iu" else TOLERANCE,
        operator="NonMaxSuppression",
    )


def row(entries: np.ndarray) -> np.ndarray:
    """Entries as a record has them, with padding, (1, numbers)."""
    entries = np.asarray(entries)
    full = np.full((ROOM, *entries.shape[1:]), padding_of(entries.dtype), entries.dtype)
    full[: len(entries)] = entries
    return full.reshape(1, -1)


BOTH = selected(BOXES[:3], [True, True, False], [True, True, True])


def test_an_entry_at_a_limit_may_be_there_or_not() -> None:
    few, all_three = row(BOXES[:2]), row(BOXES[:3])
    np.testing.assert_array_equal(BOTH.beside(all_three, few), all_three)
    np.testing.assert_array_equal(BOTH.beside(few, all_three), few)
    assert not BOTH.refutes(few, all_three).any()
    assert BOTH.decides(few)
    assert BOTH.margin(all_three, few) == (
        "1 of 3 entries is on one side only: a score is 2e-08 from the least that is kept"
    )
    assert BOTH.margin(few, few) == ""
    assert BOTH.are_at_a_limit(BOXES, 0).tolist() == [False, False, True, False]
    assert not BOTH.are_at_a_limit(BOXES, 1).any()
    assert not BOTH.are_at_a_limit(BOXES[:, :2], 0).any()


@pytest.mark.parametrize(
    "wrong",
    [BOXES[:1], BOXES[1:3], np.concatenate([BOXES[:2], BOXES[:1]]), BOXES[:2] + 0.01, np.concatenate([BOXES[:3]] * 2)],
)
def test_what_no_run_selects_is_refuted_and_left_as_it_is(wrong: np.ndarray) -> None:
    expected = row(BOXES[:3])
    assert BOTH.refutes(expected, row(wrong)).tolist() == [True]
    np.testing.assert_array_equal(BOTH.beside(expected, row(wrong)), row(wrong))
    assert not BOTH.decides(row(wrong))
    assert BOTH.margin(expected, row(wrong)) == ""
    assert not BOTH.refutes(row(wrong), expected).any(), "of another reference nothing is known"
    assert not BOTH.refutes(expected, row(wrong), np.array([1])).any(), "nor of another record"


def test_the_numbers_that_a_run_gave_are_compared_and_not_those_of_the_candidates() -> None:
    moved = BOXES[:2] + TOLERANCE
    np.testing.assert_array_equal(BOTH.beside(row(BOXES[:2]), row(moved[::-1])), row(moved))


def test_entries_of_alike_numbers_each_have_a_candidate() -> None:
    """Either entry may be either candidate, of which one has to be there."""
    twins = selected(BOXES[[0, 3]], [False, True], [True, True])
    for one in (BOXES[[0, 3]], BOXES[[3, 0]], BOXES[[0]], BOXES[[3]]):
        assert twins.decides(row(one))
    assert not twins.decides(row(BOXES[[0, 3, 0]]))


def test_labels_are_counted() -> None:
    labels = selected(np.array([1, 1, 2, 1]), [True, True, True, False], [True] * 4)
    for right in ([1, 1, 2], [2, 1, 1], [1, 1, 1, 2]):
        assert labels.decides(row(np.array(right)))
    for wrong in ([1, 2], [1, 1], [1, 1, 1, 1, 2], [1, 1, 2, 2], [1, 1, 3]):
        assert not labels.decides(row(np.array(wrong)))


@settings(max_examples=60)
@given(
    values=hnp.arrays(np.float64, (6, 2), elements=st.integers(0, 3).map(float)),
    always=hnp.arrays(bool, 6),
    sometimes=hnp.arrays(bool, 6),
    there=hnp.arrays(bool, 6),
    off=hnp.arrays(np.float64, (6, 2), elements=st.floats(-1, 1)),
    order=st.permutations(range(6)),
)
def test_every_run_between_always_and_sometimes_is_right(
    values: np.ndarray, always: np.ndarray, sometimes: np.ndarray, there: np.ndarray, off: np.ndarray, order: list[int]
) -> None:
    """Many candidates are alike, so that an entry may be that of several."""
    sometimes = sometimes | always
    one = selected(values, always.tolist(), sometimes.tolist())
    chosen = always | (there & sometimes)
    run = row((values + TOLERANCE * off)[[place for place in order if chosen[place]]])
    assert one.decides(run)
    least = row(values[always])
    beside = one.beside(least, run)
    assert beside.shape == least.shape
    assert np.nan_to_num(np.abs(beside - least)).max() <= (1 + 1e-9) * TOLERANCE
    for fewer in np.flatnonzero(always):
        rest = always.copy()
        rest[fewer] = False
        alike = (values == values[fewer]).all(axis=1)
        if not (alike & sometimes & ~always).any():
            assert not one.decides(row(values[rest]))


def test_calls_are_joined_and_written(tmp_path: Path) -> None:
    few = selected(BOXES[:1], [True], [True])
    both = joined([BOTH, few])
    assert isinstance(both, Selected)
    save_deciders({"boxes": both}, tmp_path / "deciders.npz")
    found = read_deciders(tmp_path / "deciders.npz")["boxes"]
    assert isinstance(found, Selected)
    assert (found.records, found.operator, found.tolerance) == (2, "NonMaxSuppression", TOLERANCE)
    rows = np.concatenate([row(BOXES[:2]), row(BOXES[:1])])
    assert found.decides(rows)
    assert not found.decides(rows[::-1])
    assert found.margin(rows, np.concatenate([row(BOXES[:3]), row(BOXES[:1])])).startswith("1 of 4 entries")
    assert joined([BOTH, selected(BOXES[:1, :2], [True], [True])]) is None


def test_of_reduced_precision_and_of_other_records_nothing_is_known() -> None:
    assert BOTH.widened() == BOTH.beyond() == Unfollowed("NonMaxSuppression")
    assert not BOTH.leaves_open


def test_the_furthest_from_a_limit_is_told() -> None:
    three = selected(BOXES[:3], [True, False, False], [True] * 3, why=AtLimit.OVERLAP)
    three.near[0, 1] = 7e-8
    assert three.margin(row(BOXES[:1]), row(BOXES[:3])) == (
        "2 of 3 entries are on one side only; where that is furthest from a limit, "
        "an overlap is 7e-08 from the most that is kept"
    )
