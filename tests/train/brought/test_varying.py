"""Outputs whose sizes depend on the values: padding, sizes, and entries in the order of the reference."""

from __future__ import annotations

import numpy as np
import pytest

from assay.errors import InputError
from assay.numerics.values import padding_of
from assay.train.brought.agreement import Judge
from assay.train.brought.arrays import rows_of
from assay.train.brought.model import Tensor
from assay.train.brought.varying import alike, in_order, padded, sizes_of
from tests.user_models import tensor, user_model

ROOM = 6
BOXES = Tensor(name="boxes", dtype="float32", shape=(ROOM, 2), varying=(0,))
CLASSES = Tensor(name="classes", dtype="int64", shape=(ROOM,), varying=(0,))
MODEL = user_model((tensor("x", 1, 3),), (BOXES, CLASSES), whole=True)


def call(*entries: tuple[float, float, int]) -> list[np.ndarray]:
    """Return the outputs of one call: boxes (n, 2) and classes (n,)."""
    boxes = np.array([one[:2] for one in entries], np.float32).reshape(-1, 2)
    return [boxes, np.array([one[2] for one in entries], np.int64)]


def rows(*calls: list[np.ndarray]) -> np.ndarray:
    return np.concatenate([rows_of(MODEL, one) for one in calls])


FOUND = [(0.1, 0.9, 3), (0.5, 0.5, 1), (0.7, 0.2, 2)]


@pytest.mark.parametrize("dtype", ["float32", "float16", "int64", "uint8", "bool"])
def test_what_is_left_of_the_room_is_padding(dtype: str) -> None:
    one = Tensor(name="y", dtype=dtype, shape=(4, 2), varying=(0,))
    found = padded(np.ones((3, 2), dtype), one)
    assert found.shape == (4, 2)
    assert sizes_of(found.reshape(1, -1), one) == [(3,)]
    assert np.array_equal(found[3], np.full(2, padding_of(dtype)), equal_nan=dtype.startswith("float"))
    assert (found[:3] == 1).all()


@pytest.mark.parametrize("shape", [(7, 2), (3, 3), (3,), (3, 2, 1)])
def test_an_output_that_does_not_fit_is_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(InputError, match="Output 'boxes' has another size"):
        padded(np.zeros(shape, np.float32), BOXES)


def test_each_record_has_its_own_sizes() -> None:
    both = rows(call(*FOUND), call(FOUND[0]), call())
    assert sizes_of(both[:, :12], BOXES) == [(3,), (1,), (0,)]
    assert sizes_of(both[:, 12:], CLASSES) == [(3,), (1,), (0,)]
    fewer = rows(call(*FOUND), call(), call())
    assert alike(both[:, :12], fewer[:, :12], BOXES).tolist() == [True, False, True]


def test_entries_of_all_outputs_move_together_to_the_order_of_the_reference() -> None:
    reference = rows(call(*FOUND), call(FOUND[1], FOUND[0]))
    moved = rows(call(FOUND[2], FOUND[0], FOUND[1]), call(FOUND[1], FOUND[0]))
    assert np.array_equal(in_order(reference, moved, MODEL.outputs), reference, equal_nan=True)


def judge(*calls: list[np.ndarray]) -> Judge:
    exact = rows(*calls).astype(np.float64)
    return Judge(MODEL, exact, {"onnx": exact.astype(np.float32).astype(np.float64)})


def test_a_set_agrees_in_any_order_and_differs_by_its_members() -> None:
    one = judge(*[call(*FOUND)] * 4)
    other = rows(*[call(FOUND[1], FOUND[2], FOUND[0])] * 4)
    assert one.compare("it", other, np.arange(4)).passed
    wrong_class = rows(*[call(FOUND[1], FOUND[2], (0.1, 0.9, 4))] * 4)
    assert "'classes': 4 of 24 numbers differ" in one.compare("it", wrong_class, np.arange(4)).reason
    wrong_box = rows(*[call(FOUND[1], FOUND[2], (0.1, 0.8, 3))] * 4)
    assert "'boxes'" in one.compare("it", wrong_box, np.arange(4)).reason


