"""Which dimensions are open, which are the batch, and how the others are determined."""

from __future__ import annotations

import numpy as np
import pytest

from assay.errors import InputError
from assay.export.probing.inputs import form_of, records_of
from assay.export.probing.shapes import declared_inputs
from assay.train.brought.model import Declared, Dimension


def one(name: str, *shape: Dimension, dtype: str = "float32", optional: bool = False) -> Declared:
    return Declared(name=name, dtype=dtype, shape=shape, optional=optional)


def shapes(*declared: Declared, dimensions: dict[str, int] | None = None, **arrays: np.ndarray) -> list[object]:
    return [found.shape for found in declared_inputs(declared, [], dimensions or {}, arrays)]


def zeros(*shape: int) -> np.ndarray:
    return np.zeros(shape, np.float32)


def test_a_scalar_beside_a_batch_keeps_it_open_and_is_shared() -> None:
    declared = declared_inputs([], [one("features", "batch", 8), one("threshold")], {}, {})
    form = form_of(declared)
    assert (form.whole, form.batch) == (False, None)
    assert [(found.shape, found.shared) for found in form.inputs] == [((8,), False), ((), True)]
    records = records_of(form, {}, most_batch=1)
    assert len(set(records["threshold"].tolist())) == 1
    assert len(set(records["features"][:, 0].tolist())) == len(records)


def test_shared_inputs_are_given_once() -> None:
    arrays = {"features": np.arange(6, dtype=np.float32).reshape(3, 2), "table": np.ones((4, 4), np.float32)}
    form = form_of(declared_inputs([one("features", "n", 2), one("table", 4, 4)], [], {}, arrays))
    records = records_of(form, arrays, most_batch=1)
    assert records["features"].shape == (3, 2)
    assert records["table"].shape == (3, 4, 4)


def test_first_dimensions_without_a_name_are_the_batch() -> None:
    assert shapes(one("x", "x.0", 4), one("y", "y.0", 2)) == [("batch", 4), ("batch", 2)]
    assert shapes(one("x", "x.0", 4), one("y", "y.0", 2), dimensions={"batch": 3}) == [(3, 4), (3, 2)]
    assert shapes(one("x", "x.0", 4), one("y", "y.0", 2), dimensions={"x.0": 3, "y.0": 5}) == [(3, 4), (5, 2)]


def test_dimensions_without_a_name_are_each_one_of_its_own() -> None:
    sizes = {"x.1": 3, "y.1": 5}
    assert shapes(one("x", "n", "x.1"), one("y", "n", "y.1"), dimensions=sizes) == [("n", 3), ("n", 5)]


def test_given_inputs_settle_every_shape_also_first_dimensions_that_differ() -> None:
    signature = one("input", "input.0", "input.1"), one("state", "state.0", "state.1", 128), one("rate")
    found = shapes(*signature, input=zeros(1, 512), state=zeros(2, 1, 128), rate=zeros())
    assert found == [(1, 512), (2, 1, 128), ()]
    named = one("input", "n", "s"), one("state", 2, "n", 128)
    assert shapes(*named, input=zeros(1, 512), state=zeros(2, 1, 128)) == [(1, 512), (2, 1, 128)]
    form = form_of(declared_inputs(named, [], {}, {"input": zeros(1, 512), "state": zeros(2, 1, 128)}))
    assert form.whole


def test_a_batch_that_appears_in_another_dimension_too_is_not_a_batch_of_rows() -> None:
    with pytest.raises(InputError, match=r"dimension 0 of input 'x', dimension 1 of input 'state' are.*--dimension n="):
        shapes(one("x", "n", 4), one("state", 1, "n", 8))
    assert shapes(one("x", "n", 4), one("state", 1, "n", 8), dimensions={"n": 2}) == [(2, 4), (1, 2, 8)]


def test_all_missing_sizes_are_named_at_once_with_the_options_to_give() -> None:
    with pytest.raises(InputError) as told:
        shapes(one("x", "n", "length", "x.2"), one("y", "m", "length"))
    said = str(told.value)
    for input_name, place in (("x", 0), ("x", 1), ("x", 2), ("y", 0), ("y", 1)):
        assert f"dimension {place} of input '{input_name}'" in said
    assert "--dimension n=1 --dimension length=64 --dimension x.2=64 --dimension m=1" in said
    sizes = {"n": 1, "length": 64, "x.2": 64, "m": 1}
    assert shapes(one("x", "n", "length", "x.2"), one("y", "m", "length"), dimensions=sizes) == [(1, 64, 64), (1, 64)]


def test_the_options_can_be_pasted_into_a_shell() -> None:
    with pytest.raises(InputError, match="--dimension 'a b=64'"):
        shapes(one("x", "n", "a b"))


def test_two_sizes_of_one_dimension_are_refused() -> None:
    with pytest.raises(InputError, match=r"two sizes for dimension 'n'.*found 2 and 3"):
        shapes(one("x", "n", 4), one("y", "n", 4), x=zeros(2, 4), y=zeros(3, 4))


def test_an_optional_input_goes_in_where_it_is_named_only() -> None:
    declared = [one("x", "n", 4), one("mask", "n", 4, optional=True)]
    assert [found.name for found in declared_inputs(declared, [], {}, {})] == ["x"]
    assert len(declared_inputs(declared, [one("mask", "n", 4)], {}, {})) == 2
    assert len(declared_inputs(declared, [], {}, {"x": zeros(2, 4), "mask": zeros(2, 4)})) == 2


def test_an_input_of_any_rank_has_the_shape_that_the_user_gives() -> None:
    found = Declared(name="x", dtype="float32", shape=(), any_rank=True)
    with pytest.raises(InputError, match=r"does not say what shape input 'x' has.*--shape x=batch"):
        shapes(found)
    given = declared_inputs([found], [one("x", "batch", 3)], {}, {})
    assert (given[0].shape, given[0].any_rank) == (("batch", 3), False)
    assert shapes(found, x=zeros(2, 5)) == [(2, 5)]


@pytest.mark.parametrize("dtype", ["string", "object", "complex64", "resource"])
def test_inputs_that_are_not_numbers_are_refused_in_one_line(dtype: str) -> None:
    advice = "the real and the imaginary part" if dtype.startswith("complex") else "takes numbers"
    with pytest.raises(InputError, match=f"Input 'words' cannot be made: .*found {dtype}.*{advice}"):
        shapes(one("words", "n", dtype=dtype))
