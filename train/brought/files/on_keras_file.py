"""A check of `.keras` files, and older `.h5` ones, which name classes and functions that Keras looks up and calls.

Its configuration may name a lambda (code), a layer that loads another model by a path, a wrapper that unpickles, or a
vocabulary file anywhere on this machine; its weights may be links to other files. Keras refuses most of that in its
safe mode. The check here does not depend on the version of Keras.
"""

from __future__ import annotations

import io
import re
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import h5py

from assay.errors import ArtifactError
from assay.files.arrays import check_inflation, most_bytes
from assay.files.mistakes import mistake_in
from assay.files.texts import parse_json

CONFIG, WEIGHTS = "config.json", "model.weights.h5"
CONFIG_IN_OLDER = "model_config"
MEMBERS = {CONFIG, WEIGHTS, "metadata.json"}
MODULES = re.compile(
    r"keras(\.(layers|initializers|regularizers|constraints|activations|models|losses|metrics|optimizers|random|ops"
    r"|mixed_precision|dtype_policies|quantizers|src(\.\w+)*)(\.\w+)*)?|builtins"
)
OF_SOURCES = re.compile(
    r"keras\.src\.(layers|initializers|regularizers|constraints|activations|models|losses|metrics|optimizers|ops|random"
    r"|dtype_policies|quantizers)(\.\w+)*"
)
ACTING = {
    "__lambda__": "code",
    "Lambda": "code",
    "TorchModuleWrapper": "a pickle",
    "TFSMLayer": "a path to another model",
    "JaxLayer": "code",
    "FlaxLayer": "code",
    "__typespec__": "a class of another library",
}
PATHS = {"vocabulary", "vocabulary_file", "filepath", "file_path", "path", "fname", "origin", "idf_weights"}
"""Keys whose text Keras takes for the name of a file."""
LARGEST_CONFIG = 256 << 20
EXPECTED = "Keras's own layers, with weights in the file"
REMEDY = "It was not loaded. A model with custom code needs that code: give FILE.py:FUNCTION, or --trust the model"


def check_keras_file(path: Path) -> None:
    """
    Raises:
        ArtifactError: it is no such file, or something in it could run code or read another file.
    """
    try:
        content, weights = _of_older(path) if h5py.is_hdf5(path) else _of_bundle(path)
        config = parse_json(content)
    except (OSError, ValueError, KeyError, RuntimeError, NotImplementedError, zipfile.BadZipFile) as error:
        raise ArtifactError(
            f"{path} cannot be loaded", expected="a file written by keras.Model.save", found=mistake_in(error)[:300]
        ) from error
    for one in _objects(config):
        _check_object(path, one)
    _check_weights(path, weights)


def _of_bundle(path: Path) -> tuple[bytes, io.BytesIO]:
    """Return the configuration and the weights of a `.keras` file."""
    with zipfile.ZipFile(path) as bundle:
        _check_members(path, bundle)
        return bundle.read(CONFIG), io.BytesIO(bundle.read(WEIGHTS))


def _of_older(path: Path) -> tuple[bytes, Path]:
    """Return the same of an `.h5` file, which is one of weights with the configuration beside them."""
    with h5py.File(path, "r") as file:
        if CONFIG_IN_OLDER not in file.attrs:
            raise ArtifactError(
                f"{path} has weights and no model",
                expected="what model.save('NAME.h5') writes",
                remedy="Build the model, load the weights into it, and give FILE.py:FUNCTION",
            )
        config = file.attrs[CONFIG_IN_OLDER]
    return config if isinstance(config, bytes) else str(config).encode(), path


def _check_members(path: Path, bundle: zipfile.ZipFile) -> None:
    check_inflation(path, bundle, most_bytes(1) // 2)
    for name in bundle.namelist():
        if name not in MEMBERS:
            what = "assets, which are files that layers read" if name.startswith("assets") else "an unknown member"
            raise ArtifactError(
                f"{path} has a member that Assay does not load, {name!r:.200}",
                expected=", ".join(sorted(MEMBERS)),
                found=what,
                remedy=REMEDY,
            )
    size = bundle.getinfo(CONFIG).file_size
    if size > LARGEST_CONFIG:
        raise ArtifactError(f"{path}, {CONFIG}, is too large", expected=f"{LARGEST_CONFIG:,} bytes", found=f"{size:,}")


def _objects(value: object) -> Iterator[dict[str, Any]]:
    """Iterate over every dictionary at any depth."""
    waiting = [value]
    while waiting:
        one = waiting.pop()
        if isinstance(one, dict):
            yield one
            waiting += one.values()
        elif isinstance(one, list):
            waiting += one


def _check_object(path: Path, one: dict[str, Any]) -> None:
    module, name = one.get("module"), one.get("class_name")
    if "class_name" in one:
        if not isinstance(name, str) or name in ACTING:
            raise _refusal(path, f"{name!r:.100}, {ACTING.get(str(name), 'no name')}")
        if one.get("registered_name") not in {None, name} and not _is_of_keras(module):
            raise _refusal(path, f"{one['registered_name']!r:.100}, a custom class")
    if module is not None and "class_name" in one and not _is_of_keras(module):
        raise _refusal(path, f"{name!r:.100} of module {module!r:.100}")
    if name == "function" and ".models" in str(module):
        raise _refusal(path, f"a function of {module!r:.100}")
    for key in PATHS & set(one):
        if isinstance(one[key], str):
            raise _refusal(path, f"'{key}' {one[key]!r:.100}, which names a file")


def _is_of_keras(module: object) -> bool:
    if not isinstance(module, str):
        return module is None
    if module.startswith("keras.src"):
        return bool(OF_SOURCES.fullmatch(module))
    return bool(MODULES.fullmatch(module))


def _check_weights(path: Path, weights: io.BytesIO | Path) -> None:
    """Refuse links out of the file, and arrays that need more memory than is available."""
    try:
        with h5py.File(weights, "r") as file:
            _check_group(path, file)
    except (OSError, KeyError, RuntimeError, ValueError, TypeError) as error:
        raise ArtifactError(
            f"{path}, {WEIGHTS}, cannot be read", expected="weights written by Keras", found=mistake_in(error)[:300]
        ) from error


def _check_group(path: Path, group: h5py.Group) -> None:
    waiting, seen, left = [group], 0, most_bytes(1)
    while waiting:
        one = waiting.pop()
        seen += 1
        for name in one:
            if not isinstance(one.get(name, getlink=True), h5py.HardLink) or seen > 100_000:
                raise _refusal(path, f"a link, {name!r:.100}, in {WEIGHTS}")
            found = one[name]
            if isinstance(found, h5py.Group):
                waiting.append(found)
                continue
            if found.external or found.is_virtual or found.dtype.hasobject:
                raise _refusal(
                    path, f"{name!r:.100} in {WEIGHTS}, an array that is stored in another file or contains objects"
                )
            left -= found.size * found.dtype.itemsize
            if left < 0:
                raise ArtifactError(
                    f"{path} would need more memory than is available", found=f"{found.shape} in {WEIGHTS}"
                )


def _refusal(path: Path, found: str) -> ArtifactError:
    return ArtifactError(
        f"{path} refers to something that could run code or read other files",
        expected=EXPECTED,
        found=found,
        remedy=REMEDY,
    )
