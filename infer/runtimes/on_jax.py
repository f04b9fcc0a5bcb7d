"""JAX: jitted, and operator by operator, for our architectures and users' models."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import jax
import numpy as np
from flax import nnx

from assay.infer.observing.observed import Observed
from assay.infer.observing.on_jax import observe
from assay.infer.runtime import ModelFiles, Records, ends_of, signature_of
from assay.infer.runtimes.same_for_all import jax_device
from assay.spec import Settings
from assay.train.brought.arrays import Array
from assay.train.brought.loaders.on_jax import load_forward
from assay.train.brought.model import UserModel
from assay.train.models import on_jax
from assay.train.weights import load_weights

Arrays = Sequence[jax.Array]
Forward = Callable[..., Arrays]


class JaxSession:
    """A callable on JAX arrays, one for each input."""

    precision = "fp32"

    def __init__(self, model: ModelFiles, forward: Forward, device: jax.Device) -> None:
        self.signature = signature_of(model, "NHWC")
        self.facts = {"jax device": str(device), "jax matmul precision": str(jax.config.jax_default_matmul_precision)}
        self._ends, self._forward, self._device = ends_of(model), forward, device
        self._waited_for = jax.device_put(np.zeros(1, np.float32), device)

    def prepare(self, records: Records) -> Arrays:
        return jax.block_until_ready([jax.device_put(one, self._device) for one in self._ends.arrays(records)])

    def run(self, native: Arrays) -> Arrays:
        return jax.block_until_ready(self._forward(*native))

    def fetch(self, native: Arrays) -> Array:
        return self._ends.rows([np.asarray(one) for one in native])

    def synchronise(self) -> None:
        """Wait for an array, as `run` waits for its outputs."""
        jax.block_until_ready(self._waited_for)

    def most_allocated_bytes(self) -> int | None:
        """See `assay.infer.gpu.parts.Allocates`; JAX's allocator on the CPU tells nothing."""
        return (self._device.memory_stats() or {}).get("peak_bytes_in_use")

    def observe(self, native: Arrays) -> Observed:
        return observe(self._forward, native, self.run(native))

    def close(self) -> None:
        del self._forward


def load_jit(model: ModelFiles, settings: Settings) -> JaxSession:
    """Jit a model; the weights of our architectures are an argument, as a flat tuple: the cheapest form to call
    with.
    """
    device = jax_device(settings)
    if model.user is not None:
        return JaxSession(model, jax.jit(_brought(model.user, device)), device)
    graph, state = nnx.split(_built(model, device))
    arrays, structure = jax.tree.flatten(jax.device_put(state, device))

    @jax.jit
    def forward(arrays: tuple[jax.Array, ...], images: jax.Array) -> Arrays:
        return (nnx.merge(graph, jax.tree.unflatten(structure, arrays))(images),)

    weights = tuple(arrays)
    return JaxSession(model, lambda images: forward(weights, images), device)


def load_eager(model: ModelFiles, settings: Settings) -> JaxSession:
    """Dispatch every operator by itself, except inside jitted functions, such as JAX's own library functions."""
    device = jax_device(settings)
    return JaxSession(model, load_function(model, device), device)


def load_function(model: ModelFiles, device: jax.Device) -> Forward:
    """Return one of our architectures or a user's model as a function of arrays by position; its weights are constants.

    Raises:
        InputError: there are no weights, or the user's code fails.
    """
    if model.user is not None:
        return _brought(model.user, device)
    module = _built(model, device)
    return lambda images: (module(images),)


def _built(model: ModelFiles, device: jax.Device) -> nnx.Module:
    """
    Raises:
        InputError: there are no weights.
    """
    with jax.default_device(device):
        return on_jax.load(model.built.spec, load_weights(model.built.file))


def _brought(user: UserModel, device: jax.Device) -> Forward:
    """Return a user's function, by position.

    Raises:
        InputError: the user's code fails.
    """
    with jax.default_device(device):
        named = load_forward(user)
    return lambda *arrays: list(named(*arrays).values())
