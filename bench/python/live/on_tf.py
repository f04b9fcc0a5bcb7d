"""A live Keras model or `tf.function` as a file: .keras if Keras' own layers suffice, else a SavedModel."""

from __future__ import annotations

import inspect
import shutil
from pathlib import Path
from typing import Any

import keras
import tensorflow as tf

from assay.bench.python.given import as_arrays
from assay.errors import InputError
from assay.files.arrays import load_arrays


def write(model: object, inputs: object, stem: Path) -> tuple[Path, tuple[str, ...]] | None:
    """Write a model; see `assay.bench.python.live.written.Write`.

    Raises:
        InputError: there are no inputs with which to trace a `tf.function` or the user's own class.
    """
    if isinstance(model, keras.Model):
        if _is_all_kerass(model):
            path = stem.with_suffix(".keras")
            model.save(path)
            return path, tuple(one.name for one in model.inputs)
        return _exported(model, inputs, stem)
    if callable(model) and hasattr(model, "get_concrete_function"):
        return _traced(model, inputs, stem)
    return None


def _is_all_kerass(model: keras.Model) -> bool:
    """Return whether a file without any code can recreate the model."""
    of_keras = all(type(one).__module__.startswith("keras.") for one in (model, *model._flatten_layers()))
    return of_keras and bool(getattr(model, "inputs", None))


def _exported(model: keras.Model, inputs: object, stem: Path) -> tuple[Path, tuple[str, ...]]:
    """Write a SavedModel, which holds the graph of classes that Keras does not know."""
    names = tuple(one for one in inspect.signature(model.call).parameters if one not in {"training", "mask"})
    arrays = _arrays(inputs, names, "A Keras class of your own") if not model.built or inputs is not None else {}
    if arrays and not model.built:
        model(*arrays.values())
    shutil.rmtree(stem, ignore_errors=True)
    model.export(stem, verbose=False)
    signature = tf.saved_model.load(str(stem)).signatures["serving_default"]
    return stem, tuple(signature.structured_input_signature[1])


def _traced(function: Any, inputs: object, stem: Path) -> tuple[Path, tuple[str, ...]]:
    names = tuple(inspect.signature(function.python_function).parameters)
    arrays = _arrays(inputs, names, "A tf.function")
    wanted = [
        tf.TensorSpec([None, *one.shape[1:]] if one.ndim else [], one.dtype, name=name) for name, one in arrays.items()
    ]
    concrete = function.get_concrete_function(*wanted)
    holder = tf.Module()
    holder.held = list(concrete.graph.variables)
    holder.function = function
    shutil.rmtree(stem, ignore_errors=True)
    tf.saved_model.save(holder, str(stem), signatures=concrete)
    return stem, tuple(arrays)


def _arrays(inputs: object, names: tuple[str, ...], whose: str) -> dict[str, Any]:
    if inputs is None:
        raise InputError(f"{whose} is exported by tracing it with an example", expected="inputs", found="none")
    return load_arrays(Path(inputs)) if isinstance(inputs, str | Path) else as_arrays(inputs, names)
