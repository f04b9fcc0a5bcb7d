"""Single operators in JAX, to see how they treat NaN."""

from __future__ import annotations

from collections.abc import Callable

import jax
import numpy as np
from flax import nnx

from assay.bench.auditing.operators.special_job import FUSED, MEAN, POOL, RELU, SHAPE, Operator, kernel

Function = Callable[[jax.Array], jax.Array]


def eager(runtime: str) -> dict[str, Operator]:
    """Return the operators, each called by itself."""
    del runtime
    return _operators(lambda function: function)


def jitted(runtime: str) -> dict[str, Operator]:
    """Return the operators, each compiled by itself."""
    del runtime
    return _operators(jax.jit)


def _operators(prepared: Callable[[Function], Function]) -> dict[str, Operator]:
    """Return the operators, each prepared as a runtime prepares a model."""
    weights, bias = jax.numpy.asarray(kernel()), jax.numpy.ones(SHAPE[-1])

    def convolved(x: jax.Array) -> jax.Array:
        return jax.lax.conv_general_dilated(x, weights, (1, 1), "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC"))

    functions: dict[str, Function] = {
        RELU: nnx.relu,
        POOL: lambda x: nnx.max_pool(x, (2, 2), (2, 2)),
        FUSED: lambda x: nnx.relu(convolved(x) + bias),
        MEAN: lambda x: nnx.relu(convolved(x)).mean((1, 2)),
    }
    return {name: _run(prepared(function)) for name, function in functions.items()}


def _run(function: Function) -> Operator:
    def run(images: np.ndarray) -> np.ndarray:
        return np.asarray(function(jax.numpy.asarray(images)))

    return run
