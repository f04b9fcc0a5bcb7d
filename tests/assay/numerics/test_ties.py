"""An index may differ where the values that decide it tie, and nowhere else."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from assay.numerics.ties.choices import Decider
from assay.numerics.ties.saved import read_deciders, save_deciders

TOLERANCE = 1e-6
scores = hnp.arrays(np.float64, (6, 1, 9, 1), elements=st.floats(-10, 10), unique=True)


@given(scores)
def test_only_an_index_of_a_value_as_good_is_excused(values: np.ndarray) -> None:
    one = Decider(values, TOLERANCE)
    best = values.argmax(axis=2).reshape(6, 1)
    assert one.decides(best)
    for shift in range(1, 9):
        other = (best + shift) % 9
        apart = np.abs(values[np.arange(6), 0, best[:, 0], 0] - values[np.arange(6), 0, other[:, 0], 0])
        np.testing.assert_array_equal(one.excuses(best, other)[:, 0], apart <= 2 * TOLERANCE)


def test_two_values_that_tie_excuse_each_other_on_their_record_alone() -> None:
    values = np.array([[5.0, 5.0 + TOLERANCE, 1.0], [5.0, 2.0, 1.0]]).reshape(2, 1, 3, 1)
    one = Decider(values, TOLERANCE)
    expected, found = np.array([[1], [0]]), np.array([[0], [1]])
    assert one.excuses(expected, found).tolist() == [[True], [False]]
    assert one.excuses(expected[:1], found[:1], np.array([1])).tolist() == [[False]]
    assert one.excuses(expected[:1], found[:1], np.array([7])).tolist() == [[False]]


def test_an_output_that_is_not_an_index_is_never_excused() -> None:
    one = Decider(np.zeros((1, 1, 4, 1)), TOLERANCE)
    for wrong in (-1, 4, 0.5, np.nan):
        assert not one.excuses(np.array([[0]]), np.array([[wrong]])).any()
        assert not one.decides(np.array([[wrong]]))


def test_the_best_few_may_change_places_and_none_may_appear_twice() -> None:
    one = Decider(np.array([3.0, 3.0, 2.0, 1.0]).reshape(1, 1, 4, 1), TOLERANCE)
    expected = np.array([[0, 1, 2]])
    assert one.excuses(expected, np.array([[1, 0, 2]])).all()
    assert not one.excuses(expected, np.array([[1, 1, 2]])).any()
    assert one.decides(expected)
    assert one.decides(np.array([[3, 2, 0]]))  # the least ones
    assert not one.decides(np.array([[2, 0, 1]]))


def test_choices_along_an_inner_dimension() -> None:
    values = np.random.default_rng(0).normal(size=(2, 3, 5, 4))
    best = values.argmax(axis=2).reshape(2, 12)
    one = Decider(values, TOLERANCE)
    assert one.decides(best)
    assert not one.excuses(best, (best + 1) % 5).any()


def test_they_go_through_a_file_under_any_name(tmp_path: Path) -> None:
    made = {"file": Decider(np.ones((1, 1, 2, 1)), 0.5), "values of a/b": Decider(np.zeros((2, 1, 3, 1)), 0.25)}
    save_deciders(made, tmp_path / "deciders.npz")
    found = read_deciders(tmp_path / "deciders.npz")
    assert list(found) == list(made)
    assert found["values of a/b"].tolerance == 0.25
    np.testing.assert_array_equal(found["file"].values, made["file"].values)
    assert read_deciders(tmp_path / "none.npz") == {}


@pytest.mark.parametrize(("apart", "tie"), [(0.5, True), (0.500001, False)])
def test_two_values_tie_where_each_may_be_off_by_a_tolerance(apart: float, tie: bool) -> None:
    one = Decider(np.array([1.0, 1.0 + apart, 0.0]).reshape(1, 1, 3, 1), 0.25)
    assert one.excuses(np.array([[1]]), np.array([[0]])).all() == tie
    assert one.decides(np.array([[0]])) == tie


def test_the_first_and_the_last_index_are_indices() -> None:
    one = Decider(np.zeros((1, 1, 3, 1)), 0.0)
    assert one.excuses(np.array([[0]]), np.array([[2]])).all()
    assert not one.excuses(np.array([[0]]), np.array([[3]])).any()
    assert not one.excuses(np.array([[np.inf]]), np.array([[0]])).any()


def test_records_are_those_that_are_named() -> None:
    values = np.array([[1.0, 1.0], [1.0, 9.0], [2.0, 2.0]]).reshape(3, 1, 2, 1)
    one, expected, found = Decider(values, 0.0), np.array([[0], [0]]), np.array([[1], [1]])
    assert one.excuses(expected, found).tolist() == [[True], [False]]
    assert one.excuses(expected, found, np.array([2, 1])).tolist() == [[True], [False]]
    assert one.excuses(expected, found, np.array([3, 2])).tolist() == [[False], [True]]
