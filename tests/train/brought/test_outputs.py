"""Outputs by name, from any containers that a model returns."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from typing import NamedTuple

import pytest

from assay.errors import InputError
from assay.train.brought.outputs import IncomparableError, kept_outputs, named_outputs


class Array:
    def __init__(self, number: int) -> None:
        self.number = number


ONE, TWO, THREE = Array(1), Array(2), Array(3)


class Pair(NamedTuple):
    first: object
    second: object


@dataclass
class Answer:
    logits: object
    hidden: object = None


class Registered:
    parts = (ONE, TWO)


def is_array(value: object) -> bool:
    return isinstance(value, Array)


@pytest.mark.parametrize(
    ("outputs", "found"),
    [
        (ONE, {"output": ONE}),
        ((ONE,), {"output": ONE}),
        ((ONE, TWO), {"output_0": ONE, "output_1": TWO}),
        ((ONE, None, TWO), {"output_0": ONE, "output_2": TWO}),
        ((ONE, (TWO, THREE)), {"output_0": ONE, "output_1.0": TWO, "output_1.1": THREE}),
        ({"b": ONE, "a": TWO}, {"b": ONE, "a": TWO}),
        ({"b": {"c": [ONE, None]}, "a": Pair(TWO, THREE)}, {"b.c.0": ONE, "a.first": TWO, "a.second": THREE}),
        (OrderedDict(logits=ONE, past=None), {"logits": ONE}),
        (Answer(ONE), {"logits": ONE}),
        (Answer(ONE, {"last": (TWO, THREE)}), {"logits": ONE, "hidden.last.0": TWO, "hidden.last.1": THREE}),
        (Pair(ONE, TWO), {"first": ONE, "second": TWO}),
        ({0: ONE, "": TWO}, {"0": ONE, "output": TWO}),
        ({"a": {"b": ONE}, "a.b": TWO}, {"a.b": ONE, "a.b_more": TWO}),
    ],
)
def test_every_array_has_a_name_and_none_is_left_out(outputs: object, found: dict[str, Array]) -> None:
    named = named_outputs(outputs, is_array)
    assert list(named.items()) == list(found.items())


def test_dictionaries_are_sorted_where_a_framework_sorts_them() -> None:
    assert list(named_outputs({"b": ONE, "a": (TWO, THREE)}, is_array, sort=True)) == ["a.0", "a.1", "b"]
    assert list(named_outputs(Answer({"b": ONE, "a": TWO}), is_array, sort=True)) == ["logits.a", "logits.b"]


def test_a_container_of_the_framework_is_opened_by_it() -> None:
    def opened(value: object) -> list[tuple[object, object]] | None:
        return list(enumerate(value.parts)) if isinstance(value, Registered) else None

    assert named_outputs({"x": Registered()}, is_array, opener=opened) == {"x.0": ONE, "x.1": TWO}


def test_an_output_that_is_not_an_array_is_refused_by_name_and_may_be_left_out() -> None:
    named = named_outputs({"logits": ONE, "cache": Registered()}, is_array)
    with pytest.raises(IncomparableError, match=r"'cache' of m\.py:f.*a Python Registered.*--without cache") as caught:
        kept_outputs(named, is_array, [], "m.py:f")
    assert caught.value.outputs == {"cache": "a Python Registered"}
    assert kept_outputs(named, is_array, ["cache"], "m.py:f") == {"logits": ONE}


@pytest.mark.parametrize(
    ("without", "words"),
    [
        (["logit"], "does not name an output.*expected logits, cache.*Did you mean 'logits'"),
        (["logits", "cache"], "not give any outputs"),
    ],
)
def test_leaving_out_a_missing_output_or_all_outputs_is_refused(without: list[str], words: str) -> None:
    with pytest.raises(InputError, match=words):
        kept_outputs({"logits": ONE, "cache": TWO}, is_array, without, "it")


def test_a_model_that_returns_nothing_is_refused() -> None:
    with pytest.raises(InputError, match="does not give any outputs"):
        kept_outputs(named_outputs((None, {}), is_array), is_array, [], "it")
