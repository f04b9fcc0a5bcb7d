"""Inputs go to the arguments of their names, or are refused with the available names."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pytest

from assay.errors import InputError
from assay.train.brought.binding import binding_of, described, parameters_of


def encoder(ids: object, mask: object = None, *, kinds: object = None) -> dict[str, object]:
    return {"ids": ids, "mask": mask, "kinds": kinds}


def placed(left: object, right: object, /, scale: object = 1) -> dict[str, object]:
    return {"left": left, "right": right, "scale": scale}


def many(first: object, *others: object) -> tuple[object, ...]:
    return first, *others


def anything(**named: object) -> dict[str, object]:
    return named


def optional(x: object = None) -> object:
    return x


def parted(states: object, batch: object = None) -> tuple[object, object]:
    return states, batch


def listed(states: list[object]) -> object:
    return states


def called(function: Callable[..., object], names: Sequence[str]) -> object:
    binding = binding_of(parameters_of(function), names, "model.py:build")
    return binding.call(function, [name.upper() for name in names])


@pytest.mark.parametrize(
    "names", [["ids"], ["ids", "mask"], ["mask", "ids"], ["ids", "kinds"], ["kinds", "mask", "ids"]]
)
def test_every_input_goes_to_the_argument_of_its_name_in_any_order(names: list[str]) -> None:
    wanted = dict.fromkeys(("ids", "mask", "kinds")) | {name: name.upper() for name in names}
    assert called(encoder, names) == wanted


def test_arguments_without_keywords_take_names_too() -> None:
    assert called(placed, ["right", "left"]) == {"left": "LEFT", "right": "RIGHT", "scale": 1}
    assert called(placed, ["scale", "right", "left"]) == {"left": "LEFT", "right": "RIGHT", "scale": "SCALE"}


def test_names_of_none_of_the_arguments_go_to_the_required_ones_in_order() -> None:
    assert called(encoder, ["tokens"]) == {"ids": "TOKENS", "mask": None, "kinds": None}
    assert called(placed, ["a", "b"]) == {"left": "A", "right": "B", "scale": 1}
    assert called(many, ["a", "b", "c"]) == ("A", "B", "C")
    assert called(many, ["first", "b", "c"]) == ("FIRST", "B", "C")
    assert called(anything, ["a", "b"]) == {"a": "A", "b": "B"}


def test_the_parts_of_an_argument_go_in_as_one_container() -> None:
    assert called(parted, ["states.1", "states.0"]) == (("STATES.0", "STATES.1"), None)
    assert called(parted, ["batch.ids", "states", "batch.kind.a"]) == (
        "STATES",
        {"ids": "BATCH.IDS", "kind": {"a": "BATCH.KIND.A"}},
    )
    assert called(parted, ["states.0.h", "states.0.c"]) == (({"h": "STATES.0.H", "c": "STATES.0.C"},), None)
    assert called(parted, ["states.1"]) == ({"1": "STATES.1"}, None)  # not all numbers from 0 on
    assert called(listed, ["states.0"]) == ["STATES.0"]
    assert called(anything, ["a.b"]) == {"a.b": "A.B"}


@pytest.mark.parametrize(
    ("function", "names", "words"),
    [
        (encoder, ["ids", "token_type_ids"], r"no argument 'token_type_ids'.*expected ids, mask \(optional\), kinds"),
        (encoder, ["a", "b"], "no argument 'a'"),  # never another's place: `mask` must be named
        (encoder, ["mask"], "needs the argument 'ids'"),
        (optional, ["image"], r"no argument 'image'.*expected x \(optional\)"),
        (placed, ["a"], "no argument 'a'"),
        (placed, ["left", "scale"], "needs the argument 'right'"),
        (many, ["second", "first"], "no argument 'second'"),
        (listed, ["a", "b"], r"no argument 'a'.*parts of a list or dictionary are NAME\.0, NAME\.1 or NAME\.KEY"),
        (parted, ["states", "states.0"], "no argument 'states.0'"),
        (parted, ["batch.ids"], "needs the argument 'states'"),
    ],
)
def test_what_fits_no_argument_is_refused_with_the_names_there_are(
    function: Callable[..., object], names: list[str], words: str
) -> None:
    with pytest.raises(InputError, match=words):
        called(function, names)


def test_inputs_that_go_in_as_they_come_are_passed_as_they_are() -> None:
    assert binding_of(parameters_of(encoder), ["ids", "mask"], "").is_plain
    assert binding_of(None, ["anything"], "").is_plain
    assert not binding_of(parameters_of(encoder), ["ids", "kinds"], "").is_plain


def test_arguments_that_are_already_given_are_not_inputs() -> None:
    assert described(parameters_of(encoder, without=["mask"]) or []) == "ids, kinds (optional)"
