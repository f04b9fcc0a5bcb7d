"""JAX's own forward pass: in float32 the native run of exports from JAX, in float64 the check of the reference."""

from __future__ import annotations

from pathlib import Path

import jax
import numpy as np
from flax import nnx

from assay.errors import InputError
from assay.export.routes.request import Forward
from assay.spec import ModelSpec
from assay.train.models import on_jax
from assay.train.weights import load_weights

DTYPES = ("float32", "float64")


def forward(spec: ModelSpec, weights_file: Path, dtype: str) -> Forward:
    """Return the forward pass in "float32", operator by operator, or in "float64", jitted.

    "float64" turns on 64-bit types for the whole process.

    Raises:
        ArtifactError: the weights cannot be read or do not fit.
        InputError: the dtype is another.
    """
    if dtype not in DTYPES:
        raise InputError("Unknown dtype", expected=" or ".join(DTYPES), found=dtype)
    weights = load_weights(weights_file)
    if dtype == "float32":
        model = on_jax.load(spec, weights)
        return lambda images: np.asarray(model(images))
    jax.config.update("jax_enable_x64", True)
    model = on_jax.load(spec, {name: array.astype(np.float64) for name, array in weights.items()})
    for _, module in nnx.iter_graph(model):
        if isinstance(module, nnx.MultiHeadAttention):
            module.attention_fn = _attention
    graph, state = nnx.split(model)

    run = jax.jit(lambda state, images: nnx.merge(graph, state)(images))
    return lambda images: np.asarray(run(state, images.astype(np.float64)))


def _attention(query: jax.Array, key: jax.Array, value: jax.Array, **unused: object) -> jax.Array:
    """Compute attention in the type of its arguments: Flax's own takes its softmax in float32, whatever they are.

    Args:
        query, key, value: (batch, tokens, heads, width of a head).
        unused: mask, dropout and precision, which our models do not use.
    """
    del unused
    products = jax.numpy.einsum("bqhd,bkhd->bhqk", query, key) / np.sqrt(query.shape[-1])
    return jax.numpy.einsum("bhqk,bkhd->bqhd", jax.nn.softmax(products), value)
