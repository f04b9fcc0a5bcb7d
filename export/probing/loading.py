"""A user's model with its framework, loaded in this process."""

from __future__ import annotations

import contextlib
import importlib
import re
import time
from collections.abc import Callable

from assay.errors import ArtifactError, missing
from assay.files.texts import read_text
from assay.registry import LIBRARIES
from assay.runtimes.litert import FAMILY
from assay.steps import load_seconds, size_of, step
from assay.train.brought.libraries.made import made
from assay.train.brought.loaders.loaded import LoadedModel
from assay.train.brought.model import Form, Kind, Location
from assay.train.brought.source import kind_of
from assay.train.brought.watched import watched

LOADERS: dict[Kind, tuple[str, str]] = {
    "torch": ("assay.train.brought.loaders.on_torch", "torch"),
    "tf": ("assay.train.brought.loaders.on_tf", "tf"),
    "jax": ("assay.train.brought.loaders.on_jax", "jax"),
    "onnx": ("assay.export.probing.on_onnx", ""),
}
LOADERS_OF_FORM: dict[Form, tuple[str, str]] = {"tflite": ("assay.train.brought.loaders.on_litert", FAMILY.extra)}
"""Loaders of files that are not loaded by the framework that made them."""

IMPORTED_TOGETHER = (("torch", "torchvision", "transformers"), ("tensorflow", "keras"), ("jax", "flax"))
"""Packages that a file may import, each group with the one that takes longest first."""


def load(location: Location) -> tuple[Location, LoadedModel]:
    """Load a model with its framework, which for a function is found by running its file.

    Raises:
        InputError: the model does not load.
        NotInstalledError: its framework is missing.
    """
    imported = _import_framework(location)
    if location.kind:
        kind = location.kind
    else:
        with step(f"Running {location}", load_seconds(imported=imported)):
            kind = kind_of(made(location).model, location.path)
        location = location.model_copy(update={"kind": kind})
    module, extra = LOADERS_OF_FORM.get(location.form) or LOADERS[kind]
    try:
        loader: Callable[[Location], LoadedModel] = importlib.import_module(module).load
    except ModuleNotFoundError as error:
        raise missing(str(location), error, extra) from error
    size = size_of(location.path)
    with step(f"Loading {location}", load_seconds(size, imported)):
        loaded = loader(location)
    return location, watched(loaded, str(location), size)


def _import_framework(location: Location) -> float | None:
    """Import the framework that a function's file names, and return how many seconds that took, by which later steps
    are limited. None where there is nothing to import, or the file names several.
    """
    if location.library:
        named = set(LIBRARIES[location.library].packages[-1:])
    elif location.form == "function":
        try:
            text = read_text(location.path)
        except (OSError, ValueError, ArtifactError):  # whatever runs the file will say what is wrong with it
            return None
        named = set(re.findall(r"^\s*(?:import|from)\s+(\w+)", text, re.MULTILINE))
    else:
        return None
    found = [one for one in IMPORTED_TOGETHER if named & set(one)]
    if len(found) != 1:
        return None
    begun = time.monotonic()
    with step(f"Importing {found[0][0]}", load_seconds()), contextlib.suppress(ImportError):
        importlib.import_module(found[0][0])  # the file itself will report what is missing
    return time.monotonic() - begun
