"""Models of keras.applications, which declare their own inputs."""

from __future__ import annotations

from typing import Any

import keras

from assay.errors import unknown_name
from assay.train.brought.libraries.made import MadeModel, with_weights
from assay.train.brought.model import Location


def make(location: Location) -> MadeModel:
    """Make `keras:NAME`.

    Raises:
        InputError: keras.applications has no such model.
        Exception: whatever Keras raises.
    """
    known = {name: one for name, one in vars(keras.applications).items() if name[0].isupper() and callable(one)}
    name = location.function
    if name not in known:
        raise unknown_name("model of keras.applications", name, list(known))
    build: Any = known[name]
    model, weights = with_weights(lambda: build(weights="imagenet"), lambda: build(weights=None))
    return MadeModel(model, weights=weights)
