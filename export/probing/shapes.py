"""The shapes of a user's inputs, combined from the model's file, the user's options and the user's arrays.

A dimension is open where the file gives it a name, or nothing. Dimensions of one name are the same; each one without a
name stands for itself and is named by its input and place ("state.0"), except for first ones: where no input has a name
for its first dimension, that is the batch, as in every converter that writes none.
"""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from assay.errors import InputError
from assay.train.brought.model import NARROW, TEXT, Declared, UserModel, held, unnamed

Array = NDArray[np.generic]
Missing = tuple[str, int, str]
"""An open dimension: its input, place and name."""

BATCH = "batch"
NUMBERS = "fiub"
EXAMPLE_SIZE = 64


def declared_inputs(
    found: Sequence[Declared], given: Sequence[Declared], dimensions: Mapping[str, int], arrays: Mapping[str, Array]
) -> tuple[Declared, ...]:
    """Return the inputs with every dimension known except the batch, where that may be any: `BATCH` or its own name.

    Args:
        found: inputs that the model's file declares; empty where it declares none.
        given: inputs that the user declares.
        dimensions: sizes of dynamic dimensions by name.
        arrays: inputs that the user gave.

    Raises:
        InputError: the inputs or the size of a dimension are unknown, or the user contradicts the file.
    """
    declared = _wanted(found, given, arrays)
    for one in declared:
        _refuse_other_types(one)
    if arrays:
        _check_arrays(declared, arrays)
    batch = _open_batch(declared, dimensions, arrays)
    known = {**_sizes_in(declared, arrays, batch), **dimensions}
    resolved = tuple(_resolved(one, known, dimensions, batch) for one in declared)
    _refuse_open(resolved, batch)
    return resolved


def open_places(
    found: Sequence[Declared],
    given: Sequence[Declared],
    arrays: Mapping[str, Array],
    names: Sequence[str],
    model: UserModel,
) -> dict[str, dict[int, str]]:
    """Return the places in one record of dimensions of these names, with the name of each, by input.

    Args:
        found, given, arrays: as for `declared_inputs`.

    Raises:
        InputError: no input has a dimension of one of the names, or only the batch has it.
    """
    places: dict[str, dict[int, str]] = {}
    declared = {one.name: one.shape for one in _wanted(found, given, arrays)}
    for tensor in model.inputs:
        shape = declared[tensor.name]
        before = len(shape) - len(tensor.shape)  # the batch
        named = ((axis - before, str(name)) for axis, name in enumerate(shape) if name in names and axis >= before)
        places[tensor.name] = dict(named)
    known = {size for shape in declared.values() for size in shape if isinstance(size, str)} - {BATCH}
    for name in names:
        if not any(name in each.values() for each in places.values()):
            raise InputError(
                f"--dimension {name} has several sizes, and no input leaves a dimension of this name open",
                expected=", ".join(sorted(known)) or None,
                found=None if known else "only the batch",
                remedy=f"Name it in the shape of its input, --shape NAME=TYPE:batch,{name}; several batch sizes are "
                "--batch 1 --batch 8",
            )
    return places


def _wanted(found: Sequence[Declared], given: Sequence[Declared], arrays: Mapping[str, Array]) -> tuple[Declared, ...]:
    """Return the inputs, without the optional ones that nobody names."""
    if not found:
        declared = tuple(given) or tuple(_of_array(name, array) for name, array in arrays.items())
        if declared:
            return declared
        raise InputError(
            "The inputs of the model are unknown",
            remedy="Name each input after its argument, --shape NAME=batch,3,224,224, or give arrays with "
            "--inputs FILE.npz",
        )
    _refuse_unknown(given, found)
    asked = {one.name for one in given} | set(arrays)
    return tuple(_narrowed(one, given, arrays) for one in found if not one.optional or one.name in asked)


def _of_array(name: str, array: Array) -> Declared:
    return Declared(name=name, dtype=array.dtype.name, shape=array.shape)


def _narrowed(one: Declared, given: Sequence[Declared], arrays: Mapping[str, Array]) -> Declared:
    """Return the file's input with the shape that the user gives it.

    Raises:
        InputError: the two contradict each other, or nobody says how many dimensions it has.
    """
    wanted = next((other for other in given if other.name == one.name), None)
    if one.any_rank:
        if wanted is None and one.name not in arrays:
            raise InputError(
                f"The model's file does not say what shape input '{one.name}' has",
                remedy=f"Give it with --shape {one.name}=batch,3,224,224, or arrays with --inputs FILE.npz",
            )
        shape = wanted.shape if wanted else arrays[one.name].shape
        return one.model_copy(update={"shape": shape, "any_rank": False})
    if wanted is None:
        return one
    pairs = list(zip(one.shape, wanted.shape, strict=False))
    fits = len(one.shape) == len(wanted.shape) and not any(isinstance(a, int) and a != b for a, b in pairs)
    if not fits:
        raise InputError("--shape contradicts the model's file", expected=str(one), found=str(wanted))
    return one.model_copy(update={"shape": wanted.shape})


def _refuse_unknown(given: Sequence[Declared], found: Sequence[Declared]) -> None:
    names = [one.name for one in found]
    for one in given:
        if one.name not in names:
            raise InputError("--shape does not name an input of the model", expected=", ".join(names), found=one.name)


