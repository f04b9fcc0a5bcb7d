"""The precision and device of JAX: the equations of a function's jaxpr, and of those inside it."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Sequence

import jax
from jax.extend import core

from assay.infer.observing.observed import Observed, observed_of, of_each
from assay.numerics.precisions import is_floating, least_exact, precision_named
from assay.train.brought.narrow.on_jax import equations

ARITHMETIC = ("dot_general", "conv_general_dilated", "ragged_dot", "custom_linear_solve")


def observe(function: Callable[..., object], arguments: Sequence[object], outputs: object) -> Observed:
    """Observe the precision of a function, and the device of its parameters and of these outputs of a call of it."""
    leaves = jax.tree.leaves(outputs)
    made = jax.make_jaxpr(function)(*arguments)
    held = [one for one in made.consts if isinstance(one, jax.Array)]
    devices = {place.platform for leaf in (*leaves, *held) for place in leaf.devices()}
    tensors = [(str(leaf.dtype), " and ".join(sorted({place.platform for place in leaf.devices()}))) for leaf in leaves]
    arithmetic: Counter[str] = Counter()
    others: Counter[str] = Counter()
    for equation in equations(made.jaxpr):
        types = (precision_named(str(one.aval.dtype)) for one in equation.invars if hasattr(one.aval, "dtype"))
        name = equation.primitive.name
        known = [one for one in types if one]
        precision = least_exact(known if name in ARITHMETIC else filter(is_floating, known))
        if name in ARITHMETIC and precision == "fp32" and "gpu" in devices and not _is_highest(equation):
            precision = "tf32"
        if precision:
            (arithmetic if name in ARITHMETIC else others)[precision] += 1
    return observed_of(arithmetic, others, devices, settings() | of_each(tensors))


def settings() -> dict[str, str]:
    """Return the settings by which JAX may round fp32; on a GPU all but "highest" let it use TF32."""
    return {
        "jax matmul precision": str(jax.config.jax_default_matmul_precision),
        "NVIDIA_TF32_OVERRIDE": os.environ.get("NVIDIA_TF32_OVERRIDE", "not set"),
    }


def _is_highest(equation: core.JaxprEqn) -> bool:
    asked = equation.params.get("precision")
    asked = asked if isinstance(asked, tuple) else (asked,)
    return all(str(one).endswith(("HIGHEST", "F32_F32_F32")) for one in asked)
