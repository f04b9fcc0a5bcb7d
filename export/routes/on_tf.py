"""A model in the form that TensorFlow's routes take: a function of tensors by position."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import tensorflow as tf

from assay.train.brought.loaders.on_tf import load_forward
from assay.train.brought.model import UserModel
from assay.train.built import BuiltModel
from assay.train.models import on_tf
from assay.train.weights import load_weights

Forward = Callable[..., Sequence[tf.Tensor]]


def forward_of(model: BuiltModel | UserModel) -> tuple[Forward, object]:
    """Return the model as a function of tensors by position, and the objects that must live as long.

    Raises:
        ArtifactError: the weights cannot be read or do not fit.
        AssayError: a user's file fails.
    """
    if isinstance(model, BuiltModel):
        loaded = on_tf.load(model.spec, load_weights(model.file))
        return lambda image: [loaded(image, training=False)], loaded
    forward, keeps = load_forward(model)
    return lambda *tensors: list(forward(*tensors).values()), keeps
