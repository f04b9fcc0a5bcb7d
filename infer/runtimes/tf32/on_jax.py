"""JAX on a GPU that may round fp32 to TF32 in products and convolutions, as it does by itself."""

from __future__ import annotations

from assay.infer.runtime import ModelFiles
from assay.infer.runtimes import on_jax
from assay.infer.runtimes.on_jax import JaxSession
from assay.infer.runtimes.same_for_all import let_jax_round, on_a_gpu
from assay.spec import Settings


def load_jit(model: ModelFiles, settings: Settings) -> JaxSession:
    """It is traced at the first call, when JAX has been told."""
    on_a_gpu(settings)
    session = on_jax.load_jit(model, settings)
    let_jax_round()
    session.precision = "tf32"
    return session
