"""JAX's own forward pass: in float32 the native run of exports from JAX, in float64 the check of the reference."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from numpy.typing import NDArray

from assay.errors import InputError
from assay.export.routes.request import Forward, Images, ShownForward
from assay.spec import ModelSpec
from assay.train.brought.narrow.on_jax import kernels_of, traced_equations
from assay.train.models import on_jax
from assay.train.weights import Weights, load_weights

DTYPES = ("float32", "float64")


def forward(spec: ModelSpec, weights_file: Path, dtype: str) -> Forward:
    """Return the forward pass in "float32", operator by operator, or in "float64", jitted.

    Raises:
        ArtifactError: the weights cannot be read or do not fit.
        InputError: the dtype is another.
    """
    if dtype not in DTYPES:
        raise InputError("Unknown dtype", expected=" or ".join(DTYPES), found=dtype)
    weights = load_weights(weights_file)
    if dtype == "float32":
        model = on_jax.load(spec, weights)
        return ShownForward(
            lambda images: np.asarray(model(images)),
            lambda images: tuple(sorted(kernels_of(traced_equations(model.__call__, [images])))),
        )
    model = in_double(spec, weights)

    def run(images: Images) -> NDArray[np.float64]:
        with jax.enable_x64(True):
            return np.asarray(model(jnp.asarray(images, np.float64)))

    return run


def in_double(spec: ModelSpec, weights: Weights) -> Callable[[jax.Array], jax.Array]:
    """Return the jitted forward pass in float64, to be called where 64-bit types are on."""
    with jax.enable_x64(True):
        model = on_jax.load(spec, {name: array.astype(np.float64) for name, array in weights.items()})
        for _, module in nnx.iter_graph(model):
            if isinstance(module, nnx.MultiHeadAttention):
                module.attention_fn = _attention
        graph, state = nnx.split(model)
    run = jax.jit(lambda state, images: nnx.merge(graph, state)(images))
    return lambda images: run(state, images)


def _attention(query: jax.Array, key: jax.Array, value: jax.Array, **unused: object) -> jax.Array:
    """Compute attention in the type of its arguments: Flax's own takes its softmax in float32, whatever they are.

    Args:
        query, key, value: (batch, tokens, heads, width of a head).
        unused: mask, dropout and precision, which our models do not use.
    """
    del unused
    products = jax.numpy.einsum("bqhd,bkhd->bhqk", query, key) / np.sqrt(query.shape[-1])
    return jax.numpy.einsum("bhqk,bkhd->bqhd", jax.nn.softmax(products), value)
