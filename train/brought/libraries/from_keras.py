"""Models of keras.applications, which declare their own inputs."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import keras
import numpy as np

from assay.errors import unknown_name
from assay.train.brought.libraries.made import MadeModel, pictures, with_weights
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
    found, weights = with_weights(lambda: build(weights="imagenet"), lambda: build(weights=None))

    model: Any = found

    def read(folder: Path) -> dict[str, object]:
        height, width = model.input_shape[1:3]
        module = sys.modules[build.__module__]
        drawn = [np.asarray(one.resize((width, height)), np.float32) for one in pictures(folder)]
        return {model.input_names[0]: module.preprocess_input(np.stack(drawn))}

    return MadeModel(model, weights=weights, read=read)
