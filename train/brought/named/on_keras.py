"""The inputs that a Keras model declares, and its call: by the names of its dictionary, or of `call`."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import keras
import tensorflow as tf

from assay.train.brought.binding import binding_of, parameters_of
from assay.train.brought.model import Declared, unnamed

GIVEN = ("training",)
"""Arguments of `call` that are not inputs: training is switched off."""


def declared_by(model: keras.Model) -> tuple[Declared, ...]:
    """Return the inputs of a functional or sequential model, under the keys of its dictionary if it takes one; none for
    a class that Keras knows nothing about before it is called.
    """
    return tuple(
        Declared(
            name=name,
            dtype=str(one.dtype),
            shape=tuple(unnamed(name, place) if size is None else int(size) for place, size in enumerate(one.shape)),
            optional=bool(getattr(getattr(one, "_keras_history", (None,))[0], "optional", False)),
        )
        for name, one in zip(_names(model), _inputs(model), strict=True)
    )


def layers_of(model: keras.Model) -> frozenset[str]:
    """Return the names of the classes of its layers, those of models inside it and of wrapped layers among them."""
    found = model._flatten_layers(include_self=False)
    return frozenset(type(one).__name__ for one in found if not isinstance(one, keras.Model | keras.layers.InputLayer))


def call_of(model: keras.Model, names: Sequence[str], what: str) -> Callable[..., object]:
    """Return the model as a function of tensors in the order of these names.

    Raises:
        InputError: a name is not an argument of a class's `call`.
    """
    own = _names(model)
    if own:
        places = [names.index(name) if name in names else None for name in own]

        def call(*tensors: tf.Tensor) -> object:
            given = [None if place is None else tensors[place] for place in places]
            return model(given[0] if len(given) == 1 else _packed(model, given), training=False)

        return call
    parameters = parameters_of(model.call, without=GIVEN)
    needed = [one for one in parameters or () if one.default is one.empty]
    switched = {} if parameters_of(model.call) == parameters else {"training": False}
    known = {one.name for one in parameters or ()}
    if len(needed) == 1 and len(names) > 1 and not known & {name.partition(".")[0] for name in names}:
        return lambda *tensors: model(list(tensors), **switched)  # Keras's own way to pass several inputs: one list
    binding = binding_of(parameters, names, what)
    return lambda *tensors: binding.call(lambda *given, **named: model(*given, **named, **switched), tensors)


def _inputs(model: keras.Model) -> list[keras.KerasTensor]:
    try:
        return list(model.inputs or ())
    except AttributeError:  # a subclassed model that was never called
        return []


def _names(model: keras.Model) -> list[str]:
    """Return the names of the inputs, in the order of `model.inputs`: Keras flattens a dictionary by its sorted
    keys.
    """
    inputs = _inputs(model)
    structure = _structure(model)
    if isinstance(structure, dict) and len(structure) == len(inputs):
        return sorted(structure)
    return [str(one.name).partition(":")[0] for one in inputs]


def _packed(model: keras.Model, tensors: Sequence[tf.Tensor | None]) -> object:
    """Put tensors into the container that the model wants."""
    structure = _structure(model)
    return dict(zip(sorted(structure), tensors, strict=True)) if isinstance(structure, dict) else list(tensors)


def _structure(model: keras.Model) -> object:
    return getattr(model, "_inputs_struct", None)
