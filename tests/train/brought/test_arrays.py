"""From records to inputs and from outputs to rows, without unnecessary copies."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from assay.errors import InputError
from assay.train.brought.arrays import inputs_of, record_type, repeated, rows_of
from assay.train.brought.model import Location, Tensor, UserModel
from tests.train.brought.test_model import HERE

FLAG, IMAGE = Tensor(name="flag", dtype="bool", shape=()), Tensor(name="image", dtype="float32", shape=(2, 3))


def model(inputs: tuple[Tensor, ...], outputs: tuple[Tensor, ...] = (IMAGE,), *, whole: bool = False) -> UserModel:
    location = Location(path=HERE, form="function", function="build")
    return UserModel(location=location, kind="jax", inputs=inputs, outputs=outputs, whole=whole)


def records(inputs: tuple[Tensor, ...], count: int) -> np.ndarray:
    made = np.zeros(count, record_type(inputs))
    made["image"] = np.random.default_rng(0).normal(size=(count, 2, 3))
    return made


def test_one_input_of_many_rows_is_a_view() -> None:
    rows = records((IMAGE,), 5)
    (image,) = inputs_of(model((IMAGE,)), rows)
    assert image.shape == (5, 2, 3)
    assert np.shares_memory(image, rows)
    np.testing.assert_array_equal(image, rows["image"])


@pytest.mark.parametrize("whole", [False, True])
def test_several_inputs_are_contiguous_each(whole: bool) -> None:
    rows = records((FLAG, IMAGE), 1 if whole else 5)
    flag, image = inputs_of(model((FLAG, IMAGE), whole=whole), rows)
    assert flag.flags.c_contiguous
    assert image.flags.c_contiguous
    assert image.flags.aligned
    assert (flag.shape, image.shape) == (((), (2, 3)) if whole else ((5,), (5, 2, 3)))
    assert np.shares_memory(image, rows) == whole


@pytest.mark.parametrize("count", [1, 2, 5])
def test_repeated_records_that_were_stored_can_be_read_by_pytorch(count: int, tmp_path: Path) -> None:
    """It takes no array whose rows are not whole elements apart: an int64 beside a float32."""
    inputs = (Tensor(name="ids", dtype="int64", shape=(3,)), Tensor(name="scale", dtype="float32", shape=()))
    np.save(tmp_path / "records.npy", np.ones(2, record_type(inputs)))
    stored = np.load(tmp_path / "records.npy", mmap_mode="r")
    for array in inputs_of(model(inputs), repeated(stored, count)):
        assert len(array) == count
        assert all(stride % array.itemsize == 0 for stride in array.strides)
        assert array.flags.writeable


def test_rows_hold_all_outputs_side_by_side() -> None:
    one = model((IMAGE,), (IMAGE, FLAG))
    images, flags = np.ones((4, 2, 3), np.float32), np.array([True, False, True, False])
    rows = rows_of(one, [images, flags])
    assert rows.shape == (4, one.width)
    np.testing.assert_array_equal(rows[:, -1], flags)
    single = rows_of(model((IMAGE,)), [images])
    assert np.shares_memory(single, images)


def test_a_whole_call_is_one_row() -> None:
    assert rows_of(model((IMAGE,), (IMAGE, FLAG), whole=True), [np.ones((2, 3)), np.array(1.0)]).shape == (1, 7)


def test_outputs_that_are_not_rows_are_refused() -> None:
    with pytest.raises(InputError, match="an unexpected number of outputs"):
        rows_of(model((IMAGE,)), [])
    with pytest.raises(InputError, match="do not have one row for each input"):
        rows_of(model((IMAGE,), (IMAGE, IMAGE)), [np.ones((4, 6)), np.ones(7)])


@pytest.mark.parametrize("kind", [np.int64, np.uint64])
def test_large_whole_numbers_beside_floating_point_stay_what_they_are(kind: type[np.generic]) -> None:
    ids = Tensor(name="ids", dtype=np.dtype(kind).name, shape=())
    one = model((IMAGE,), (IMAGE, ids))
    large = np.array([2**60 + 1, 2**53 + 1, 5], kind)
    rows = rows_of(one, [np.ones((3, 2, 3), np.float32), large])
    np.testing.assert_array_equal(rows[:, -1].astype(kind), large)
