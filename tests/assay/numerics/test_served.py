"""Tensors on the wire, their records, and the distance of answers from the audited ones."""

from __future__ import annotations

import numpy as np
import pytest

from assay.errors import DataError
from assay.numerics.served import LARGEST, ServedTensor, as_records, errors_of, record_type, records_of

IMAGES = [ServedTensor(name="images", datatype="UINT8", shape=[2, 3])]
PAIR = [ServedTensor(name="left", datatype="FP32", shape=[3]), ServedTensor(name="flag", datatype="BOOL", shape=[])]
SHARES = ServedTensor(name="shares", datatype="FP32", shape=[3])
LABEL = ServedTensor(name="label", datatype="INT64", shape=[], index_of="shares")


def test_a_single_number_has_a_dimension_on_the_wire_alone() -> None:
    assert (LABEL.shape, LABEL.wire_shape, LABEL.dtype) == ([], [1], "int64")
    assert SHARES.wire_shape == [3]


def test_the_rows_of_one_array_are_its_records_and_nothing_is_copied() -> None:
    images = np.arange(24, dtype=np.uint8).reshape(4, 2, 3)
    records = as_records(images, IMAGES)
    assert records.shape == (4,)
    np.testing.assert_array_equal(records["images"], images)
    assert np.shares_memory(records, images)
    assert np.asarray(records[1:3]["images"], order="C").base is not None


def test_records_come_back_from_disk_as_they_were(tmp_path: object) -> None:
    arrays = {"left": np.ones((2, 3), np.float32), "flag": np.array([True, False])}
    records = records_of(arrays, PAIR)
    np.save(f"{tmp_path}/records.npy", records)
    again = as_records(np.load(f"{tmp_path}/records.npy", allow_pickle=False), PAIR)
    for name, array in arrays.items():
        np.testing.assert_array_equal(again[name], array)


@pytest.mark.parametrize(
    ("array", "tensors"),
    [
        (np.zeros((4, 3, 2), np.uint8), IMAGES),
        (np.zeros((4, 2, 3), np.float32), IMAGES),
        (np.zeros((0, 2, 3), np.uint8), IMAGES),
        (np.uint8(3), IMAGES),
        (np.zeros((4, 3), np.float32), PAIR),
        (np.zeros(4, record_type(PAIR[::-1])), PAIR),
        (np.zeros((4, 1), record_type(PAIR)), PAIR),
    ],
)
def test_arrays_that_are_not_records_of_the_model_are_refused(array: np.ndarray, tensors: list[ServedTensor]) -> None:
    with pytest.raises(DataError, match="do not belong to the model"):
        as_records(np.asarray(array), tensors)


def test_an_output_is_as_far_as_its_worst_number() -> None:
    audited = records_of({"shares": np.array([[0.5, 0.3, 0.2], [0.1, 0.8, 0.1]], np.float32)}, [SHARES])
    found = np.array([[0.5, 0.25, 0.25], [np.nan, 0.8, 0.1]], np.float32)
    errors = errors_of({"shares": found}, audited, SHARES)
    assert errors[0] == pytest.approx(0.05, abs=1e-7)
    assert errors[1] == LARGEST


def test_an_index_is_as_far_as_the_value_it_points_to_is_below_the_largest() -> None:
    shares = np.array([[0.5, 0.499, 0.001]] * 4, np.float32)
    audited = records_of({"shares": shares, "label": np.zeros(4)}, [SHARES, LABEL])
    errors = errors_of({"label": np.array([0, 1, 2, 7])}, audited, LABEL)
    np.testing.assert_allclose(errors, [0, 0.001, 0.499, LARGEST], rtol=1e-4)
