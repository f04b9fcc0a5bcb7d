"""The way from a caller's model to a file on disk. No framework is imported here: an object of one exists only if the
caller has imported it."""

from __future__ import annotations

import importlib
import inspect
import re
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from assay.bench.python.live.source import write_source
from assay.errors import InputError
from assay.foreign import said_by
from assay.train.brought.model import Location
from assay.train.brought.sources import WHAT_CAN_BE_GIVEN, locate


@dataclass(frozen=True)
class LiveModel:
    """A model on disk.

    Attributes:
        location: its location.
        names: names of its inputs in their order, if the object tells; else empty.
    """

    location: Location
    names: tuple[str, ...] = ()


Write = Callable[[object, object, Path], "tuple[Path, tuple[str, ...]] | None"]
"""Writes a model, given inputs and a path without extension; returns its file and the names of its inputs, or None if
the model is not one of this framework's.
"""
WRITERS = {"torch": "on_torch", "tensorflow": "on_tf", "onnx": "on_onnx"}
"""The module of this folder that writes the objects of each package."""


def located(model: object, inputs: object, folder: Path, framework: str = "") -> LiveModel:
    """Return where a model lies, after writing it if it lives only in this process.

    Args:
        model: a text or path as the command takes it, or a `torch.nn.Module`, a program of `torch.export`, a
            TorchScript module, a Keras model, a `tf.function`, an `onnx.ModelProto`, or a function at the top of a
            file.
        inputs: as for `assay.compare`; some forms need an example to be written.
        folder: folder for written files.

    Raises:
        InputError: the model is none of these, or cannot be written; the message has the reason.
    """
    if isinstance(model, str | Path):
        return LiveModel(locate(str(model), framework))
    stem = folder / _name_of(model)
    for package, module in WRITERS.items():
        if package in sys.modules:
            with_what = _written(importlib.import_module(f"{__package__}.{module}").write, model, inputs, stem)
            if with_what:
                path, names = with_what
                return LiveModel(locate(str(path)), names)
    if callable(model):
        return LiveModel(_function(model, stem, framework), _arguments(model))
    raise InputError(
        "This object cannot be compared",
        expected=f"{WHAT_CAN_BE_GIVEN}, or such a model itself",
        found=f"an object of {type(model).__module__}.{type(model).__qualname__}",
    )


def _written(write: Write, model: object, inputs: object, stem: Path) -> tuple[Path, tuple[str, ...]] | None:
    stem.parent.mkdir(parents=True, exist_ok=True)
    try:
        return write(model, inputs, stem)
    except (InputError, OSError):
        raise
    except Exception as error:  # a framework's exporter may raise anything
        raise InputError(
            f"{type(model).__name__} cannot be written to disk",
            found=f"{type(error).__name__}: {said_by(error)}",
            remedy="Put what makes it into a function of a file, and name FILE.py:FUNCTION",
        ) from error


def _name_of(model: object) -> str:
    name = getattr(model, "__name__", "") or getattr(model, "name", "") or type(model).__name__
    return re.sub(r"[^A-Za-z0-9_-]", "-", str(name))[:60].strip("-") or "model"


def _function(function: Callable[..., Any], stem: Path, framework: str) -> Location:
    """Return a function's place in a file that every process runs again: its own one, or a new one.

    Raises:
        InputError: the folder cannot be written.
    """
    plain = inspect.unwrap(function)
    name, module = getattr(function, "__name__", ""), sys.modules.get(getattr(plain, "__module__", "") or "")
    file = getattr(module, "__file__", None)
    if file and getattr(module, name, None) is function:
        return locate(f"{file}:{name}", framework)
    stem.parent.mkdir(parents=True, exist_ok=True)
    path, name = write_source(function, stem)
    return locate(f"{path}:{name}", framework)


def _arguments(function: Callable[..., Any]) -> tuple[str, ...]:
    try:
        return tuple(inspect.signature(function).parameters)
    except (TypeError, ValueError):
        return ()
