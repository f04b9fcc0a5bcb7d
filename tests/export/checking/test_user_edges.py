"""Records at the edges: which of them are informative, and that an export is judged on the scale of their own tier."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from assay.export.checking.edges import Edges, compare_edges, made_how, read_edges, sound_edges, tried_edges
from assay.export.probing.calls import computed
from assay.export.probing.drawn_ranges import Range
from assay.export.probing.edge_inputs import TIERS
from assay.train.brought.loaders.loaded import Array, Compute
from assay.train.brought.model import UserModel
from tests.user_models import tensor, user_model

WIDTH = 6
NONE = np.zeros(0, [("x", "f4")])
ORDINARY = np.zeros(8, [("x", "f4", WIDTH)])
ORDINARY["x"] = np.random.default_rng(0).normal(size=(8, WIDTH))
NOTHING = np.zeros((0, WIDTH))
"""Only inputs that the rows of a call share are taken from the other records."""
Function = Callable[[np.ndarray], np.ndarray]


def model(dtype: str = "float32", out: str = "float32") -> UserModel:
    return user_model((tensor("x", WIDTH, dtype=dtype),), (tensor("y", WIDTH, dtype=out),), "torch")


def of(function: Function, *, wide: bool = False) -> Compute:
    def compute(inputs: Sequence[Array]) -> dict[str, Array]:
        (x,) = inputs
        with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
            return {"y": function(x.astype(np.float64) if wide else x)}

    return compute


def softplus(x: np.ndarray) -> np.ndarray:
    return np.maximum(x, 0) + np.log1p(np.exp(-np.abs(x)))


def naive(x: np.ndarray) -> np.ndarray:
    return np.log(1 + np.exp(x))


def edges_of(function: Function) -> Edges:
    tried = tried_edges(model(), NONE, {}, of(function))
    exactly = partial(computed, model(), of(function, wide=True))
    return sound_edges(model(), tried, exactly, computed(model(), of(function), ORDINARY))


def reason(edges: Edges, function: Function, ordinary: float = 2.0) -> str:
    rows = computed(model(), of(function), edges.records)
    return compare_edges(model(), "an export", edges, rows, np.full((4, WIDTH), ordinary)).reason


def test_a_softplus_that_overflows_is_found_where_the_models_does_not() -> None:
    edges = edges_of(softplus)
    assert set(edges.tiers) == {0, 1, 2}
    assert not reason(edges, softplus)
    assert "are not finite where the reference is" in reason(edges, naive)
    assert "differs by" in reason(edges, lambda x: np.maximum(x, 0))  # it is wrong about zero alone


def test_where_the_model_itself_overflows_nothing_is_asked() -> None:
    edges = edges_of(naive)
    assert 0 < len(edges) < len(edges_of(softplus))
    assert not reason(edges, softplus)
    assert not len(edges_of(lambda x: x * np.float32(np.nan)))


def test_rows_that_depend_on_each_other_at_the_edges_alone_tell_nothing() -> None:
    def grown(x: np.ndarray) -> np.ndarray:
        x = np.abs(x) + 1
        while x.max() < 100:  # ordinary rows all grow as often
            x = 2 * x + 1
        return x

    edges = tried_edges(model(), NONE, {}, of(grown))
    assert not len(edges)
    assert "its rows depend on each other there" in made_how(model(), {}, edges)
    whole = model().model_copy(update={"whole": True})
    assert len(tried_edges(whole, NONE, {}, of(grown)))


def test_outputs_that_are_rounding_error_in_fp32_are_left_out() -> None:
    edges = edges_of(lambda x: (x + 1e8) - 1e8 + 1e-3)
    assert not edges.records["x"].any()  # of zeros it is not a rounding


def test_a_tier_has_a_scale_of_its_own_and_a_small_output_that_of_ordinary_records() -> None:
    edges = edges_of(lambda x: x)
    near = edges.tiers == 0

    def off(by: float) -> str:
        rows = edges.native.copy()
        rows[near] += by
        return compare_edges(model(), "an export", edges, rows, np.full((4, WIDTH), 2.0)).reason

    assert "differs by 0.00" in off(0.002)  # of 3, and not of 100
    assert not off(0.0002)
    assert not reason(edges_of(lambda x: 0 * x + 1e-9 * np.sign(x)), lambda x: 0 * x)


def test_whole_numbers_are_equal_however_large() -> None:
    shifting = model("int64", "int64")
    ranges = {"x": Range(0, 1, -(2**31), 2**31 - 1)}
    edges = tried_edges(shifting, NONE, ranges, of(lambda x: x * 3 >> 2))
    assert sound_edges(shifting, edges, None, NOTHING) is edges
    assert edges.records["x"].min() < -(2**30)
    divided = computed(shifting, of(lambda x: np.trunc(x * 3 / 4).astype(np.int64)), edges.records)
    found = compare_edges(shifting, "an export", edges, divided, np.zeros((4, WIDTH)))
    assert "numbers differ (largest by 1)" in found.reason
    assert not found.passed


def test_indices_that_come_out_of_zeros_are_not_looked_at() -> None:
    choosing = model(out="int64")
    tried = tried_edges(choosing, NONE, {}, of(lambda x: np.argsort(x, axis=1)))
    edges = sound_edges(choosing, tried, None, NOTHING)
    other = computed(choosing, of(lambda x: np.argsort(-x, axis=1)), edges.records)
    assert compare_edges(choosing, "an export", edges, other, np.zeros((4, WIDTH))).passed


def test_scores_at_the_edges_are_judged_beside_masked_ones() -> None:
    def masked(x: np.ndarray, step: float = 0.0) -> np.ndarray:
        return np.where(x < 0, np.asarray(-1e9, x.dtype), x * np.asarray(1 + step, x.dtype))

    edges = edges_of(masked)
    assert len(edges)
    for step, words in ((0.0, ""), (1e-2, "output 'y': differs by")):
        rows = computed(model(), of(partial(masked, step=step)), edges.records)
        usual = computed(model(), of(masked), ORDINARY)
        assert compare_edges(model(), "an export", edges, rows, usual).reason.startswith(words)


def test_they_are_kept_beside_the_records(tmp_path: Path) -> None:
    assert read_edges(tmp_path) is None
    edges = edges_of(softplus)
    edges.save(tmp_path)
    again = read_edges(tmp_path)
    assert again is not None
    np.testing.assert_array_equal(again.records, edges.records)
    np.testing.assert_array_equal(again.reference, edges.reference)


@pytest.mark.parametrize(
    ("dtype", "ranges", "words"),
    [
        ("float32", {}, ["'x' standard normal", "zero, tiny and up to 100 of either sign"]),
        ("bool", {}, ["'x' true and false"]),
        (
            "int64",
            {"x": Range(0, 999, -1000, 999, "the model refuses")},
            ["'x' whole numbers 0 to 999 (the model refuses more)", "'x' from -1,000 to 999"],
        ),
    ],
)
def test_it_is_said_how_inputs_were_made_and_what_they_do_not_cover(
    dtype: str, ranges: dict[str, Range], words: list[str]
) -> None:
    one = model(dtype)
    edges = tried_edges(one, NONE, ranges, of(lambda x: x))
    said = made_how(one, ranges, edges)
    assert all(word in said for word in [*words, "Not covered: realistic inputs", "--inputs"])
    assert f"{len(edges)} more records at the edges" in said
    assert len(edges) == 4 * len(TIERS) + 1
    assert "No records at the edges" in made_how(one, ranges, None)
