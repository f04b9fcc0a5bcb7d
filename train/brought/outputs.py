"""A model's outputs flattened to arrays by name: dictionaries, lists, named tuples, dataclasses, at any depth.

It needs nothing but the standard library, since it also runs in tool environments. Frameworks also flatten, but each
knows different containers, and none knows a plain dataclass.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Any, TypeVar

from assay.errors import InputError, meant_by

Value = TypeVar("Value")
Children = list[tuple[object, object]]
Opener = Callable[[object], Children | None]
"""Returns the parts of a container that only a framework knows, each with its key; None for anything else."""


class IncomparableError(InputError):
    """Some of a model's outputs cannot be compared.

    Attributes:
        outputs: their kinds by name, such as "text"; empty where nothing else is left to compare.
        varying: those whose size depends on the values of the inputs, or that are empty for some.
    """

    outputs: Mapping[str, str] = MappingProxyType({})
    varying: frozenset[str] = frozenset()


def incomparable(wrong: Mapping[str, str], known: Collection[str], what: str, otherwise: str = "") -> IncomparableError:
    """Return the error for outputs that cannot be compared.

    Args:
        wrong: their kinds by name.
        known: names of all outputs.
        what: description of the model.
        otherwise: advice where nothing else is left to compare.
    """
    some_left = bool(set(known) - set(wrong))
    options = " ".join(f"--without {name}" for name in wrong)
    error = IncomparableError(
        f"Output '{next(iter(wrong))}' of {what} cannot be compared",
        expected="tensors of numbers whose sizes follow from those of the inputs",
        found="; ".join(f"'{name}' is {kind}" for name, kind in wrong.items()),
        remedy=f"Leave it out with {options}, and the rest is compared" if some_left else otherwise or None,
    )
    error.outputs = dict(wrong) if some_left else {}
    return error


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
        IncomparableError: some of the rest are not arrays.
        InputError: an output to leave out does not exist, or nothing is left.
    """
    for name in without:
        if name not in outputs:
            raise InputError(
                f"--without does not name an output of {what}",
                expected=", ".join(outputs),
                found=name,
                remedy=meant_by(name, outputs),
            )
    kept = {name: value for name, value in outputs.items() if name not in without}
    if not kept:
        raise InputError(
            f"{what} does not give any outputs",
            expected="one tensor or more",
            found="none: --without leaves out all" if without else "none",
        )
    wrong = {name: f"a Python {type(value).__name__}" for name, value in kept.items() if not is_array(value)}
    if wrong:
        raise incomparable(wrong, kept, what, "Return tensors, or containers of tensors")
    return kept
