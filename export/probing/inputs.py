"""Inputs of a user's model: rows or whole calls, and records of them, drawn or given."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from assay.errors import InputError
from assay.export.pairs.pair_inputs import OnnxValue, draw_inputs
from assay.export.probing.drawn_ranges import Range, said_range
from assay.files.arrays import check_call
from assay.numerics.values import is_whole
from assay.train.brought.arrays import Records, in_bf16, record_type
from assay.train.brought.libraries.made import MadeModel
from assay.train.brought.model import NARROW, TEXT, Declared, OpenSize, Tensor, held

Array = NDArray[np.generic]

ROWS = 64
"""The number of records drawn where they are rows: as many as the images of a study."""
CALLS = 8
"""The number of records drawn where each is a whole call."""
MOST_BYTES = 2**28
MASK = Range(0, 1, 0, 1, some=True)


@dataclass(frozen=True)
class Form:
    """The form in which a model takes its inputs.

    Attributes:
        inputs: the inputs, with the shape of one record.
        whole: whether a record is a whole call.
        batch: number of rows in every call; None for any.
        opened: name of the first dimension where there may be any number of rows; else "".
    """

    inputs: tuple[Tensor, ...]
    whole: bool
    batch: int | None
    opened: str = ""


def form_of(declared: Sequence[Declared], *, whole: bool = False) -> Form:
    """Derive the form: records are rows where all inputs begin with the same dimension, unless told otherwise; an input
    that does not begin with the open dimension is shared by the rows of a call.
    """
    firsts = {one.shape[0] if one.shape else 0 for one in declared}
    names = {first for first in firsts if isinstance(first, str)}
    if whole or (not names and (len(firsts) != 1 or firsts == {0})):
        return Form(tuple(_tensor(one, one.shape) for one in declared), whole=True, batch=None)
    first = next(iter(names or firsts))
    inputs = tuple(
        _tensor(one, one.shape[1:]) if one.shape[:1] == (first,) else _tensor(one, one.shape, shared=True)
        for one in declared
    )
    if isinstance(first, str):
        return Form(inputs, whole=False, batch=None, opened=first)
    return Form(inputs, whole=False, batch=first)


def of_one_row(declared: Sequence[Declared]) -> list[Declared]:
    """Return the inputs with a batch of one where any is possible."""

    def fixed(one: Declared) -> tuple[int | str, ...]:
        return tuple(1 if place == 0 and isinstance(size, str) else size for place, size in enumerate(one.shape))

    return [one.model_copy(update={"shape": fixed(one)}) for one in declared]


def with_open_sizes(
    inputs: Sequence[Tensor], places: Mapping[str, Mapping[int, str]], varied: Mapping[str, tuple[int, int]]
) -> tuple[Tensor, ...]:
    """Return the inputs with the dimensions that exports have to leave open."""

    def opened(one: Tensor) -> tuple[OpenSize, ...]:
        named = places.get(one.name, {}).items()
        return tuple(OpenSize(axis=at, name=name, least=varied[name][0], most=varied[name][1]) for at, name in named)

    return tuple(one.model_copy(update={"open": opened(one)}) for one in inputs)


def _tensor(one: Declared, shape: Sequence[int | str], *, shared: bool = False) -> Tensor:
    sizes = tuple(int(size) for size in shape)
    return Tensor(name=one.name, dtype=held(one.dtype), shape=sizes, shared=shared, narrow=one.dtype == NARROW)


def with_texts(
    declared: Sequence[Declared], words: Mapping[str, Sequence[Sequence[str]]], arrays: Mapping[str, Array]
) -> tuple[tuple[Declared, ...], dict[str, Range]]:
    """Return the inputs with the length of their longest text in place of the type `TEXT`, and the texts to draw.

    Args:
        words: the texts to draw, by input.
        arrays: inputs that the user gave.
    """
    found, drawn = [], dict[str, Range]()
    for one in declared:
        if one.dtype == TEXT:
            texts = tuple(tuple(group) for group in words[one.name])
            longest = max(len(text) for group in texts for text in group)
            width = arrays[one.name].dtype.itemsize // 4 if one.name in arrays else longest
            one = one.model_copy(update={"dtype": f"<U{max(width, 1)}"})  # noqa: PLW2901
            drawn[one.name] = Range(words=texts)
        found.append(one)
    return tuple(found), drawn


def masks_of(made: MadeModel | None, names: Sequence[str]) -> dict[str, Range]:
    """Return the ranges of a library's masks among the inputs."""
    return {name: MASK for name in (made.masks if made else ()) if name in names}


