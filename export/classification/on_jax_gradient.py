"""JAX's gradient of a margin, in float64."""

from __future__ import annotations

from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np

from assay.export.classification.boundary import Doubles, Gradient
from assay.export.reference.on_jax import in_double
from assay.spec import ModelSpec
from assay.train.weights import load_weights


def gradient_of_margin(spec: ModelSpec, weights_file: Path) -> Gradient:
    """Return a function that gives the gradient of the margin, the largest logit less the second, at float64 images
    (images, height, width, channels).
    """
    model = in_double(spec, load_weights(weights_file))

    def margins(images: jax.Array) -> jax.Array:
        best, _ = jax.lax.top_k(model(images), 2)
        return (best[:, 0] - best[:, 1]).sum()

    compiled = jax.jit(jax.grad(margins))

    def gradient(images: Doubles) -> Doubles:
        with jax.enable_x64(True):
            return np.asarray(compiled(jnp.asarray(images)))

    return gradient
