"""A column of one output is judged on its own scale, as far as its own native error allows."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from assay.numerics.agreement import derive_tolerance
from assay.numerics.columns import Columns, columns_of, reason_against_columns

RECORDS = 16


def two_quantities(seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Metres in millions beside radians, and their rounding to fp32."""
    random = np.random.default_rng(seed)
    exact = np.concatenate([random.normal(0, 1e6, (RECORDS, 2)), random.normal(0, 1, (RECORDS, 2))], axis=1)
    return exact, exact.astype(np.float32).astype(np.float64)


def reason(exact: np.ndarray, native: np.ndarray, candidate: np.ndarray) -> str:
    tolerance = derive_tolerance(exact.reshape(len(exact), -1), {"it": native.reshape(len(exact), -1)})
    columns = columns_of(exact, np.abs(native - exact), tolerance.value)
    return reason_against_columns(columns, np.abs(candidate - exact))


def test_a_tenth_beside_a_million_is_seen_in_its_own_column() -> None:
    exact, native = two_quantities()
    wrong = native.copy()
    wrong[3, 2] += 0.1
    tolerance = derive_tolerance(exact, {"it": native})
    assert np.abs(wrong - exact).max() <= tolerance.value  # which is why columns are looked at
    assert reason(exact, native, native) == ""
    assert reason(exact, native, wrong).startswith("column 2 of 4 differs by 0.1, ")


@pytest.mark.parametrize("axis", [1, 2])
def test_columns_are_along_any_dimension(axis: int) -> None:
    """Boxes and scores as (boxes, columns) and as (columns, boxes)."""
    exact = np.random.default_rng(1).normal(0, 1, (2, 5, 40)) * np.array([1e5, 1e5, 1e5, 1e5, 1]).reshape(1, 5, 1)
    wrong = exact.astype(np.float32).astype(np.float64)
    native = wrong.copy()
    wrong[1, 4, 7] += 1e-3
    places = (0, 2, 1) if axis == 2 else (0, 1, 2)
    found = [np.transpose(one, places) for one in (exact, native, wrong)]
    assert "column 4 of 5 differs by 0.001" in reason(*found)
    assert reason(found[0], found[1], found[1]) == ""


@given(st.integers(0, 10_000), st.floats(1e-6, 1.0))
@settings(max_examples=30)
def test_two_correct_runs_in_another_order_pass_whatever_the_columns_scales_are(seed: int, least: float) -> None:
    """A matrix product in fp32, summed in two orders, with columns that are the small difference of large terms."""
    random = np.random.default_rng(seed)
    rows, weights = random.normal(size=(RECORDS, 200)).astype(np.float32), random.normal(size=(200, 6))
    weights *= np.geomspace(1, least, 6)
    weights[100:, 3] = -weights[:100, 3]
    rows[:, 100:] = rows[:, :100] * np.float32(1 + 1e-4)
    single = weights.astype(np.float32)
    exact = rows.astype(np.float64) @ single.astype(np.float64)
    native = (rows @ single).astype(np.float64)
    order = random.permutation(200)
    other = np.zeros((RECORDS, 6), np.float32)
    for place in order:
        other += np.outer(rows[:, place], single[place])
    assert reason(exact, native, other.astype(np.float64)) == ""


def test_activations_with_an_absolute_error_on_the_scale_of_one_pass() -> None:
    """ONNX Runtime's sigmoid of -20 is 1.5e-8 instead of 2e-9."""
    exact = np.concatenate([np.full((RECORDS, 1), 2e-9), np.linspace(0.1, 0.9, RECORDS)[:, None]], axis=1)
    other = exact + np.array([1.3e-8, 0])
    assert reason(exact, exact, other) == ""
    assert (
        reason(np.c_[exact, exact[:, :1] + 30], np.c_[exact, exact[:, :1] + 30], np.c_[other, other[:, :1] + 30]) == ""
    )


def test_too_few_numbers_and_zeros_say_nothing() -> None:
    exact, native = two_quantities()
    assert columns_of(exact[:7], np.abs(native - exact)[:7], 1.0) == []
    assert columns_of(np.zeros((RECORDS, 3)), np.zeros((RECORDS, 3)), 1.0) == []
    exact[:, 2] = native[:, 2] = 0
    wrong = native.copy()
    wrong[:, 2] += 0.1
    assert reason(exact, native, wrong) == ""
    assert columns_of(np.empty((0, 3)), np.empty((0, 3)), 1.0) == []


def test_a_column_s_limit_is_its_share_of_the_tolerance_its_native_error_or_an_absolute_floor() -> None:
    """An output of up to 100 may be 1e-3 off. A column of up to 1 may be a hundredth of that off, or 16 native errors
    if they are more, but never more than the whole output; a smaller column 16 ulps of 1.
    """
    reference = np.array([100.0, 1.0, 1.0, 1.0, 1e-3, 0.0]) * np.where(np.arange(RECORDS) % 2, 1, -1)[:, None]
    native = np.array([0.0, 0.0, 2e-6, 1.0, 0.0, 0.0]) * np.ones((RECORDS, 1))
    (found,) = columns_of(reference, native, 1e-3)
    assert found.axis == 1
    assert found.scales.tolist() == [100.0, 1.0, 1.0, 1.0, 1e-3, 0.0]
    assert found.limits == pytest.approx([1e-3, 1e-5, 32e-6, 1e-3, 16 * 2.0**-23, 1e-3])


def test_the_floor_of_an_output_below_one_is_on_its_own_scale() -> None:
    (found,) = columns_of(np.full((RECORDS, 2), [2.0**-10, 2.0**-20]), np.zeros((RECORDS, 2)), 2.0**-20)
    assert found.limits == pytest.approx([2.0**-20, 16 * 2.0**-33])


def test_eight_numbers_in_two_columns_are_judged() -> None:
    eight = np.ones((8, 2))
    assert len(columns_of(eight, eight * 0, 1.0)) == 1
    assert columns_of(eight[:7], eight[:7] * 0, 1.0) == []
    assert columns_of(eight[:, :1], eight[:, :1] * 0, 1.0) == []
    assert columns_of(eight, eight * 0, 0.0) == []


def test_the_column_that_is_furthest_beyond_its_own_limit_is_named_and_the_limit_itself_passes() -> None:
    found = [Columns(1, np.array([10.0, 1.0, 5.0]), np.array([0.5, 0.125, 0.25]))]
    assert reason_against_columns(found, np.array([[0.5, 0.125, 0.25]])) == ""
    said = reason_against_columns(found, np.array([[1.0, 0.125, 0.0], [0.0, 0.375, 0.375]]))
    assert said == "column 1 of 3 differs by 0.375, where 0.125 is tolerated on its own scale of 1"
