"""The published atlas is looked up by kernel, route and installed versions, and says one line."""

from __future__ import annotations

import pytest

from assay.bench.atlas.lookup import Published, entries_for, published_of, read_published, said_of
from assay.bench.atlas.record import Finding, Verdict
from tests.bench.atlas.test_findings import atlas_of, finding

SEEN = {"torch": "2.13.0"}
POOL = "aten::avg_pool2d"


def found(verdict: Verdict, *kernels: str, sample: int = 0, route: str = "torch-dynamo") -> Finding:
    made = finding(verdict, operator="nn.functional.avg_pool2d", route=route, sample=sample)
    return made.model_copy(update={"kernels": kernels})


def published(*findings: Finding) -> Published:
    return published_of(atlas_of(*findings))


def test_a_wrong_operator_of_a_model_is_said_in_one_line_with_its_denominators() -> None:
    shipped = published(found("wrong", POOL), found("right", POOL, sample=1))
    entries = entries_for(("aten::relu", POOL), ("torch-dynamo",), shipped, lambda _: SEEN)
    assert said_of(entries, ("aten::relu", POOL)) == (
        "The atlas has wrong exports of 1 of its 2 operators, with the installed versions: "
        "aten::avg_pool2d by torch-dynamo (1 of 2 samples). "
        "assay atlas --operator nn.functional.avg_pool2d shows them"
    )


def test_a_model_without_it_another_route_and_another_version_are_told_nothing() -> None:
    shipped = published(found("wrong", POOL))
    assert entries_for(("aten::relu",), ("torch-dynamo",), shipped, lambda _: SEEN) == []
    assert entries_for((POOL,), ("torch-script",), shipped, lambda _: SEEN) == []
    assert entries_for((POOL,), ("torch-dynamo",), shipped, lambda _: {"torch": "2.14.0"}) == []
    assert entries_for((POOL,), ("torch-dynamo",), None) == []
    assert said_of([], (POOL,)) == ""


@pytest.mark.parametrize("verdict", ["right", "not exported", "not run", "undecided", "not judged", "native is off"])
def test_only_what_exports_without_a_word_and_is_wrong_is_shipped(verdict: Verdict) -> None:
    assert published(found(verdict, POOL)).entries == []


def test_an_operator_of_several_kernels_is_not_looked_up() -> None:
    assert published(found("wrong", "aten::mul", "aten::sum")).entries == []
    assert published(found("wrong", "aten::mul"), found("right", "aten::sum", sample=1)).entries == []


def test_the_shipped_atlas_can_be_read() -> None:
    shipped = read_published()
    assert shipped is not None
    assert shipped.operators
    assert all(0 < one.wrong <= one.of for one in shipped.entries)


def test_a_layer_of_keras_is_found_in_its_own_suite() -> None:
    one = finding("wrong", operator="GRU", route="tf2onnx").model_copy(
        update={"suite": "keras", "kernels": ("keras::GRU",)}
    )
    made = atlas_of(one).model_copy(update={"versions": {"keras": "3.15"}})
    entries = entries_for(("keras::GRU",), ("tf2onnx",), published_of(made), lambda _: {"keras": "3.15"})
    assert said_of(entries, ("keras::GRU",)).endswith("assay atlas --suite keras --operator GRU shows them")
