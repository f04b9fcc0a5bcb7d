"""A user's JAX model, jitted."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import jax
import numpy as np

from assay.errors import InputError
from assay.spec import Settings
from assay.user.arrays import Array, Records, inputs_of, rows_of
from assay.user.on_jax import load_forward
from infer.observed import Observed
from infer.on_jax_observed import observe
from infer.runtime import ModelFiles, signature_of

Arrays = Sequence[jax.Array]


class UserJaxSession:
    """A jitted function. JAX on the CPU has no thread setting: the worker's pinned cores limit it."""

    precision = "fp32"

    def __init__(self, model: ModelFiles, forward: Callable[..., Arrays], device: jax.Device) -> None:
        self.signature = signature_of(model, "NHWC")
        self.facts = {"jax device": str(device), "jax matmul precision": str(jax.config.jax_default_matmul_precision)}
        self._model, self._forward, self._device = model.users, forward, device

    def prepare(self, images: Records) -> Arrays:
        arrays = [jax.device_put(one, self._device) for one in inputs_of(self._model, images)]
        return jax.block_until_ready(arrays)

    def run(self, native: Arrays) -> Arrays:
        return jax.block_until_ready(self._forward(*native))

    def fetch(self, native: Arrays) -> Array:
        return rows_of(self._model, [np.asarray(one) for one in native])

    def observe(self, native: Arrays) -> Observed:
        return observe(self._forward, native, self.run(native))

    def close(self) -> None:
        del self._forward


def load_jit(model: ModelFiles, settings: Settings) -> UserJaxSession:
    """
    Raises:
        InputError: CUDA is asked for and there is none; or the user's code fails.
    """
    user = model.users
    try:
        device = jax.devices(settings.device)[0]
    except RuntimeError as error:
        raise InputError(f"JAX finds no {settings.device} device", remedy="Leave --device cuda out") from error
    with jax.default_device(device):
        named = load_forward(user)

    def forward(*arrays: jax.Array) -> Arrays:
        return list(named(*arrays).values())

    return UserJaxSession(model, jax.jit(forward), device)
