"""The whole numbers that a model accepts are found by trying, and no others are drawn."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
import pytest

from assay.errors import InputError
from assay.export.pairs.pair_inputs import OnnxValue, draw_inputs
from assay.export.probing.drawn_ranges import FINENESS, LADDER, Array, Range, first_taken, ranges_of, told_of_ranges
from assay.export.probing.edge_inputs import TIERS, draw_edges, zeros

TABLE = np.arange(1000.0)
FURTHEST = LADDER[-1]


def found(function: Callable[[Array], Array], dtype: str = "int64", limit: int | None = None) -> Range:
    def attempt(inputs: Mapping[str, Array]) -> dict[str, Array]:
        try:
            return {"y": np.asarray(function(inputs["n"]))}
        except (IndexError, ValueError) as error:
            raise InputError(str(error)) from error

    taken = first_taken({"n": np.zeros((3, 4), dtype), "x": np.ones(3)}, attempt)
    return ranges_of(taken, attempt, limit)["n"]


def checked(n: Array, least: int, most: int) -> Array:
    if n.min() < least or n.max() > most:
        raise IndexError("index out of range")
    return n


def test_what_takes_all_gets_large_and_negative_numbers_at_the_edges_alone() -> None:
    assert found(lambda n: n * 3 >> 2) == Range(0, 1, -FURTHEST - 1, FURTHEST)


def test_an_embedding_gets_every_place_and_none_more() -> None:
    one = found(lambda n: TABLE[checked(n, 0, 999)])
    assert 999 - 1000 / FINENESS <= one.most <= 999
    assert (one.least, one.far_least, one.far_most, one.why) == (0, 0, one.most, "the model refuses")
    assert found(lambda n: TABLE[checked(n, 0, 1)]).most == 1
    assert found(lambda n: TABLE[checked(n, 0, 9)]).most == 9


def test_an_index_that_counts_from_the_end_gets_negative_numbers() -> None:
    one = found(lambda n: TABLE[n])
    assert one.far_least == -one.most - 1
    assert one.least == 0


def test_a_nan_a_shape_and_what_does_not_refuse_are_limits_too() -> None:
    nan = found(lambda n: np.where(n > 100, np.nan, 1.0))
    assert (nan.most, nan.why) == (1, "the model gives NaN for")
    assert nan.far_most <= 100
    shape = found(lambda n: np.zeros(max(int(n.max()), 2)))
    assert (shape.far_most, shape.why) == (2, "the shape of an output depends on")
    cut_off = found(lambda n: TABLE[np.clip(n, 0, 999)], limit=1000)
    assert (cut_off.most, cut_off.why) == (999, "there are no places for")


def test_lengths_may_not_be_zero_and_a_refusal_of_everything_is_the_models_own() -> None:
    lengths = found(lambda n: checked(n, 1, 6))
    assert (lengths.least, lengths.most) == (1, 6)
    with pytest.raises(InputError, match="index out of range"):
        found(lambda n: checked(n, 50, 60))


@pytest.mark.parametrize(("dtype", "ends"), [("uint8", (0, 255)), ("int8", (-128, 127))])
def test_bytes_are_drawn_in_full(dtype: str, ends: tuple[int, int]) -> None:
    one = found(lambda n: n, dtype)
    assert (one.least, one.most) == ends


def test_both_ends_are_among_the_numbers_that_are_drawn() -> None:
    value = OnnxValue("n", "int64", (8, 3))
    numbers = draw_inputs([value], {}, ranges={"n": Range(0, 99)})["n"]
    assert (numbers.min(), numbers.max()) == (0, 99)
    assert set(draw_inputs([OnnxValue("b", "bool", (8, 3))], {})["b"].ravel()) == {True, False}


def test_edges_have_zeros_tiny_large_and_negative_numbers_and_are_always_the_same() -> None:
    values = [OnnxValue("x", "float32", (20, 30)), OnnxValue("n", "int64", (20, 30)), OnnxValue("b", "bool", (20, 30))]
    ranges = {"n": Range(0, 1, -(2**31), 2**31 - 1)}
    for tier in TIERS:
        first, second = (draw_edges(values, ranges, tier, np.random.default_rng(0), signed=True) for _ in range(2))
        assert all((first[name] == second[name]).all() for name in first)
        x, n = first["x"], first["n"]
        assert (x.min(), x.max()) == (-tier.reach, tier.reach)
        assert (x == 0).any()
        assert ((x != 0) & (np.abs(x) < 1e-12)).any()
        assert (n.min(), n.max()) == (-tier.whole - 1, tier.whole)
        assert ((n > 0) & (n < 100)).any()
        assert {*first["b"].ravel()} == {True, False}
        assert not (draw_edges(values, ranges, tier, np.random.default_rng(0), signed=False)["x"] < 0).any()
    assert not any(one.any() for one in zeros(values, ranges).values())
    assert zeros([values[1]], {"n": Range(1, 1)})["n"].min() == 1


def test_people_are_told_what_was_drawn_by_trying_and_how_to_give_the_right_numbers() -> None:
    ids, kind = Range(0, 999, 0, 999, "the model refuses"), Range(0, 1, -256, 255)
    known = {"ids": ids, "kind": kind, "mask": Range(0, 1, 0, 1, some=True), "pixels": Range(0, 255, 0, 255)}
    (said,) = told_of_ranges(known, {"mask"})
    assert "'ids' from 0 to 999 (the model refuses more), 'kind' from 0 to 1 (the model takes any)" in said
    assert "--range kind=LEAST:MOST" in said
    assert "mask" not in said
    assert "pixels" not in said
    (said,) = told_of_ranges({"ids": ids}, ())
    assert "--range ids=LEAST:MOST" in said
    (said,) = told_of_ranges({"size": Range(0, 1, 0, 31, "the shape of an output depends on")}, ())
    assert "(the shape of an output depends on numbers beyond 31)" in said
    assert told_of_ranges({"pixels": known["pixels"]}, ()) == told_of_ranges(known, known) == []
