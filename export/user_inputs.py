"""What goes into a user's model: the shapes of its inputs, and records of them, drawn or given."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from assay.arrays_on_disk import check_call
from assay.errors import InputError
from assay.user.arrays import Records, record_type
from assay.user.model import Declared, Tensor
from export.pair_inputs import Value, draw_inputs

Array = NDArray[np.generic]

ROWS = 64
"""Drawn where records are rows, as many as the images of a study."""
CALLS = 8
"""Drawn where a record is a whole call."""
MOST_BYTES = 2**28


@dataclass(frozen=True)
class Form:
    """How a model's inputs are called.

    Attributes:
        inputs: with the shape of one record.
        whole: a record is a whole call.
        batch: rows of every call; None for any.
    """

    inputs: tuple[Tensor, ...]
    whole: bool
    batch: int | None


def declared_inputs(
    found: Sequence[Declared], given: Sequence[Declared], dimensions: Mapping[str, int], arrays: Mapping[str, Array]
) -> tuple[Declared, ...]:
    """The inputs with every dimension known but a first one that all of them leave open under one name.

    Args:
        found: what the model's file says; none where it says nothing.
        given: what the user says.
        dimensions: sizes of dynamic dimensions by name.
        arrays: inputs that the user gave, in the order of the model's.

    Raises:
        InputError: nobody says what the inputs are, or how large a dimension is, or the user contradicts the file.
    """
    declared = tuple(found) or tuple(given) or tuple(_of_array(name, array) for name, array in arrays.items())
    if not declared:
        raise InputError(
            "Nothing says what goes into the model",
            remedy="Name each input in its order, --shape NAME=batch,3,224,224, or give arrays with --inputs FILE.npz",
        )
    if found and given:
        declared = tuple(_narrowed(one, given) for one in declared)
        _refuse_unknown(given, declared)
    if arrays:
        _check_arrays(declared, arrays)
    named = {name: size for one in declared for name, size in _sizes_in(one, arrays.get(one.name)).items()}
    batch = _open_batch(declared, dimensions)
    known = named | dict(dimensions)
    return tuple(_resolved(one, known, batch) for one in declared)


def _of_array(name: str, array: Array) -> Declared:
    return Declared(name=name, dtype=array.dtype.name, shape=array.shape)


def _narrowed(one: Declared, given: Sequence[Declared]) -> Declared:
    """The file's input with the shape that the user gives it.

    Raises:
        InputError: the two do not go together.
    """
    wanted = next((other for other in given if other.name == one.name), None)
    if wanted is None:
        return one
    pairs = list(zip(one.shape, wanted.shape, strict=False))
    fits = len(one.shape) == len(wanted.shape) and not any(isinstance(a, int) and a != b for a, b in pairs)
    if not fits:
        raise InputError("--shape contradicts the model's file", expected=str(one), found=str(wanted))
    return one.model_copy(update={"shape": wanted.shape})


def _refuse_unknown(given: Sequence[Declared], declared: Sequence[Declared]) -> None:
    names = [one.name for one in declared]
    for one in given:
        if one.name not in names:
            raise InputError("--shape names no input of the model", expected=", ".join(names), found=one.name)


def _check_arrays(declared: Sequence[Declared], arrays: Mapping[str, Array]) -> None:
    for one in declared:
        array = arrays.get(one.name)
        if array is None:
            raise InputError(
                "--inputs lacks an input of the model", expected=str(one), found=", ".join(arrays) or "nothing"
            )
        pairs = list(zip(one.shape, array.shape, strict=False))[1:]  # a multiple of the batch may be given
        fits = array.ndim == len(one.shape) and not any(isinstance(a, int) and a != b for a, b in pairs)
        if not fits or not array.size or array.dtype.name != one.dtype:
            raise InputError("--inputs does not fit the model", expected=str(one), found=f"{array.dtype} {array.shape}")

    extra = set(arrays) - {one.name for one in declared}
    if extra:
        raise InputError("--inputs has more than the model's inputs", found=", ".join(sorted(extra)))


def _sizes_in(one: Declared, array: Array | None) -> dict[str, int]:
    """What an array that was given says of the dynamic dimensions but the first."""
    if array is None:
        return {}
    pairs = list(zip(one.shape, array.shape, strict=True))[1:]
    return {name: size for name, size in pairs if isinstance(name, str)}


def _open_batch(declared: Sequence[Declared], dimensions: Mapping[str, int]) -> str:
    """The name of the first dimension where every input leaves it open and nobody gave its size, else ""."""
    firsts = {one.shape[0] if one.shape else 0 for one in declared}
    if len(firsts) != 1:
        return ""
    (first,) = firsts
    return first if isinstance(first, str) and first not in dimensions else ""


def _resolved(one: Declared, known: Mapping[str, int], batch: str) -> Declared:
    shape = tuple(
        size if place == 0 and size == batch else known.get(str(size), size) for place, size in enumerate(one.shape)
    )
    for place, size in enumerate(shape):
        if isinstance(size, str) and not (place == 0 and size == batch):
            raise InputError(
                f"Nothing says how large dimension {place} of input '{one.name}' is",
                found=f"'{size}'",
                remedy=f"Name its size: --dimension {size}=64",
            )
    return one.model_copy(update={"shape": shape})


def form_of(declared: Sequence[Declared], *, whole: bool = False) -> Form:
    """Records are rows where all inputs begin with the same dimension, unless told otherwise."""
    firsts = {one.shape[0] if one.shape else 0 for one in declared}
    if whole or len(firsts) != 1 or firsts == {0}:
        return Form(tuple(_tensor(one, one.shape) for one in declared), whole=True, batch=None)
    (first,) = firsts
    inputs = tuple(_tensor(one, one.shape[1:]) for one in declared)
    return Form(inputs, whole=False, batch=first if isinstance(first, int) else None)


def _tensor(one: Declared, shape: Sequence[int | str]) -> Tensor:
    return Tensor(name=one.name, dtype=one.dtype, shape=tuple(int(size) for size in shape))


def records_of(form: Form, arrays: Mapping[str, Array], most_batch: int) -> Records:
    """Records that calls take turns with: the user's, or drawn as `assay audit` draws them.

    Raises:
        InputError: what was given does not fill a call, or memory cannot hold one.
    """
    check_call({one.name: (one.shape, np.dtype(one.dtype).itemsize) for one in form.inputs}, "The model's inputs")
    kind = record_type(form.inputs)
    if arrays:
        return _given(form, arrays, kind)
    count = CALLS if form.whole else max(most_batch, min(ROWS, MOST_BYTES // max(kind.itemsize, 1)))
    values = [Value(one.name, one.dtype, (count, *one.shape)) for one in form.inputs]
    return _filled(kind, draw_inputs(values, {}), count)


def _given(form: Form, arrays: Mapping[str, Array], kind: np.dtype[np.void]) -> Records:
    if form.whole:
        return _filled(kind, {name: array[np.newaxis] for name, array in arrays.items()}, 1)
    counts = {name: len(array) for name, array in arrays.items()}
    count = min(counts.values())
    if len(set(counts.values())) != 1 or count % (form.batch or 1):
        raise InputError(
            "--inputs does not fill calls of the model",
            expected=f"the same number of rows, a multiple of {form.batch or 1}",
            found=", ".join(f"{name} {number}" for name, number in counts.items()),
        )
    return _filled(kind, arrays, count)


def _filled(kind: np.dtype[np.void], arrays: Mapping[str, Array], count: int) -> Records:
    records = np.zeros(count, kind)
    for name in kind.names or ():
        if arrays[name].shape != records[name].shape:
            raise InputError(
                f"--inputs does not fill calls of the model with '{name}'",
                expected=f"shape {records[name].shape}",
                found=str(arrays[name].shape),
            )
        records[name] = arrays[name]
    return records
