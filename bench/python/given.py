"""Arrays that are passed from Python, written where the jobs of a model can read them."""

from __future__ import annotations

import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from assay.errors import InputError

Arrays = dict[str, NDArray[Any]]
INPUTS_FILE, LABELS_FILE, SEVERAL_LABELS_FILE = "inputs.npz", "labels.npy", "labels.npz"


def as_arrays(inputs: object, names: Sequence[str]) -> Arrays:
    """Return inputs by name, whatever holds them: numpy's arrays, tensors of a framework, lists of numbers.

    Args:
        inputs: a mapping by name, or one array or a list or tuple of arrays for the inputs in their order.
        names: names of the model's inputs in their order; if unknown, empty, and then a mapping is needed.

    Raises:
        InputError: there are not as many arrays as inputs, or one is not an array of numbers.
    """
    if isinstance(inputs, Mapping):
        return {str(name): _as_array(value, str(name)) for name, value in inputs.items()}
    if not names:
        raise InputError(
            "The names of the model's inputs are unknown",
            expected="inputs by name, such as {'image': images}",
            found=type(inputs).__name__,
        )
    several = list(inputs) if isinstance(inputs, list | tuple) and len(names) > 1 else [inputs]
    if len(several) > len(names):
        raise InputError("More arrays than inputs", expected=", ".join(names), found=f"{len(several)} arrays")
    return {name: _as_array(value, name) for name, value in zip(names, several, strict=False)}


def _as_array(value: object, name: str) -> NDArray[Any]:
    """
    Raises:
        InputError: the value is not an array of numbers.
    """
    plain: Any = value
    for step in ("detach", "cpu", "numpy"):  # for a tensor of PyTorch; TensorFlow's has the last
        plain = getattr(plain, step)() if hasattr(plain, step) else plain
    array = np.asarray(plain)
    if array.dtype.kind not in "fiub":
        raise InputError(f"'{name}' is not an array of numbers", expected="numbers", found=str(array.dtype))
    return array


def written_inputs(inputs: object, names: Sequence[str], folder: Path) -> Path | None:
    """Return the file of the inputs: the one that was named, or a new one in the folder; None if there are no
    inputs.
    """
    if inputs is None or isinstance(inputs, str | Path):
        return None if inputs is None else Path(inputs)
    folder.mkdir(parents=True, exist_ok=True)
    _save_arrays(folder / INPUTS_FILE, as_arrays(inputs, names))
    return folder / INPUTS_FILE


def _save_arrays(path: Path, arrays: Arrays) -> None:
    """Write a plain .npz: numpy.savez cannot write an array called `file`."""
    with zipfile.ZipFile(path, "w") as bundle:
        for name, array in arrays.items():
            with bundle.open(f"{name}.npy", "w") as stream:
                np.lib.format.write_array(stream, np.asanyarray(array), allow_pickle=False)


def written_labels(labels: object, folder: Path) -> Path | None:
    """Return the file of the labels in the same way."""
    if labels is None or isinstance(labels, str | Path):
        return None if labels is None else Path(labels)
    folder.mkdir(parents=True, exist_ok=True)
    if isinstance(labels, Mapping):
        named = {str(name): _as_array(one, str(name)) for name, one in labels.items()}
        _save_arrays(folder / SEVERAL_LABELS_FILE, named)
        return folder / SEVERAL_LABELS_FILE
    np.save(folder / LABELS_FILE, _as_array(labels, "labels"))
    return folder / LABELS_FILE
