"""The search for layers that must stay in fp32: the set it finds is enough, and with any layer fewer it is not."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from assay.export.variants.search import RANKING_SHARE, Searched, ranking, search
from assay.export.variants.steps import MOST_STEPS, chain
from assay.records.localisation import Tried

LAYERS = [f"layer{number}" for number in range(20)]


def judging(passes: Callable[[Collection[str]], bool], asked: list[list[str]]) -> Callable[[Sequence[str]], Tried]:
    """A file for every set of layers, whose error is that of the layers not in fp32."""

    def together(left: Sequence[str]) -> Tried:
        asked.append(list(left))
        return Tried(left=list(left), error=len(LAYERS) - len(left), reason="" if passes(left) else "it is far off")

    return together


def searched(passes: Callable[[Collection[str]], bool], errors: dict[str, float] | None = None) -> Searched:
    together = judging(passes, [])
    return search(LAYERS, together([]), lambda one: (errors or {}).get(one, 0.0), together, lambda: 0.0)


@given(st.sets(st.sampled_from(LAYERS), min_size=1, max_size=6), st.permutations(LAYERS))
def test_the_bad_layers_are_found_whatever_their_rank(bad: set[str], order: list[str]) -> None:
    found = searched(lambda left: bad <= set(left), {one: float(place) for place, one in enumerate(order)})
    if order[0] in bad:  # all but the least sensitive is the most that leaves anything in integers
        assert found.ended == "nothing"
    else:
        assert found.ended == "minimal"
        assert set(found.found.left) == bad


@given(st.sets(st.frozensets(st.sampled_from(LAYERS), min_size=1, max_size=4), min_size=1, max_size=5))
def test_with_any_layer_back_in_int8_it_fails_and_that_was_tried(enough: set[frozenset[str]]) -> None:
    def passes(left: Collection[str]) -> bool:
        return any(one <= set(left) for one in enough)

    found = searched(passes)
    if found.ended == "minimal":
        tried = {frozenset(one.left): one for one in found.tried}
        for layer in found.found.left:
            assert not tried[frozenset(found.found.left) - {layer}].passed


def test_a_sensitive_layer_is_found_in_few_tries() -> None:
    asked: list[list[str]] = []
    together = judging(lambda left: "layer7" in left, asked)
    found = search(LAYERS, together([]), lambda one: float(one == "layer7"), together, lambda: 0.0)
    assert found.found.left == ["layer7"]
    assert len(asked) <= 3
    assert next(iter(found.ranked)) == "layer7"


def test_what_passes_is_not_searched() -> None:
    found = searched(lambda left: True)
    assert (found.found.left, found.ended) == ([], "minimal")


def test_where_the_time_is_over_the_best_counts() -> None:
    asked: list[list[str]] = []
    together = judging(lambda left: len(left) >= 12, asked)

    def spent() -> float:
        return 1.0 if len(asked) > tries else 0.0

    tries = 3
    found = search(LAYERS, together([]), lambda one: 0.0, together, spent)
    assert found.ended == "time"
    assert len(found.found.left) == max(map(len, asked)), "the one with the least error"
    tries = 7
    asked.clear()
    found = search(LAYERS, together([]), lambda one: 0.0, together, spent)
    assert found.ended == "passes"
    assert found.found.passed


def test_ranking_stops_in_time_and_begins_at_the_ends() -> None:
    asked: list[str] = []
    found = ranking(LAYERS, lambda one: asked.append(one) or 1.0, lambda: RANKING_SHARE * (len(asked) >= 3))
    assert asked == ["layer0", "layer19", "layer1"]
    assert set(found) == set(asked)


def test_a_layer_without_a_rank_can_be_found_too() -> None:
    asked: list[list[str]] = []
    together = judging(lambda left: "layer9" in left, asked)
    spent = iter([0.0, *[RANKING_SHARE] * 100])
    found = search(LAYERS, together([]), lambda one: 0.0, together, lambda: next(spent))
    assert found.ranked.keys() == {"layer0"}
    assert found.found.left == ["layer9"]


@pytest.mark.parametrize("count", [0, 1, 2, 7, 8, 30])
def test_steps_go_from_int8_to_what_was_found(count: int) -> None:
    layers = [f"l{number}" for number in range(count)]
    steps = chain(layers)
    assert steps[0] == []
    assert steps[-1] == layers
    assert len(steps) <= MOST_STEPS
    assert [len(one) for one in steps] == sorted({len(one) for one in steps})
