"""Inputs for a pair of ONNX files: read from the user's arrays, or drawn from the files' signature."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from assay.errors import ArtifactError, InputError
from assay.export.probing.drawn_ranges import Range, drawn, drawn_texts
from assay.export.probing.shapes import BATCH, Missing, sizes_missing
from assay.files.arrays import check_call, load_array, load_arrays
from assay.numerics.values import is_whole
from assay.train.brought.model import unnamed

Array = NDArray[np.generic]

ROWS = 8
"""Size of the first dimension where it is dynamic and nobody named it."""
BYTES_DRAWN = 8
"""The bytes of a number when it is drawn, whatever type it gets."""


@dataclass(frozen=True)
class OnnxValue:
    """An input or output of an ONNX file.

    Attributes:
        dtype: numpy's name of its type.
        shape: sizes of its dimensions, or names of dynamic ones; None where there may be any number of dimensions.
    """

    name: str
    dtype: str
    shape: tuple[int | str, ...] | None

    def __str__(self) -> str:
        shape = "of any rank" if self.shape is None else f"[{', '.join(map(str, self.shape))}]"
        return f"'{self.name}' {self.dtype} {shape}"


def check_same(kind: str, reference: Sequence[OnnxValue], candidate: Sequence[OnnxValue]) -> None:
    """Make sure that two files have the same inputs or outputs: names, types and fixed dimensions.

    Raises:
        InputError: they have none, or differ; the message names the first difference.
    """
    if not reference or not candidate:
        raise InputError(f"A file without {kind}s cannot be compared")
    if {one.name for one in reference} != {one.name for one in candidate}:
        raise InputError(
            f"The two files have different {kind}s",
            expected=", ".join(map(str, reference)),
            found=", ".join(map(str, candidate)),
        )
    others = {one.name: one for one in candidate}
    for one in reference:
        other = others[one.name]
        if one.dtype != other.dtype or not _compatible(one.shape, other.shape):
            raise InputError(f"The two files differ in {kind} '{one.name}'", expected=str(one), found=str(other))


def _compatible(left: tuple[int | str, ...] | None, right: tuple[int | str, ...] | None) -> bool:
    """Return whether both have the same rank, and the same size where both are fixed."""
    if left is None or right is None:
        return True
    pairs = zip(left, right, strict=False)
    return len(left) == len(right) and all(a == b for a, b in pairs if isinstance(a, int) and isinstance(b, int))


def narrowed(reference: Sequence[OnnxValue], candidate: Sequence[OnnxValue]) -> list[OnnxValue]:
    """Return the inputs of two compatible files, with each dimension fixed where either file fixes it: what both can
    take.
    """
    others = {one.name: one.shape for one in candidate}
    pairs = [pair for one in reference for pair in zip(one.shape or (), others[one.name] or (), strict=False)]
    sizes = {size: other for size, other in pairs if isinstance(size, str) and isinstance(other, int)}
    found = []
    for one in reference:
        shape = others[one.name] if one.shape is None else tuple(sizes.get(str(size), size) for size in one.shape)
        found.append(replace(one, shape=shape))
    return found


def draw_inputs(
    values: Sequence[OnnxValue],
    dimensions: Mapping[str, int],
    seed: int = 0,
    ranges: Mapping[str, Range] = MappingProxyType({}),
    rows: int = ROWS,
) -> dict[str, Array]:
    """Draw inputs of the wanted types and shapes: standard normal, whole numbers, true and false.

    Args:
        ranges: range by input; where there is none, whole numbers are 0 and 1.
        rows: size of a dynamic first dimension that is not named.
        dimensions: sizes of dynamic dimensions by name.

    Raises:
        InputError: a dynamic dimension has no size, a type cannot be drawn, or memory cannot hold them.
    """
    random = np.random.default_rng(seed)
    found: dict[str, Array] = {}
    shapes = _sized(values, dimensions, rows)
    check_call({name: (shape, BYTES_DRAWN) for name, shape in shapes.items()}, "Inputs cannot be drawn")
    for value in values:
        shape = shapes[value.name]
        dtype = np.dtype(value.dtype) if value.dtype != "bfloat16" else None
        words = ranges[value.name].words if value.name in ranges else ()
        if words:
            found[value.name] = drawn_texts(words, shape, random).astype(value.dtype)
        elif dtype is not None and np.issubdtype(dtype, np.floating) and value.name not in ranges:
            found[value.name] = random.normal(size=shape).astype(dtype)
        elif dtype is not None and (is_whole(dtype) or value.name in ranges):
            one = ranges.get(value.name, Range())
            found[value.name] = one.kept(drawn(dtype.name, shape, one.least, one.most, random))
        else:
            raise InputError(f"No input can be drawn for {value}", remedy="Give inputs with --inputs")
    return found


def _sized(values: Sequence[OnnxValue], dimensions: Mapping[str, int], rows: int) -> dict[str, tuple[int, ...]]:
    """Return the shapes of inputs with every size known.

    Raises:
        InputError: a dimension has no size, or an input may have any number of them; the message names all.
    """
    firsts = {one: one.shape[0] for one in values if one.shape}
    counts = {first: _rows(one, dimensions, rows) for one, first in firsts.items() if isinstance(first, str)}
    known = {**counts, **dimensions}
    found: dict[str, tuple[int, ...]] = {}
    missing: list[Missing] = []
    for one in values:
        if one.shape is None:
            raise InputError(f"No input can be drawn for {one}", remedy="Give inputs with --inputs")
        sized = [size if isinstance(size, int) else known.get(size, 0) for size in one.shape]
        missing += [
            (one.name, place, str(size))
            for place, size in enumerate(one.shape)
            if isinstance(size, str) and not sized[place]
        ]
        found[one.name] = tuple(sized)
    if missing:
        raise sizes_missing(missing)
    return found


def _rows(value: OnnxValue, dimensions: Mapping[str, int], rows: int) -> int:
    """Return the size of a first dimension; the name of the batch also applies to one without a name."""
    nameless = value.shape is not None and value.shape[0] == unnamed(value.name, 0)
    return dimensions.get(BATCH, rows) if nameless else rows


def read_inputs(path: Path, values: Sequence[OnnxValue]) -> dict[str, Array]:
    """Read inputs from an .npz file, or from a folder with one .npy file for each input.

    Raises:
        InputError: it cannot be read, an input is missing, extra, empty, or of another type or shape.
    """
    found = read_arrays(path)
    expected = {value.name for value in values}
    if set(found) != expected:
        raise InputError(
            f"{path} does not hold the model's inputs",
            expected=", ".join(sorted(expected)),
            found=", ".join(sorted(found)) or "nothing",
        )
    for value in values:
        array = found[value.name]
        if array.size == 0:
            raise InputError(f"{path} has an empty array for input '{value.name}'", found=f"shape {array.shape}")
        if array.dtype.name != value.dtype or not _compatible(value.shape, array.shape):
            raise InputError(
                f"{path} has an input that does not fit", expected=str(value), found=f"{array.dtype} {array.shape}"
            )
    return found


def read_arrays(path: Path) -> dict[str, Array]:
    """Read the arrays of an .npz file, or of a folder with one .npy file for each, by name.

    Raises:
        InputError: it cannot be read.
    """
    try:
        if path.is_dir():
            return {one.stem: load_array(one) for one in sorted(path.glob("*.npy"))}
        return load_arrays(path)
    except ArtifactError as error:
        raise InputError(
            f"Cannot read inputs from {path}",
            expected="an .npz file with one array for each input, or a folder of .npy files",
            found=str(error),
        ) from error
