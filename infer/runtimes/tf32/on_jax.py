"""JAX on a GPU that may round fp32 to TF32 in products and convolutions, as it does by itself."""

from __future__ import annotations

from assay.infer.runtimes import on_jax
from assay.infer.runtimes.same_for_all import in_tf32, let_jax_round

load_jit = in_tf32(on_jax.load_jit, let_jax_round)
