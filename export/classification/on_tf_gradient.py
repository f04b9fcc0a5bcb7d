"""TensorFlow's gradient of a margin, in float64."""

from __future__ import annotations

from pathlib import Path

import tensorflow as tf

from assay.export.classification.boundary import Doubles, Gradient
from assay.spec import ModelSpec
from assay.train.models import on_tf
from assay.train.weights import load_weights


def gradient_of_margin(spec: ModelSpec, weights_file: Path) -> Gradient:
    """Return a function that gives the gradient of the margin, the largest logit less the second, at float64 images
    (images, height, width, channels).
    """
    model = on_tf.load(spec, load_weights(weights_file), "float64")

    def gradient(images: Doubles) -> Doubles:
        point = tf.constant(images)
        with tf.GradientTape() as tape:
            tape.watch(point)
            best = tf.math.top_k(model(point, training=False), 2).values
            margins = tf.reduce_sum(best[:, 0] - best[:, 1])
        found: Doubles = tape.gradient(margins, point).numpy()
        return found

    return gradient
