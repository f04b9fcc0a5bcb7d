"""Results that may come in any order are compared in one."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from assay.bench.atlas.run import Asked, make_atlas
from assay.bench.atlas.unordered import in_one_order
from assay.bench.words.progress import Narrator
from assay.train.brought.loaders.loaded import Unordered

MATRIX = arrays.arrays(np.int64, arrays.array_shapes(min_dims=2, max_dims=2, max_side=5), elements=st.integers(-3, 3))


@given(MATRIX, st.integers(0, 1), st.randoms(use_true_random=False))
def test_unique_in_any_order_is_one(values: np.ndarray, axis: int, random: np.random.Generator) -> None:
    found = np.unique(values, axis=axis, return_inverse=True, return_counts=True)
    unique, inverse, counts = found[0], found[1].reshape(-1), found[2]
    order = list(range(len(counts)))
    random.shuffle(order)
    moved = unique.take(order, axis), np.argsort(order)[inverse], counts[order]
    called = Unordered("aten::unique_dim", axis, others=(True, False))
    ours = in_one_order([unique, inverse, counts], called)
    assert all(map(np.array_equal, ours, in_one_order(moved, called)))
    np.testing.assert_array_equal(ours[0].take(ours[1], 0), np.moveaxis(values, axis, 0))


def test_another_value_count_or_place_is_another_result() -> None:
    called = Unordered("aten::_unique2", 0, others=(True, False))
    values, places, counts = np.array([3, 1]), np.array([1, 0, 0]), np.array([2, 1])
    ours = in_one_order([values, places, counts], called)
    for other in (
        (np.array([3, 2]), places, counts),
        (values, np.array([0, 0, 1]), counts),
        (values, np.array([1, 0, 2]), counts),
        (values, places, np.array([1, 2])),
        (values[::-1], places, counts),
    ):
        assert not all(map(np.array_equal, ours, in_one_order(other, called)))


def test_each_line_of_top_k_has_an_order_of_its_own() -> None:
    called = Unordered("aten::topk", -1, lines=True, others=(False,))
    values, places = np.array([[5.0, 4.0], [9.0, 7.0]]), np.array([[0, 2], [1, 0]])
    moved = np.array([[4.0, 5.0], [9.0, 7.0]]), np.array([[2, 0], [1, 0]])
    ours = in_one_order([values, places], called)
    assert all(map(np.array_equal, ours, in_one_order(moved, called)))
    assert not all(map(np.array_equal, ours, in_one_order((moved[0], places), called)))


@pytest.mark.slow
def test_unique_that_need_not_be_sorted_is_right_by_torch_script(tmp_path: Path) -> None:
    made = make_atlas(Asked("opinfo", ("unique",)), tmp_path, Narrator())
    found = {(one.sample, one.route): one.verdict for one in made.findings if one.numbers == "given"}
    assert found[100, "torch-script"] == "right"
    assert set(found.values()) == {"right"}
