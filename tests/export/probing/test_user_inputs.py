"""Inputs of a user's model: shapes from the file, the user and the arrays, and records of them."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pytest
from numpy.typing import NDArray

from assay.errors import InputError
from assay.export.pairs.pair_inputs import OnnxValue, draw_inputs
from assay.export.probing.drawn_ranges import Range, first_taken, ranges_of
from assay.export.probing.edge_inputs import TIERS, draw_edges, zeros
from assay.export.probing.inputs import CALLS, ROWS, form_of, records_of, said_ranges
from assay.export.probing.shapes import declared_inputs
from assay.train.brought.model import Declared


def one(name: str, *shape: int | str, dtype: str = "float32") -> Declared:
    return Declared(name=name, dtype=dtype, shape=shape)


def test_the_file_says_it_and_the_batch_stays_open() -> None:
    declared = declared_inputs([one("left", "n", 4), one("right", "n", 2)], [], {}, {})
    form = form_of(declared)
    assert (form.whole, form.batch) == (False, None)
    assert [tensor.shape for tensor in form.inputs] == [(4,), (2,)]


def test_a_size_for_the_batch_fixes_it() -> None:
    form = form_of(declared_inputs([one("image", "n", 4)], [], {"n": 8}, {}))
    assert (form.whole, form.batch, form.inputs[0].shape) == (False, 8, (4,))


@pytest.mark.parametrize(
    "declared", [[one("a", 2, 4), one("b", 3, 4)], [one("a", 2, 4), one("scalar")], [one("scalar")]]
)
def test_without_a_common_first_dimension_a_record_is_a_whole_call(declared: list[Declared]) -> None:
    form = form_of(declared_inputs(declared, [], {}, {}))
    assert form.whole
    assert form.inputs[0].shape == declared[0].shape


def test_the_user_says_it_where_the_file_does_not() -> None:
    declared = declared_inputs([], [one("ids", "batch", "tokens", dtype="int64")], {"tokens": 6}, {})
    assert declared == (one("ids", "batch", 6, dtype="int64"),)
    arrays = {"x": np.zeros((5, 3), np.float32)}
    assert declared_inputs([], [], {}, arrays) == (one("x", 5, 3),)


def test_arrays_say_how_large_open_dimensions_are() -> None:
    arrays = {"ids": np.zeros((5, 7), np.int64)}
    assert declared_inputs([one("ids", "n", "tokens", dtype="int64")], [], {}, arrays)[0].shape == ("n", 7)


@pytest.mark.parametrize(
    ("found", "given", "arrays", "words"),
    [
        ([], [], {}, "The inputs of the model are unknown"),
        ([one("x", "n", "tokens")], [], {}, "--dimension tokens=64"),
        ([one("x", "n", "n")], [], {}, "--dimension n=64"),
        ([one("x", "n", 4), one("y", "m", 4)], [], {}, "sizes of dimension 0"),
        ([one("x", "n", 4)], [one("x", "n", 5)], {}, "contradicts the model's file"),
        ([one("x", "n", 4)], [one("z", "n", 4)], {}, "does not name an input of the model: expected x, found z"),
        ([one("x", "n", 4)], [], {"z": np.zeros((2, 4), np.float32)}, "--inputs lacks an input"),
        ([one("x", "n", 4)], [], {"x": np.zeros((2, 4))}, "does not fit the model"),
        ([one("x", "n", 4)], [], {"x": np.zeros(4, np.float32)}, "does not fit the model"),
        ([one("x", "n", 4)], [], {"x": np.zeros((2, 5), np.float32)}, "does not fit the model"),
        ([one("x", "n", 4)], [], {"x": np.zeros((0, 4), np.float32)}, "does not fit the model"),
    ],
)
def test_missing_and_contradictory_inputs_are_named(
    found: list[Declared], given: list[Declared], arrays: dict[str, np.ndarray], words: str
) -> None:
    with pytest.raises(InputError, match=words):
        declared_inputs(found, given, {}, arrays)


def test_records_are_drawn_and_always_the_same() -> None:
    form = form_of([one("ids", "n", 6, dtype="int64"), one("scale", "n", 1)])
    records = records_of(form, {}, most_batch=8)
    assert (len(records), records["ids"].shape, records["ids"].dtype) == (ROWS, (ROWS, 6), np.int64)
    assert records["scale"].std() > 0.5
    np.testing.assert_array_equal(records, records_of(form, {}, most_batch=8))
    assert len(records_of(form, {}, most_batch=100)) == 100
    assert len(records_of(form_of([one("scalar")]), {}, most_batch=1)) == CALLS


def test_given_arrays_become_records() -> None:
    arrays = {"x": np.arange(12, dtype=np.float32).reshape(4, 3)}
    for declared, count in ((one("x", "n", 3), 4), (one("x", 2, 3), 4), (one("x", 4, 3), 4)):
        records = records_of(form_of([declared]), arrays, most_batch=1)
        assert len(records) == count
        np.testing.assert_array_equal(records["x"], arrays["x"])
    whole = records_of(form_of([one("x", 4, 3)], whole=True), arrays, most_batch=1)
    np.testing.assert_array_equal(whole["x"][0], arrays["x"])
    with pytest.raises(InputError, match="multiple of 3"):
        records_of(form_of([one("x", 3, 3)]), arrays, most_batch=1)


DRAWN = [
    Declared(name="ids", dtype="int64", shape=("batch", 6)),
    Declared(name="share", dtype="float32", shape=("batch", 3)),
    Declared(name="rate", dtype="int32", shape=()),
    Declared(name="free", dtype="float32", shape=("batch", 2)),
]
SAID = {"ids": (5.0, 900.0), "share": (0.25, 0.75), "rate": (16000.0, 16000.0)}


def test_a_users_range_bounds_the_drawn_inputs_and_the_edges() -> None:
    said = said_ranges(DRAWN, SAID)
    records = records_of(form_of(DRAWN), {}, 1, said)
    assert (records["ids"].min(), records["ids"].max()) == (5, 900)
    shares = sorted(records["share"].flat)
    assert 0.25 <= shares[0] < 0.3
    assert 0.7 < shares[-1] <= 0.75
    assert set(records["rate"]) == {16000}
    assert records["free"].min() < 0.0
    values = [OnnxValue("ids", "int64", (9, 6)), OnnxValue("share", "float32", (9, 3)), OnnxValue("rate", "int32", ())]
    random = np.random.default_rng(0)
    for edge in (draw_edges(values, said, TIERS[-1], random, signed=True), zeros(values, said)):
        for name, (least, most) in SAID.items():
            assert least <= edge[name].min() <= edge[name].max() <= most


def test_what_a_user_says_is_not_tried() -> None:
    """Any other rate is refused, and so are ids of 0; only the rest is found by trying."""
    seen: list[int] = []

    def attempt(inputs: Mapping[str, NDArray[np.generic]]) -> dict[str, NDArray[np.generic]]:
        if inputs["rate"] != 16000 or inputs["ids"].min() < 5:
            raise InputError("not taken")
        seen.append(int(inputs["other"].max()))
        return {"out": np.zeros(2, np.float32)}

    said = said_ranges(DRAWN, SAID)
    inputs = {"ids": np.full((2, 6), 7), "rate": np.asarray(16000, np.int32), "other": np.ones(3, np.int8)}
    found = ranges_of(first_taken(inputs, attempt, said), attempt, None, said)
    assert (found["rate"], found["ids"]) == (said["rate"], said["ids"])
    assert max(seen) == 127


@pytest.mark.parametrize(
    ("said", "words"),
    [
        ({"other": (0, 1)}, "names no input"),
        ({"ids": (0, 0.5)}, "no such numbers"),
        ({"rate": (0, 2**40)}, "no such numbers"),
        ({"share": (0, 1e300)}, "no such numbers"),
    ],
)
def test_a_range_that_an_input_cannot_have_is_refused(said: dict[str, tuple[float, float]], words: str) -> None:
    with pytest.raises(InputError, match=words):
        said_ranges(DRAWN, said)


def test_a_mask_of_a_library_always_leaves_something() -> None:
    """PyTorch, torch.export and the tracer each give something else where a mask leaves nothing."""
    values, ranges = [OnnxValue("mask", "int64", (40, 3))], {"mask": Range(0, 1, 0, 1, some=True)}
    random = np.random.default_rng(0)
    ordinary, least = draw_inputs(values, {}, ranges=ranges), zeros(values, ranges)
    for drawn in (ordinary, least, draw_edges(values, ranges, TIERS[0], random, signed=True)):
        assert (drawn["mask"][:, 0] == 1).all()
    assert (ordinary["mask"][:, 1:] == 0).any()
    assert (least["mask"][:, 1:] == 0).all()
