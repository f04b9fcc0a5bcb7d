"""TensorFlow's own forward pass, the native run of exports from TensorFlow."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from assay.errors import InputError
from assay.export.routes.request import Forward
from assay.spec import ModelSpec
from assay.train.models import on_tf
from assay.train.weights import load_weights


def forward(spec: ModelSpec, weights_file: Path, dtype: str) -> Forward:
    """Return the forward pass in "float32".

    Raises:
        ArtifactError: the weights cannot be read or do not fit.
        InputError: the dtype is another.
    """
    if dtype != "float32":
        raise InputError("TensorFlow does not compute references", expected="float32", found=dtype)
    model = on_tf.load(spec, load_weights(weights_file))
    return lambda images: np.asarray(model(images, training=False))
