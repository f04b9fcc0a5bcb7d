"""Whole numbers are counted, infinities and NaN are values."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from assay.numerics.values import differences, is_whole, lacks_numbers, loses_digits, overflowing, settled

WHOLE_TYPES = ["bool", "int8", "uint8", "int16", "int32", "uint32", "int64", "uint64"]
whole = st.sampled_from(WHOLE_TYPES).flatmap(lambda name: hnp.arrays(name, st.integers(1, 40)))
SPECIAL = st.sampled_from([np.inf, -np.inf, np.nan])


@given(whole, st.data())
def test_one_number_that_differs_is_counted_however_large_the_numbers_are(
    expected: np.ndarray, data: st.DataObject
) -> None:
    assert differences(expected, expected.copy()).differing == 0
    place = data.draw(st.integers(0, expected.size - 1))
    wrong = expected.copy()
    wrong[place] ^= 1
    found = differences(expected, wrong)
    assert (found.differing, found.values, found.largest) == (1, expected.size, 1)
    assert str(found) == f"1 of {expected.size} numbers differ (largest by 1)"


@given(hnp.arrays(np.int64, st.integers(1, 20)))
def test_whole_numbers_written_as_the_longest_floating_point_are_the_same_ones(expected: np.ndarray) -> None:
    assert differences(expected.astype(np.longdouble), expected).differing == 0
    other = np.where(expected < 0, expected + 1, expected - 1)
    assert differences(expected.astype(np.longdouble), other).differing == expected.size


def test_a_fraction_and_no_number_equal_no_whole_number() -> None:
    expected = np.array([1, 2, 3])
    found = differences(expected, np.array([1.0, 2.5, np.nan]))
    assert found.differing == 2
    assert str(found) == "2 of 3 numbers differ (some are NaN)"
    assert differences(np.array([2**53]), np.array([2**53 + 1])).largest == 1
    assert differences(np.array([-1]), np.array([2**64 - 1], np.uint64)).differing == 1


def test_an_excused_answer_is_reported_and_not_counted() -> None:
    found = differences(np.array([1, 2, 3]), np.array([9, 2, 4]), np.array([True, True, False]))
    assert (found.differing, found.excused, found.largest) == (1, 1, 1)
    assert "1 more differ where the values that decide them tie" in str(found)


def test_types() -> None:
    assert all(is_whole(name) for name in WHOLE_TYPES)
    assert not any(is_whole(name) for name in ("float16", "float32", "float64"))
    assert loses_digits(np.array([2**53 + 1]))
    assert loses_digits(np.array([-(2**53) - 1]))
    assert not loses_digits(np.array([2**53]))
    assert not loses_digits(np.array([1e300]))
    assert not loses_digits(np.empty(0, np.int64))


@given(hnp.arrays(np.float32, (4, 5), elements=st.floats(-1e3, 1e3, width=32)), SPECIAL, st.integers(0, 19))
def test_the_same_special_value_on_both_sides_agrees_and_on_one_side_never(
    values: np.ndarray, special: float, place: int
) -> None:
    marked = values.copy()
    marked.flat[place] = special
    both = settled(marked, marked)
    assert (both.lost, both.problem) == (0, "")
    np.testing.assert_array_equal(both.reference, both.found)
    assert np.isfinite(both.reference).all()
    lost, made = settled(marked, values), settled(values, marked)
    assert "differ from the infinity or NaN of the reference" in lost.problem
    assert made.problem == "1 outputs of 20 are not finite where the reference is"


@pytest.mark.parametrize("other", [np.inf, np.nan, 0.0])
def test_another_special_value_is_not_the_same(other: float) -> None:
    assert settled(np.array([[-np.inf, 1.0]]), np.array([[other, 1.0]])).lost == 1


def test_values_masked_with_infinity_change_no_class() -> None:
    reference = np.array([[-np.inf, -3.0, -2.0], [np.inf, 0.0, 1.0]])
    both = settled(reference, reference)
    assert both.reference.argmax(axis=1).tolist() == [2, 0]
    np.testing.assert_array_equal(settled(np.full((2, 2), -np.inf), np.full((2, 2), -np.inf)).reference, 0)


def test_values_beyond_fp32_are_replaced_by_a_finite_one() -> None:
    assert np.isfinite(settled(np.array([[np.inf, 1e300]]), np.array([[np.inf, 1e300]])).reference).all()


def test_types_of_four_bytes_lose_nothing_and_of_eight_only_beyond_two_to_the_53rd() -> None:
    assert not loses_digits(np.array([2**32 - 1], np.uint32))
    assert not loses_digits(np.array([-(2**53), 2**53]))
    assert loses_digits(np.array([0, 2**64 - 1], np.uint64))


def test_a_distance_is_the_largest_of_all_and_of_nothing_it_is_zero() -> None:
    both = settled(np.array([[1.0, -4.0, 2.0]]), np.array([[1.5, -4.0, -1.0]]))
    assert (both.apart, both.scale, both.problem) == (3.0, 4.0, "")
    nothing = settled(np.empty((0, 3)), np.empty((0, 3)))
    assert (nothing.apart, nothing.scale, nothing.lost) == (0.0, 0.0, 0)


def test_a_number_that_fp32_does_not_hold_gives_way_to_what_every_run_has() -> None:
    exact = np.array([[1.0, 1e40, np.inf, 3.0]])
    overflows = np.array([[1.0, np.inf, np.inf, np.nan]], np.float32)
    other = np.array([[1.0, np.inf, np.inf, -np.inf]], np.float32)
    assert overflowing(exact, [overflows, other]).tolist() == [[1.0, np.inf, np.inf, 3.0]]
    assert overflowing(exact, []) is exact
    assert overflowing(exact, [np.ones((1, 4), np.float32), other]) is exact


@pytest.mark.parametrize(
    ("values", "lacks"), [([np.nan, -np.inf], True), ([], True), ([np.nan, 0.0], False), ([3], False)]
)
def test_an_output_lacks_numbers_where_none_is_finite(values: list[float], lacks: bool) -> None:
    assert lacks_numbers(np.array(values)) is lacks


def test_only_the_reference_decides_what_replaces_a_value_that_is_not_a_number() -> None:
    reference = np.array([[np.inf, -np.inf, np.nan, 2.0, -3.0]])
    both = settled(reference, np.array([[np.inf, -np.inf, np.nan, 9.0, -9.0]]))
    assert both.reference.tolist() == [[2.0, -3.0, 0.0, 2.0, -3.0]]
    assert both.found.tolist() == [[2.0, -3.0, 0.0, 9.0, -9.0]]
    three = settled(reference, np.array([[1.0, 1.0, 1.0, 2.0, -3.0]]))
    assert (three.lost, three.apart) == (3, 0.0)
    largest = float(np.finfo(np.float32).max)
    assert settled(np.array([[np.inf, 1e300]]), np.array([[np.inf, 1e300]])).reference[0, 0] == largest
    assert settled(np.array([[-np.inf, -1e300]]), np.array([[-np.inf, -1e300]])).reference[0, 0] == -largest


def test_what_differs_is_said_with_the_worst_and_nothing_where_nothing_does() -> None:
    none = differences(np.array([1, 2]), np.array([1, 2]))
    assert (str(none), none.largest, none.excused) == ("0 of 2 numbers differ", 0.0, 0)
    worst = differences(np.array([1, 2, 3]), np.array([1, 9, 1]))
    assert str(worst) == "2 of 3 numbers differ (largest by 7)"


SCORES = np.array([[1.5, -2.0, 0.25], [3.0, 0.5, 1.0]])
MASK = np.array([[True, False, False], [False, False, True]])


@pytest.mark.parametrize("filling", [-1e9, 1e9, -1e4, -1e30, float(np.finfo(np.float32).min)])
def test_a_number_in_place_of_others_does_not_hide_them(filling: float) -> None:
    exact = np.where(MASK, filling, SCORES)
    own = exact.astype(np.float32)
    both = settled(exact, own)
    assert 3 <= both.scale <= 6
    assert both.apart < 1e-6
    assert both.found.argmax() == exact.argmax()
    own[0, 1] += 0.01
    assert settled(exact, own).apart == pytest.approx(0.01, rel=1e-4)
    part = settled(exact[:1], own[:1], exact)
    assert (part.apart, part.scale <= 6) == (pytest.approx(0.01, rel=1e-4), True)


@pytest.mark.parametrize(("wrong", "share"), [(-1e9 - 64, 6.4e-8), (-0.9e9, 0.1), (1e9, 2.0), (0.0, 1.0)])
def test_another_number_in_its_place_is_as_wrong_as_it_is_relative_to_it(wrong: float, share: float) -> None:
    both = settled(np.where(MASK, -1e9, SCORES), np.where(MASK, wrong, SCORES))
    assert both.apart == pytest.approx(share * both.scale)


def test_infinity_in_its_place_is_not_it() -> None:
    both = settled(np.where(MASK, -1e9, SCORES), np.where(MASK, -np.inf, SCORES))
    assert "not finite where the reference is" in both.problem


def test_scores_that_are_added_to_it_are_the_filling_too() -> None:
    exact = SCORES + np.where(MASK, -1e9, 0)
    assert settled(exact, exact.astype(np.float32)).apart < 1e-5


@pytest.mark.parametrize(
    "values", [[1e9, 1.0, 2.0], [1e9, -1e9], [900.0, 900.0, 1.0], [1e4, 1e4, 200.0], [1e9, 1e9, 0.0]]
)
def test_large_numbers_that_stand_for_themselves_are_left_alone(values: list[float]) -> None:
    exact = np.array([values])
    assert settled(exact, exact + 1).apart == 1
    assert settled(exact, exact).reference.tolist() == exact.tolist()


@pytest.mark.parametrize("kind", [np.float16, np.float32, np.float64])
@pytest.mark.parametrize("sign", [1, -1])
def test_the_largest_number_of_a_type_is_the_same_in_any_precision(kind: type[np.floating], sign: int) -> None:
    exact = np.where(MASK, sign * np.finfo(np.float64).max, SCORES)
    own = np.where(MASK, sign * float(np.finfo(kind).max), SCORES)
    assert (settled(exact, own).problem, settled(exact, own).apart) == ("", 0.0)
    assert settled(exact, -own).lost == settled(exact, SCORES).lost == 2