def said_ranges(declared: Sequence[Declared], said: Mapping[str, tuple[float, float]]) -> dict[str, Range]:
    """Return the ranges that a user gives for inputs, each checked against its input.

    Raises:
        InputError: there is no such input, or its type does not hold such numbers.
    """
    known = {one.name: one for one in declared}
    found = {}
    for name, (least, most) in said.items():
        if name not in known:
            raise InputError("--range or --value names no input of the model", expected=", ".join(known), found=name)
        dtype = np.dtype(held(known[name].dtype))
        whole = is_whole(dtype)
        limits = np.iinfo(dtype) if dtype.kind in "iu" else np.finfo(dtype) if dtype.kind == "f" else None
        fits = limits is not None and float(limits.min) <= least <= most <= float(limits.max)
        if not fits or (whole and (least != int(least) or most != int(most))):
            raise InputError(
                f"Input '{name}' has no such numbers", expected=f"two that {dtype} holds", found=f"{least} to {most}"
            )
        found[name] = said_range(int(least), int(most)) if whole else said_range(float(least), float(most))
    return found


def records_of(
    form: Form, arrays: Mapping[str, Array], most_batch: int, ranges: Mapping[str, Range] = MappingProxyType({})
) -> Records:
    """Return records that calls use in turn: the user's, or drawn as `assay audit` draws them.

    Args:
        ranges: range of the numbers that are drawn, by input.

    Raises:
        InputError: the given arrays do not fill a call, or memory cannot hold one.
    """
    check_call({one.name: (one.shape, np.dtype(one.dtype).itemsize) for one in form.inputs}, "The model's inputs")
    kind = record_type(form.inputs)
    if arrays:
        return in_bf16(form.inputs, _given(form, arrays, kind))
    count = CALLS if form.whole else max(most_batch, min(ROWS, MOST_BYTES // max(kind.itemsize, 1)))
    values = [OnnxValue(one.name, one.dtype, one.shape if one.shared else (count, *one.shape)) for one in form.inputs]
    drawn = _for_all(form, draw_inputs(values, {}, ranges=ranges), count)
    return in_bf16(form.inputs, _filled(kind, drawn, count))


def _given(form: Form, arrays: Mapping[str, Array], kind: np.dtype[np.void]) -> Records:
    if form.whole:
        return _given_calls(form, arrays, kind)
    counts = {one.name: len(arrays[one.name]) for one in form.inputs if not one.shared}
    count = min(counts.values())
    if len(set(counts.values())) != 1 or count % (form.batch or 1):
        raise InputError(
            "--inputs does not fill whole calls of the model",
            expected=f"the same number of rows, a multiple of {form.batch or 1}",
            found=", ".join(f"{name} {number}" for name, number in counts.items()),
        )
    return _filled(kind, _for_all(form, arrays, count), count)


def _given_calls(form: Form, arrays: Mapping[str, Array], kind: np.dtype[np.void]) -> Records:
    """Return records that are whole calls: one of all that was given, or one for each row where a call takes one."""
    of_rows = {one.name for one in form.inputs if one.shape[:1] == (1,) and len(arrays[one.name]) > 1}
    counts = {len(arrays[name]) for name in of_rows} or {1}
    each = {
        name: array[:, np.newaxis] if name in of_rows else np.broadcast_to(array, (min(counts), *array.shape))
        for name, array in arrays.items()
    }
    return _filled(kind, each, min(counts))


def _for_all(form: Form, arrays: Mapping[str, Array], count: int) -> dict[str, Array]:
    """Repeat the inputs that the records of a call share, for each record."""
    shared = {one.name: one.shape for one in form.inputs if one.shared}
    return {
        name: np.broadcast_to(array, (count, *array.shape)) if name in shared else array
        for name, array in arrays.items()
    }


def _filled(kind: np.dtype[np.void], arrays: Mapping[str, Array], count: int) -> Records:
    records = np.zeros(count, kind)
    for name in kind.names or ():
        if arrays[name].shape != records[name].shape:
            raise InputError(
                f"--inputs has an array that does not match the others, '{name}'",
                expected=f"shape {records[name].shape}",
                found=str(arrays[name].shape),
            )
        records[name] = arrays[name]
    return records