def test_other_sizes_are_told_where_few_differ_and_refused_where_many_do() -> None:
    one = judge(*[call(*FOUND)] * 4)
    few = one.compare("it", rows(*[call(*FOUND)] * 3, call(*FOUND[:2])), np.arange(4))
    assert few.passed
    assert "its size differs from the reference's in 1 of 4 records" in few.derivation
    assert few.margin == "output 'boxes': its size differs from the reference's in 1 of 4 records, which are left out"
    boxes, part = one.outputs[0]
    audited = boxes.judged(rows(*[call(*FOUND)] * 3, call(*FOUND[:2]))[:, part])
    assert (audited.reason, audited.sizes) == ("", "its size differs from the reference's in 1 of 4 records")
    many = one.compare("it", rows(*[call(*FOUND)] * 2, *[call(*FOUND[:2])] * 2), np.arange(4))
    assert not many.passed
    assert "its size differs from the reference's in 2 of 4 records" in many.reason


TOP = Tensor(name="top", dtype="float32", shape=(2, 3), lines=(0, 1))
PLACES = Tensor(name="places", dtype="int64", shape=(2, 3), lines=(0, 1))
OTHER = Tensor(name="other", dtype="float32", shape=(2, 3))


def test_lines_without_a_defined_order_are_put_into_that_of_the_reference() -> None:
    """Each line has an order of its own, the numbers beside the values move with them, and other outputs stay."""
    top, places = [[9.0, 7.0, 8.0], [1.0, 3.0, 2.0]], [[4, 2, 3], [0, 5, 1]]
    reference = np.array([[*np.ravel(top), *np.ravel(places), *np.ravel(top)]])
    moved = [[8.01, 9.01, 7.01], [3.01, 2.01, 1.01]], [[3, 4, 2], [5, 1, 0]]
    rows = np.array([[*np.ravel(moved[0]), *np.ravel(moved[1]), *np.ravel(moved[0])]])
    found = in_order(reference, rows, (TOP, PLACES, OTHER))
    np.testing.assert_allclose(found[0, :6], np.ravel(top), atol=0.02)
    np.testing.assert_array_equal(found[0, 6:12], np.ravel(places))
    np.testing.assert_array_equal(found[0, 12:], rows[0, 12:])
    across = [one.model_copy(update={"lines": (0, 0)}) for one in (TOP, PLACES)]
    same = in_order(reference[:, :12], reference[:, [3, 1, 5, 0, 4, 2, 9, 7, 11, 6, 10, 8]], across)
    np.testing.assert_array_equal(same, reference[:, :12])


def test_places_without_their_values_are_a_set() -> None:
    """One of three differs, and stays apart from those that are there on both sides."""
    reference = np.array([[4, 2, 3, 0, 5, 1]])
    found = in_order(reference, np.array([[3, 4, 2, 1, 7, 0]]), (PLACES,))
    np.testing.assert_array_equal(found, [[4, 2, 3, 0, 7, 1]])
    alike = np.array([[5, 5, 3, 2, 2, 5]])
    np.testing.assert_array_equal(in_order(alike, alike[:, [2, 0, 1, 5, 3, 4]], (PLACES,)), alike)
    across = PLACES.model_copy(update={"lines": (0, 0)})
    np.testing.assert_array_equal(in_order(reference, reference[:, [3, 4, 5, 0, 1, 2]], (across,)), reference)


def test_a_place_that_is_not_its_values_is_still_wrong() -> None:
    reference = np.array([[9.0, 7.0, 8.0, 4, 2, 3]])
    one = [output.model_copy(update={"shape": (3,), "lines": (0, 0)}) for output in (TOP, PLACES)]
    found = in_order(reference, np.array([[8.0, 9.0, 7.0, 4, 3, 2]]), one)
    np.testing.assert_array_equal(found, [[9.0, 7.0, 8.0, 3, 2, 4]])
