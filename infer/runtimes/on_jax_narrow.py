"""JAX in bf16: products and convolutions of a function take and return bf16; everything else stays as it is."""

from __future__ import annotations

import jax
import jax.numpy as jnp

from assay.errors import InputError
from assay.infer.observing.observed import Observed
from assay.infer.observing.on_jax import observe
from assay.infer.observing.on_jax_compiled import precisions_of
from assay.infer.runtime import ModelFiles
from assay.infer.runtimes.on_jax import Arrays, JaxSession, load_function
from assay.infer.runtimes.same_for_all import jax_device
from assay.numerics.precisions import counted_in_words, least_exact
from assay.spec import Settings
from assay.train.models.on_jax_narrow import narrowed


class NarrowSession(JaxSession):
    """A function whose products XLA computes: it may turn them back into fp32."""

    precision = "bf16"

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
    device = jax_device(settings)
    found = precisions_of(_compiled_product(device))
    if "bf16" not in found:
        raise InputError(
            "XLA computes bf16 products in another precision on this device",
            expected="bf16",
            found=counted_in_words(found) or "no product",
        )
    return NarrowSession(model, jax.jit(narrowed(load_function(model, device))), device)


def _compiled_product(device: jax.Device) -> str:
    """Return XLA's code for a product of two matrices in bf16."""
    matrix = jax.device_put(jnp.ones((128, 128), jnp.bfloat16), device)
    return jax.jit(jnp.matmul).lower(matrix, matrix).compile().as_text() or ""
