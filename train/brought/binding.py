"""The binding of inputs to a model's arguments, by their names.

It needs nothing but the standard library, since it also runs in tool environments.

A name that is an argument's binds to that argument, whatever the order. Where no name at all is an argument's, inputs
go to the required arguments in their order, if they are as many: "image" for `forward(self, x)`. Inputs named after an
argument's parts, "batch.ids" or "states.0" and "states.1", are passed as one dictionary or sequence, as outputs are
named. Everything else is refused with the names that exist, since an input in another's place gives numbers that look
right.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from inspect import Parameter
from typing import Any, Protocol

from assay.errors import InputError

BY_PLACE = (Parameter.POSITIONAL_ONLY, Parameter.POSITIONAL_OR_KEYWORD)
REMEDY = (
    "Name each input after its argument; optional ones may be left out. The parts of a list or dictionary are "
    "NAME.0, NAME.1 or NAME.KEY"
)
Place = int | dict[str, "Place"]
"""The place of an input, or those of the parts of a container by their keys."""


class Binds(Protocol):
    """A way to pass inputs to a function."""

    @property
    def is_plain(self) -> bool:
        """Whether all inputs are passed by position, in their order."""

    def call(self, function: Callable[..., Any], inputs: Sequence[object]) -> Any:
        """Call the function with inputs that come in the order of their names."""


@dataclass(frozen=True)
class Binding:
    """Inputs passed to arguments, each by its place or its name.

    Attributes:
        positional: places of the inputs that are passed by position, in the order of the arguments.
        keywords: places of the other inputs, by argument.
        sequence: makes a sequence of the parts of an argument.
    """

    positional: tuple[Place, ...]
    keywords: Mapping[str, Place]
    sequence: Callable[[list[object]], object] = tuple

    @property
    def is_plain(self) -> bool:
        """Whether all inputs are passed by position, in their order."""
        return not self.keywords and self.positional == tuple(range(len(self.positional)))

    def call(self, function: Callable[..., Any], inputs: Sequence[object]) -> Any:
        """Call the function with inputs that come in the order of their names."""
        if self.is_plain:
            return function(*inputs)
        named = {name: self._value(place, inputs) for name, place in self.keywords.items()}
        return function(*(self._value(place, inputs) for place in self.positional), **named)

    def _value(self, place: Place, inputs: Sequence[object]) -> object:
        if isinstance(place, int):
            return inputs[place]
        parts = {key: self._value(one, inputs) for key, one in place.items()}
        return self.sequence([parts[key] for key in sorted(parts, key=int)]) if _is_sequence(parts) else parts


def by_position(count: int) -> Binding:
    """Bind all inputs by position, in their order."""
    return Binding(tuple(range(count)), {})


def parameters_of(function: Callable[..., object], *, without: Sequence[str] = ()) -> list[Parameter] | None:
    """Return the arguments of a function, or None where it does not tell; `without` those that are passed in another
    way.
    """
    try:
        found = inspect.signature(function).parameters.values()
    except (ValueError, TypeError):  # written in C, or an object that says nothing
        return None
    return [one for one in found if one.name not in without]


def binding_of(parameters: Sequence[Parameter] | None, names: Sequence[str], what: str) -> Binding:
    """Bind inputs to arguments by their names.

    Args:
        parameters: the arguments; None if unknown, so that the inputs are passed in their order.
        names: names of the inputs, in their order.
        what: description of the model, for messages.

    Raises:
        InputError: a name is not an argument, or a required argument gets nothing.
    """
    if parameters is None or not names:
        return by_position(len(names))
    own = {one.name: one for one in parameters if one.kind not in (Parameter.VAR_POSITIONAL, Parameter.VAR_KEYWORD)}
    places = _gathered(names, own)
    names = list(places)
    more, any_name = (
        any(one.kind is kind for one in parameters) for kind in (Parameter.VAR_POSITIONAL, Parameter.VAR_KEYWORD)
    )
    placed = [one.name for one in parameters if one.kind in BY_PLACE]
    known = [name for name in names if name in own]
    if not known and _fits_by_position(parameters, len(names), more=more):
        return by_position(len(names))
    strangers = [name for name in names if name not in own]
    flat = all(isinstance(place, int) for place in places.values())
    if strangers and more and flat and [*names[: len(known)]] == placed == known:
        return by_position(len(names))  # the rest goes to *arguments
    if strangers and not any_name:
        raise InputError(
            f"{what} has no argument '{strangers[0]}'",
            expected=described(parameters) or "no arguments",
            found=", ".join(names),
            remedy=REMEDY,
        )
    _refuse_missing(parameters, names, what)
    first = next((at for at, name in enumerate(placed) if name not in names), len(placed))
    late = [name for name in placed[first:] if name in names and own[name].kind is Parameter.POSITIONAL_ONLY]
    if late:
        raise InputError(
            f"Argument '{late[0]}' of {what} is passed by position, after one without an input",
            expected=described(parameters),
            found=", ".join(names),
        )
    keywords = {name: place for name, place in places.items() if name not in placed[:first]}
    return Binding(tuple(places[name] for name in placed[:first]), keywords, _sequence_of(own, places))


def _gathered(names: Sequence[str], own: Collection[str]) -> dict[str, Place]:
    """Return the places of the inputs by argument, those of an argument's parts together."""
    found: dict[str, Place] = {}
    for at, name in enumerate(names):
        *way, last = name.split(".")
        above = {".".join(way[:depth]) for depth in range(1, len(way) + 1)}
        if not way or name in own or way[0] not in own or above & {*names}:
            found[name] = at
            continue
        inside = found
        for key in way:
            deeper = inside.setdefault(key, {})
            assert isinstance(deeper, dict), "no input is named like what it is a part of"
            inside = deeper
        inside[last] = at
    return found


