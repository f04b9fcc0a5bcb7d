"""A TensorFlow or Keras model as a SavedModel with one function, with or without XLA, as it was measured."""

from __future__ import annotations

from dataclasses import replace

import tensorflow as tf

from assay.export.routes.on_tf import Forward, forward_of
from assay.export.routes.request import plain_names
from assay.export.served.contract import HALF_RANGE, SHIFT
from assay.export.served.native import NativeModel
from assay.train.built import BuiltModel


def make_function(asked: NativeModel) -> None:
    """
    Raises:
        AssayError: a user's file fails.
    """
    _write(asked, xla=False)


def make_xla(asked: NativeModel) -> None:
    """Write a function that XLA compiles for each batch at its first call; same errors as `make_function`."""
    _write(asked, xla=True)


def make_network(asked: NativeModel) -> None:
    """Write a study's network with nothing around it, since that would be rewritten with it: the opener of the file
    adds it; same errors as `make_function`.
    """
    _write(replace(asked, pixels=False), xla=False)


def _write(asked: NativeModel, *, xla: bool) -> None:
    tf.config.threading.set_intra_op_parallelism_threads(asked.threads)  # cannot be set later
    tf.config.threading.set_inter_op_parallelism_threads(1)
    model = asked.model
    forward, keeps = forward_of(model)
    names = plain_names("input", len(model.inputs))
    if asked.pixels and isinstance(model, BuiltModel):
        forward = _of_pixels(forward)
        signature = [tf.TensorSpec((None, *model.spec.image_shape), tf.uint8, name=names[0])]
    else:
        kinds = zip(model.inputs, names, strict=True)
        signature = [tf.TensorSpec(model.open_shape_of(one), one.dtype, name=name) for one, name in kinds]
    made = tf.Module()
    made.keeps = keeps
    made.call = tf.function(lambda *tensors: list(forward(*tensors)), signature, autograph=False, jit_compile=xla)
    tf.saved_model.save(made, str(asked.file.parent))


def _of_pixels(forward: Forward) -> Forward:
    """Turn decoded pixels into probabilities and the most probable class."""

    def of_pixels(images: tf.Tensor) -> list[tf.Tensor]:
        logits = forward(tf.cast(images, tf.float32) / HALF_RANGE - SHIFT)[0]
        probabilities = tf.nn.softmax(logits)
        return [probabilities, tf.argmax(probabilities, axis=1)]

    return of_pixels
