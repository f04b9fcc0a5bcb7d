"""Inputs for a pair of files whose open dimensions differ."""

from __future__ import annotations

import pytest

from assay.errors import InputError
from assay.export.pairs.pair_inputs import OnnxValue, check_same, draw_inputs, narrowed


def value(name: str, *shape: int | str) -> OnnxValue:
    return OnnxValue(name, "float32", shape)


def test_a_size_that_one_file_fixes_is_both_files() -> None:
    reference, candidate = [value("x", "batch", "x.1"), value("mask", "batch")], [value("x", 1, 7), value("mask", "n")]
    check_same("input", reference, candidate)
    found = draw_inputs(narrowed(reference, candidate), {})
    assert (found["x"].shape, found["mask"].shape) == ((1, 7), (1,))


def test_a_rank_that_one_file_leaves_open_is_the_others() -> None:
    reference, candidate = [OnnxValue("x", "float32", None)], [value("x", "n", 3)]
    check_same("input", reference, candidate)
    assert draw_inputs(narrowed(reference, candidate), {})["x"].shape == (8, 3)
    with pytest.raises(InputError, match=r"of any rank.*--inputs"):
        draw_inputs(narrowed(reference, reference), {})


def test_a_batch_is_of_one_size_wherever_it_stands() -> None:
    found = draw_inputs([value("x", "n", 4), value("state", 2, "n", 8)], {})
    assert (found["x"].shape, found["state"].shape) == ((8, 4), (2, 8, 8))
    found = draw_inputs([value("x", "x.0", 4), value("y", "y.0")], {"batch": 3})
    assert (found["x"].shape, found["y"].shape) == ((3, 4), (3,))


def test_all_missing_sizes_are_named_at_once() -> None:
    with pytest.raises(InputError, match=r"dimension 1 of input 'x', dimension 2 of input 'y' are.*x\.1=64.*tokens=64"):
        draw_inputs([value("x", "n", "x.1"), value("y", "n", 2, "tokens")], {})
