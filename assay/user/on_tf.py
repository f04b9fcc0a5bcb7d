"""A user's TensorFlow model: a SavedModel, a .keras file, or a function that is or returns a model."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import keras
import numpy as np
import tensorflow as tf

from assay.boxing import is_trusted
from assay.errors import ArtifactError, InputError
from assay.user.loaded import Array, Compute, Loaded, keys_of, named
from assay.user.model import Declared, Location
from assay.user.on_keras_file import check_keras_file
from assay.user.on_saved_model import check_saved_model
from assay.user.source import built, explained

SIGNATURE = "serving_default"


@dataclass(frozen=True)
class Program:
    """A callable of tensors by position.

    Attributes:
        declared: its inputs, where the model says.
        keeps: what must live as long as the callable: a SavedModel's functions do not hold its variables.
    """

    call: Callable[..., object]
    declared: tuple[Declared, ...]
    keeps: object


def load(location: Location) -> Loaded:
    """
    Raises:
        ArtifactError: the file is not what its ending says.
        InputError: the function fails, or gives no model.
    """
    program = load_program(location)
    return Loaded(program.declared, _compute(program, location), lambda: _double(program, location))


def load_program(location: Location) -> Program:
    """The model as a callable; same errors as `load`."""
    if location.form == "saved-model":
        return _saved_model(location)
    if location.form == "keras":
        return _keras(_read_keras(location))
    found = built(location.path, location.function)
    if isinstance(found, keras.Model):
        return _keras(found)
    if not callable(found):
        raise InputError(
            f"{location} gives no model", expected="a Keras model or a tf.function", found=type(found).__name__
        )
    return Program(found, _declared_of(getattr(found, "input_signature", None) or ()), found)


def outputs_of(outputs: object, location: Location) -> dict[str, tf.Tensor]:
    """
    Raises:
        InputError: something in it is no tensor.
    """
    leaves = tf.nest.flatten(outputs)
    wrong = [type(leaf).__name__ for leaf in leaves if not tf.is_tensor(leaf)]
    if wrong:
        raise InputError(f"{location} returns something else than tensors", found=", ".join(sorted(set(wrong))))
    return named(leaves, sorted(keys_of(outputs)))  # TensorFlow sorts the keys of dictionaries


def _read_keras(location: Location) -> keras.Model:
    trusted = is_trusted()
    if not trusted:
        check_keras_file(location.path)
    try:
        return keras.models.load_model(location.path, compile=False, safe_mode=not trusted)
    except Exception as error:  # Keras raises what it likes
        raise ArtifactError(
            f"{location} cannot be loaded",
            expected="a file written by keras.Model.save",
            found=" ".join(str(error).split())[:300],
            remedy="A model with layers of your own needs their code: give FILE.py:FUNCTION",
        ) from error


def _keras(model: keras.Model) -> Program:
    """Its inputs by position, training switched off."""
    try:
        inputs = list(model.inputs or ())
    except AttributeError:  # a subclassed model that was never called
        inputs = []
    declared = tuple(
        Declared(
            name=str(one.name).partition(":")[0],
            dtype=str(one.dtype),
            shape=tuple(
                "batch" if place == 0 and size is None else _open(size, place) for place, size in enumerate(one.shape)
            ),
        )
        for one in inputs
    )

    def call(*tensors: tf.Tensor) -> object:
        return model(tensors[0] if len(tensors) == 1 else list(tensors), training=False)

    return Program(call, declared, model)


def _saved_model(location: Location) -> Program:
    check_saved_model(location.path, trusted=is_trusted())
    try:
        root = tf.saved_model.load(str(location.path))
    except Exception as error:  # TensorFlow raises what it likes
        raise ArtifactError(
            f"{location} cannot be loaded", expected="a SavedModel", found=" ".join(str(error).split())[:300]
        ) from error
    if SIGNATURE not in root.signatures:
        raise InputError(
            f"{location} has no signature '{SIGNATURE}'", found=", ".join(root.signatures) or "no signature at all"
        )
    function = root.signatures[SIGNATURE]
    specs = function.structured_input_signature[1]
    declared = _declared_of(specs.values(), list(specs))

    def call(*tensors: tf.Tensor) -> object:
        return function(**{one.name: tensor for one, tensor in zip(declared, tensors, strict=True)})

    return Program(call, declared, root)


def _declared_of(specs: Sequence[tf.TensorSpec], names: Sequence[str] = ()) -> tuple[Declared, ...]:
    found = []
    for place, spec in enumerate(specs):
        name = names[place] if names else str(spec.name or f"input_{place}")
        if spec.shape.rank is None:
            raise InputError(f"Input '{name}' has no fixed rank", remedy="Give the function an input_signature")
        shape = tuple("batch" if at == 0 and size is None else _open(size, at) for at, size in enumerate(spec.shape))
        found.append(Declared(name=name, dtype=spec.dtype.name, shape=shape))
    return tuple(found)


def _open(size: int | None, place: int) -> int | str:
    """A dimension that TensorFlow leaves open has no name: it gets one of its place."""
    return f"dimension_{place}" if size is None else int(size)


def _compute(program: Program, location: Location) -> Compute:
    def compute(inputs: Sequence[Array]) -> dict[str, Array]:
        with explained(location.path, f"{location.name}(...)"):
            outputs = outputs_of(program.call(*map(tf.constant, inputs)), location)
            return {name: np.asarray(value) for name, value in outputs.items()}

    return compute


def _double(program: Program, location: Location) -> Compute:
    """Its graph in float64."""
    from assay.user.on_tf_double import double_of  # noqa: PLC0415  only a reference needs it

    compute = double_of(lambda *tensors: outputs_of(program.call(*tensors), location))

    def explaining(inputs: Sequence[Array]) -> dict[str, Array]:
        with explained(location.path, f"{location.name}(...) in float64"):
            return compute(inputs)

    return explaining
