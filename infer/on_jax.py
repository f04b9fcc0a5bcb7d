"""JAX: jitted, and operator by operator."""

from __future__ import annotations

from collections.abc import Callable

import jax
import numpy as np
from flax import nnx

from assay.errors import InputError
from assay.spec import Settings
from infer.observed import Observed
from infer.on_jax_observed import observe
from infer.runtime import Images, Logits, ModelFiles, signature_of
from train.models import on_jax
from train.weights import load_weights


class JaxSession:
    """A callable on JAX arrays. JAX on the CPU has no thread setting: the worker's pinned cores limit it."""

    precision = "fp32"

    def __init__(self, model: ModelFiles, forward: Callable[[jax.Array], jax.Array], device: jax.Device) -> None:
        self.signature = signature_of(model, "NHWC")
        self.facts = {"jax device": str(device), "jax matmul precision": str(jax.config.jax_default_matmul_precision)}
        self._forward, self._device = forward, device

    def prepare(self, images: Images) -> jax.Array:
        return jax.device_put(images, self._device).block_until_ready()

    def run(self, native: jax.Array) -> jax.Array:
        return self._forward(native).block_until_ready()

    def fetch(self, native: jax.Array) -> Logits:
        return np.asarray(native)

    def observe(self, native: jax.Array) -> Observed:
        return observe(self._forward, [native], self.run(native))

    def close(self) -> None:
        del self._forward


def load_jit(model: ModelFiles, settings: Settings) -> JaxSession:
    """The weights are an argument of the jitted function, as a flat tuple: the cheapest form to call with."""
    module, device = _module(model, settings)
    graph, state = nnx.split(module)
    arrays, structure = jax.tree.flatten(jax.device_put(state, device))

    @jax.jit
    def forward(arrays: tuple[jax.Array, ...], images: jax.Array) -> jax.Array:
        return nnx.merge(graph, jax.tree.unflatten(structure, arrays))(images)

    weights = tuple(arrays)
    return JaxSession(model, lambda images: forward(weights, images), device)


def load_eager(model: ModelFiles, settings: Settings) -> JaxSession:
    """Every operator is dispatched by itself; JAX's own library functions stay jitted inside."""
    module, device = _module(model, settings)
    return JaxSession(model, module, device)


def _module(model: ModelFiles, settings: Settings) -> tuple[nnx.Module, jax.Device]:
    """The model and its device.

    Raises:
        InputError: CUDA is asked for and there is none.
    """
    if model.weights is None:
        raise InputError("A JAX runtime needs neutral weights", found="an ONNX file alone")
    try:
        device = jax.devices(settings.device)[0]
    except RuntimeError as error:
        raise InputError(
            f"JAX finds no {settings.device} device", remedy='Set bench.device = "cpu" in the study file'
        ) from error
    if settings.device == "cuda":  # fp32 means fp32
        jax.config.update("jax_default_matmul_precision", "highest")
    with jax.default_device(device):
        return on_jax.load(model.spec, load_weights(model.weights)), device
