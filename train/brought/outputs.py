"""A model's outputs flattened to arrays by name: dictionaries, lists, named tuples, dataclasses, at any depth.

It needs nothing but the standard library, since it also runs in tool environments. Frameworks also flatten, but each
knows different containers, and none knows a plain dataclass.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, TypeVar

from assay.errors import InputError, nearest

Value = TypeVar("Value")
Children = list[tuple[object, object]]
Opener = Callable[[object], Children | None]
"""Returns the parts of a container that only a framework knows, each with its key; None for anything else."""


def named_outputs(
    outputs: object, is_array: Callable[[object], bool], *, sort: bool = False, opener: Opener = lambda _: None
) -> dict[str, Any]:
    """Return a model's outputs by name: "logits", "state.0"; "output" or "output_0", "output_1" where they have no
    name.

    None is left out. A value that is neither an array nor a container stays under its name, for `kept_outputs` to
    refuse.

    Args:
        is_array: returns whether a value is an array of the framework.
        sort: whether dictionaries are in the order of their keys, as frameworks that trace return them, or as they were
            filled.
    """
    found: dict[str, Any] = {}
    leaves = list(_leaves(outputs, (), is_array, sort, opener))
    alone = len(leaves) == 1 and not any(isinstance(part, str) for part in leaves[0][0])
    for path, value in leaves:
        name = "output" if alone else _name(path)
        while name in found:
            name += "_more"
        found[name] = value
    return found


def _leaves(
    value: object, path: tuple[object, ...], is_array: Callable[[object], bool], sort: bool, opener: Opener
) -> Iterator[tuple[tuple[object, ...], object]]:
    if value is None:
        return
    children = None if is_array(value) else _children(value, sort)
    if children is None and not is_array(value):
        children = opener(value)
    if children is None:
        yield path, value
        return
    for key, child in children:
        yield from _leaves(child, (*path, key), is_array, sort, opener)


def _children(value: object, sort: bool) -> Children | None:
    if isinstance(value, Mapping):
        items: Children = [(str(key), child) for key, child in value.items()]
        return sorted(items, key=lambda item: str(item[0])) if sort else items
    if isinstance(value, tuple) and hasattr(value, "_fields"):
        return list(zip(value._fields, value, strict=True))
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return [(one.name, getattr(value, one.name)) for one in dataclasses.fields(value)]
    if isinstance(value, list | tuple):
        return list(enumerate(value))
    return None


def _name(path: Sequence[object]) -> str:
    first, *rest = path or (0,)
    begin = f"output_{first}" if isinstance(first, int) else str(first) or "output"
    return ".".join([begin, *map(str, rest)])


def kept_outputs(
    outputs: Mapping[str, Value], is_array: Callable[[object], bool], without: Sequence[str], what: str
) -> dict[str, Value]:
    """Return the outputs to compare.

    Args:
        without: names of outputs that the user leaves out.

    Raises:
        InputError: an output to leave out does not exist, nothing is left, or one of the rest is not an array.
    """
    for name in without:
        if name not in outputs:
            close = nearest(name, list(outputs))
            raise InputError(
                f"--without does not name an output of {what}",
                expected=", ".join(outputs),
                found=name,
                remedy=f"Did you mean '{close}'?" if close else None,
            )
    kept = {name: value for name, value in outputs.items() if name not in without}
    if not kept:
        raise InputError(
            f"{what} does not give any outputs",
            expected="one tensor or more",
            found="none: --without leaves out all" if without else "none",
        )
    for name, value in kept.items():
        if not is_array(value):
            raise InputError(
                f"Output '{name}' of {what} is not a tensor",
                expected="tensors, or containers of tensors",
                found=type(value).__name__,
                remedy=f"Leave it out: --without {name}" if len(outputs) > 1 else None,
            )
    return kept
