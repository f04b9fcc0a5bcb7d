"""JAX in 16 bits: products and convolutions of a function take and return them; everything else stays as it is."""

from __future__ import annotations

import jax
import jax.numpy as jnp

from assay.errors import InputError
from assay.infer.observing.observed import Observed
from assay.infer.observing.on_jax import observe
from assay.infer.observing.on_jax_compiled import precisions_of
from assay.infer.runtime import ModelFiles
from assay.infer.runtimes.on_jax import Arrays, Forward, JaxSession, load_function
from assay.infer.runtimes.same_for_all import jax_device, need_gpu
from assay.numerics.precisions import counted_in_words, least_exact
from assay.spec import Settings
from assay.train.models.on_jax_narrow import TYPES, narrowed


class NarrowSession(JaxSession):
    """A function whose products XLA computes: it may turn them back into fp32."""

    def __init__(self, model: ModelFiles, forward: Forward, device: jax.Device, precision: str) -> None:
        super().__init__(model, forward, device)
        self.precision = precision

    def observe(self, native: Arrays) -> Observed:
        seen = observe(self._forward, native, self.run(native))
        compiled = precisions_of(jax.jit(self._forward).lower(*native).compile().as_text() or "")
        facts = dict(seen.facts) | {"compiled to": counted_in_words(compiled)}
        return Observed(seen.device, seen.precision, computed=least_exact(compiled), facts=facts)


def load_bf16(model: ModelFiles, settings: Settings) -> NarrowSession:
    """
    Raises:
        InputError: XLA computes products of bf16 in fp32 on this device; or as for `jax.jit`.
    """
    return _load("bf16", model, settings)


def load_fp16(model: ModelFiles, settings: Settings) -> NarrowSession:
    """
    Raises:
        InputError: no GPU is asked for; or as for `load_bf16`.
    """
    need_gpu(settings, "XLA computes products of fp16 in it on a GPU alone")
    return _load("fp16", model, settings)


def _load(precision: str, model: ModelFiles, settings: Settings) -> NarrowSession:
    device = jax_device(settings)
    found = precisions_of(_compiled_product(device, precision))
    if precision not in found:
        raise InputError(
            f"XLA computes {precision} products in another precision on this device",
            expected=precision,
            found=counted_in_words(found) or "no product",
        )
    return NarrowSession(model, jax.jit(narrowed(load_function(model, device), precision)), device, precision)


def _compiled_product(device: jax.Device, precision: str) -> str:
    """Return XLA's code for a product of two matrices in 16 bits."""
    matrix = jax.device_put(jnp.ones((128, 128), TYPES[precision]), device)
    return jax.jit(jnp.matmul).lower(matrix, matrix).compile().as_text() or ""
