"""The right answers that a user gives, from a file: .npy, .npz or .csv."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from assay.errors import InputError
from assay.files.arrays import load_array, load_arrays, most_bytes
from assay.files.texts import read_bytes

Array = NDArray[Any]
Labels = Array | dict[str, Array]
"""Labels by record, (records, ...): one array, or several by name."""

NOBODYS = 255
"""The label of pixels that belong to no class, in the data sets that have such a label."""
KINDS = ".npy, .npz or .csv"


def read_labels(path: Path, records: int) -> Labels:
    """Read the labels of so many records.

    A .csv has a line for each record, with a header or without; one column gives (records,), several
    (records, columns).

    Raises:
        InputError: there is another number of labels, or a .csv holds something else than numbers.
        ArtifactError: the file cannot be read.
    """
    if not path.is_file():
        raise InputError(f"There is no file {path}", expected=f"the labels in a {KINDS} file")
    found = _read(path)
    for name, one in found.items() if isinstance(found, dict) else [("", found)]:
        if not one.ndim or len(one) != records:
            raise InputError(
                f"--labels does not match --inputs: {path.name}{f', {name}' if name else ''}",
                expected=f"a label for each of the {records} records",
                found=f"an array of shape {one.shape}",
            )
    return found


def only_labels(labels: Labels, path: Path) -> Array:
    """Return labels that are one array.

    Raises:
        InputError: they are several.
    """
    if isinstance(labels, Mapping):
        raise InputError(
            f"--labels has several arrays: {path.name}",
            expected="one array of labels",
            found=", ".join(labels),
            remedy="A function that --metric FILE.py:FUNCTION names gets all of them",
        )
    return labels


def _read(path: Path) -> Labels:
    suffix = path.suffix.lower()
    if suffix == ".npz":
        arrays = load_arrays(path)
        return next(iter(arrays.values())) if len(arrays) == 1 else arrays
    if suffix == ".csv":
        return _of_text(path)
    if suffix != ".npy":
        raise InputError(f"--labels cannot be read: {path.name}", expected=f"a {KINDS} file", found=f"'{path.suffix}'")
    return load_array(path)


def _of_text(path: Path) -> Array:
    try:
        text = read_bytes(path, most_bytes()).decode("utf-8-sig")
        lines = [(number, row) for number, row in enumerate(csv.reader(io.StringIO(text)), 1) if any(row)]
    except (UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"{path.name} is not a table of text in UTF-8", expected="numbers in columns") from error
    if lines and not any(map(_is_number, lines[0][1])):
        lines = lines[1:]
    width = len(lines[0][1]) if lines else 0
    for number, row in lines:
        wrong = next((one for one in row if not _is_number(one)), None)
        if wrong is not None or len(row) != width:
            raise InputError(
                f"{path.name}, line {number} is not a label",
                expected=f"{width} number{'' if width == 1 else 's'}",
                found=f"'{wrong}'" if wrong is not None else f"{len(row)} columns",
            )
    numbers = np.array([[float(one) for one in row] for _, row in lines])
    whole = all(one.strip().lstrip("+-").isdecimal() for _, row in lines for one in row)
    numbers = numbers.astype(np.int64) if whole else numbers
    return numbers[:, 0] if width == 1 else numbers


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