def _is_sequence(keys: Collection[str]) -> bool:
    """Return whether these are the places of a sequence: all numbers from 0 on."""
    return {*keys} == {str(at) for at in range(len(keys))}


def _sequence_of(own: Mapping[str, Parameter], places: Mapping[str, Place]) -> Callable[[list[object]], object]:
    """Return what makes a sequence for arguments that have parts: a list where one is annotated so, as TorchScript
    needs it, and else a tuple, which traced functions can hand on.
    """
    kinds = [str(own[name].annotation) for name, place in places.items() if isinstance(place, dict)]
    return list if any("list" in one.lower() for one in kinds) else tuple


def _fits_by_position(parameters: Sequence[Parameter], count: int, *, more: bool) -> bool:
    """Return whether so many inputs are exactly the required arguments."""
    needed = [one for one in parameters if one.kind in BY_PLACE and one.default is one.empty]
    by_name = [one for one in parameters if one.kind is Parameter.KEYWORD_ONLY and one.default is one.empty]
    return not by_name and (count >= len(needed) if more else 0 < count == len(needed))


def _refuse_missing(parameters: Sequence[Parameter], names: Sequence[str], what: str) -> None:
    kinds = (*BY_PLACE, Parameter.KEYWORD_ONLY)
    missing = [one.name for one in parameters if one.kind in kinds and one.default is one.empty]
    missing = [name for name in missing if name not in names]
    if missing:
        raise InputError(
            f"{what} needs the argument '{missing[0]}', and no input has that name",
            expected=described(parameters),
            found=", ".join(names),
            remedy=REMEDY,
        )


def described(parameters: Sequence[Parameter]) -> str:
    """Return arguments as text, "ids, mask (optional)"."""
    marks = {Parameter.VAR_POSITIONAL: "*", Parameter.VAR_KEYWORD: "**"}
    return ", ".join(
        f"{marks[one.kind]}{one.name}"
        if one.kind in marks
        else one.name + ("" if one.default is one.empty else " (optional)")
        for one in parameters
    )
