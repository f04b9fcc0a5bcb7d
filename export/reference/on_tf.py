"""TensorFlow's own forward pass: in float32 the native run of exports from TensorFlow, in float64 a reference."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from assay.errors import InputError
from assay.export.routes.request import Forward, Images, ShownForward
from assay.spec import ModelSpec
from assay.train.brought.named.on_keras import layers_of
from assay.train.models import on_tf
from assay.train.weights import load_weights

DTYPES = ("float32", "float64")


def forward(spec: ModelSpec, weights_file: Path, dtype: str) -> Forward:
    """Return the forward pass in "float32" or "float64".

    Raises:
        ArtifactError: the weights cannot be read or do not fit.
        InputError: the dtype is another.
    """
    if dtype not in DTYPES:
        raise InputError("Unknown dtype", expected=" or ".join(DTYPES), found=dtype)
    model = on_tf.load(spec, load_weights(weights_file), dtype)

    def run(images: Images) -> NDArray[np.floating]:
        return np.asarray(model(images.astype(dtype, copy=False), training=False))

    layers = tuple(sorted(f"keras::{name}" for name in layers_of(model)))
    return ShownForward(run, lambda _: layers) if dtype == "float32" else run
