"""The inputs that a user gives, in the form that people have them: arrays, a table, images or text."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import polars

from assay.errors import ArtifactError, AssayError, InputError
from assay.export.pairs.pair_inputs import read_arrays
from assay.files.arrays import load_array
from assay.files.tables import read_table
from assay.foreign import said_by
from assay.train.brought.libraries.made import PICTURES, TEXTS, MadeModel
from assay.train.brought.loaders.loaded import Array, LoadedModel
from assay.train.brought.model import Declared

FORMS = (
    "an .npz file, a folder of .npy files, an .npy or .parquet file, and for a library's model a folder of images or a "
    ".txt file with one text a line"
)


def given_inputs(path: Path, loaded: LoadedModel, shapes: Sequence[Declared]) -> dict[str, Array]:
    """Read inputs by name.

    Args:
        loaded: the model, whose library may have a processor for images or text.
        shapes: inputs as the user declares them, where the model does not.

    Raises:
        InputError: they cannot be read, or belong to no input of the model.
    """
    declared = loaded.declared or tuple(shapes) or (loaded.made.usual if loaded.made else ())
    if path.suffix.lower() in TEXTS or (path.is_dir() and any(_is_picture(one) for one in path.iterdir())):
        return _processed(path, loaded.made)
    try:
        if path.suffix.lower() == ".npy":
            return {_only_name(path, declared): load_array(path)}
        if path.suffix.lower() == ".parquet":
            return _of_table(path, read_table(path), declared)
    except ArtifactError as error:
        raise InputError(f"Cannot read inputs from {path}", expected=FORMS, found=str(error)) from error
    return read_arrays(path)


def _is_picture(path: Path) -> bool:
    return path.suffix.lower() in PICTURES


def _processed(path: Path, made: MadeModel | None) -> dict[str, Array]:
    """Return images or texts as the processor of the model's own library makes them."""
    if made is None or made.read is None:
        raise InputError(
            f"{path} holds images or text, and nothing is known of how this model wants them",
            expected="a model of a library that has a processor of its own: hf:, timm:, torchvision: or keras:",
            remedy="Give the arrays that your own preprocessing makes, in an .npz file",
        )
    try:
        found = {name: np.ascontiguousarray(array) for name, array in made.read(path).items()}
    except AssayError:
        raise
    except Exception as error:  # whatever the library's processor raises
        raise InputError(
            f"The model's own processor does not read {path}",
            found=said_by(error),
            remedy="Give the arrays that your own preprocessing makes, in an .npz file",
        ) from error
    if not found or not all(len(array) for array in found.values()):
        raise InputError(f"{path} is empty", expected="an image, or a line of text")
    return found


def _only_name(path: Path, declared: Sequence[Declared]) -> str:
    """Return the name of a model's only input; a model that declares none takes the file's own name."""
    if len(declared) > 1:
        raise InputError(
            f"{path} holds one array, and the model has several inputs",
            expected=", ".join(one.name for one in declared),
            remedy="Give an .npz file with one array for each, or a folder of .npy files",
        )
    return declared[0].name if declared else path.stem


def _of_table(path: Path, table: polars.DataFrame, declared: Sequence[Declared]) -> dict[str, Array]:
    """Return the columns that are inputs by their names, or for a model with one input, all columns side by side."""
    names = [one.name for one in declared]
    if not names or set(names) <= set(table.columns):
        types = {one.name: one for one in declared}
        columns = names or table.columns
        return {name: _fitting(_column(path, table[name]), types.get(name)) for name in columns}
    if len(names) > 1:
        raise InputError(
            f"{path} lacks columns for inputs of the model",
            expected=", ".join(names),
            found=", ".join(table.columns),
        )
    rows = [_column(path, one) for one in table.get_columns()]
    wide = np.stack(rows, axis=1) if all(one.ndim == 1 for one in rows) else rows[0]
    if len(rows) > 1 and wide.ndim != 2:
        raise InputError(f"{path} lacks a column '{names[0]}'", expected=names[0], found=", ".join(table.columns))
    return {names[0]: _fitting(wide, declared[0])}


def _column(path: Path, column: polars.Series) -> Array:
    """
    Raises:
        InputError: it has missing values, or lists of several lengths.
    """
    if column.null_count():
        raise InputError(f"Column '{column.name}' of {path} has {column.null_count()} missing values")
    if isinstance(column.dtype, polars.List):
        lengths = column.list.len().unique().to_list()
        if len(lengths) != 1:
            raise InputError(
                f"Column '{column.name}' of {path} has lists of several lengths",
                expected="one length, as every row of a call has",
                found=", ".join(map(str, sorted(lengths)[:5])),
            )
        return np.stack([np.asarray(one) for one in column.to_list()])
    found: Array = np.asarray(column.to_list() if column.dtype == polars.String else column.to_numpy())
    return found


def _fitting(array: Array, one: Declared | None) -> Array:
    """Return a table's numbers in the type and rank of an input: a table of numbers says neither float32 nor (n, 1)."""
    if one is None:
        return array
    wanted = np.dtype(one.dtype)
    whole = wanted.kind in "iu" and array.dtype.kind in "iu" and _holds(wanted, array)
    if whole or (wanted.kind == "f" and array.dtype.kind in "iufb"):
        array = array.astype(wanted)
    return array[:, np.newaxis] if array.ndim + 1 == len(one.shape) and one.shape[-1] == 1 else array


def _holds(wanted: np.dtype[Any], array: Array) -> bool:
    limits = np.iinfo(wanted)
    return not array.size or bool(limits.min <= array.min() and array.max() <= limits.max)