def _refuse_other_types(one: Declared) -> None:
    """
    Raises:
        InputError: it takes something other than numbers known to numpy.
    """
    try:
        fits = one.dtype in {TEXT, NARROW} or np.dtype(one.dtype).kind in NUMBERS
    except TypeError:
        fits = False
    if not fits:
        raise InputError(
            f"Input '{one.name}' cannot be made",
            expected="a tensor of numbers or booleans",
            found=one.dtype,
            remedy="ONNX Runtime computes with no complex numbers: give the real and the imaginary part as two inputs"
            if one.dtype.startswith("complex")
            else "Give the part of the model that takes numbers, for example token ids instead of text",
        )


def _check_arrays(declared: Sequence[Declared], arrays: Mapping[str, Array]) -> None:
    firsts = {one.shape[0] if one.shape else 0 for one in declared}
    of_rows = len(firsts) == 1 and firsts != {0}  # a multiple of the batch may be given
    for one in declared:
        array = arrays.get(one.name)
        if array is None:
            raise InputError(
                "--inputs lacks an input of the model", expected=str(one), found=", ".join(arrays) or "nothing"
            )
        pairs = list(zip(one.shape, array.shape, strict=False))[1 if of_rows else 0 :]
        fits = array.ndim == len(one.shape) and not any(isinstance(a, int) and a != b for a, b in pairs)
        same = array.dtype.kind == "U" if one.dtype == TEXT else array.dtype.name == held(one.dtype)
        if not fits or not array.size or not same:
            raise InputError("--inputs does not fit the model", expected=str(one), found=f"{array.dtype} {array.shape}")
    extra = set(arrays) - {one.name for one in declared}
    if extra:
        raise InputError("--inputs has arrays that are not inputs of the model", found=", ".join(sorted(extra)))


def _open_batch(
    declared: Sequence[Declared], dimensions: Mapping[str, int], arrays: Mapping[str, Array]
) -> frozenset[str]:
    """Return the names of the first dimensions that are the batch; none where they are not a batch, or have a size.

    The batch is the one name at the beginning of all inputs whose beginning is open, or the lack of a name; it must not
    be at any other place, where an output would have it too.
    """
    open_ones = [one for one in declared if one.shape and isinstance(one.shape[0], str)]
    firsts = frozenset(str(one.shape[0]) for one in open_ones)
    without_name = all(one.shape[0] == unnamed(one.name, 0) for one in open_ones)
    later = {size for one in declared for size in one.shape[1:]}
    given = set(dimensions) & (firsts | ({BATCH} if without_name else set()))
    counts = {len(arrays[one.name]) for one in open_ones if one.name in arrays}
    if not firsts or firsts & later or given or len(counts) > 1 or not (len(firsts) == 1 or without_name):
        return frozenset()
    return firsts


def _sizes_in(declared: Sequence[Declared], arrays: Mapping[str, Array], batch: frozenset[str]) -> dict[str, int]:
    """Return the sizes of open dimensions, except the batch, in the arrays.

    Raises:
        InputError: they have two sizes for one dimension.
    """
    found: dict[str, int] = {}
    for one in declared:
        if one.name not in arrays:
            continue
        for name, size in zip(one.shape, arrays[one.name].shape, strict=True):
            if not isinstance(name, str) or name in batch:
                continue
            if found.setdefault(name, size) != size:
                raise InputError(
                    f"--inputs has two sizes for dimension '{name}'",
                    expected=", ".join(map(str, declared)),
                    found=f"{found[name]} and {size}",
                )
    return found


def _resolved(
    one: Declared, known: Mapping[str, int], dimensions: Mapping[str, int], batch: frozenset[str]
) -> Declared:
    shape: list[int | str] = []
    for place, size in enumerate(one.shape):
        nameless = size == unnamed(one.name, place)
        if place == 0 and size in batch:
            shape.append(BATCH if nameless else size)
        elif place == 0 and nameless and BATCH in dimensions:
            shape.append(known.get(str(size), dimensions[BATCH]))
        else:
            shape.append(known.get(str(size), size))
    return one.model_copy(update={"shape": tuple(shape)})


def _refuse_open(resolved: Sequence[Declared], batch: frozenset[str]) -> None:
    """
    Raises:
        InputError: the sizes of some dimensions are unknown; the message names them all.
    """
    fine = batch | ({BATCH} if batch else set())
    missing = [
        (one.name, place, size)
        for one in resolved
        for place, size in enumerate(one.shape)
        if isinstance(size, str) and not (place == 0 and size in fine)
    ]
    if missing:
        raise sizes_missing(missing)


def sizes_missing(missing: Sequence[Missing]) -> InputError:
    """Return the error for dimensions of unknown size: it names all of them, and the options to give."""
    return InputError(
        ("The sizes of " if len(missing) > 1 else "The size of ")
        + ", ".join(f"dimension {place} of input '{name}'" for name, place, _ in missing)
        + (" are" if len(missing) > 1 else " is")
        + " unknown",
        found=", ".join(
            "one without a name" if size == unnamed(name, place) else f"'{size}'" for name, place, size in missing
        ),
        remedy="Name the size: "
        + _options_for([(place, size) for _, place, size in missing])
        + ", with the sizes that you want; or give arrays with --inputs FILE.npz",
    )


def _options_for(missing: Sequence[tuple[int, str]]) -> str:
    """Return the options for the sizes of open dimensions, given as places and names; each option once."""
    sizes: dict[str, int] = {}
    for place, name in missing:
        sizes[name] = max(sizes.get(name, 1), EXAMPLE_SIZE if place else 1)
    return " ".join(f"--dimension {shlex.quote(f'{name}={size}')}" for name, size in sizes.items())
