"""JAX's functions in 16 bits: products and convolutions take and return bf16 or fp16; all else stays as it is. JAX has
no policy of its own for a given function; Flax's layers are given a type, and so a user's would have to be. The
function is traced, and each product in it computed from rounded operands, as torch.autocast does.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.extend import core

PRODUCTS = ("dot_general", "conv_general_dilated")
CALLS = ("jit", "pjit", "closed_call", "core_call", "remat", "custom_jvp_call", "custom_vjp_call")
INSIDE = ("jaxpr", "call_jaxpr", "fun_jaxpr")
TYPES = {"bf16": jnp.bfloat16, "fp16": jnp.float16}
Values = list[Any]
Arrays = Sequence[jax.Array]


def narrowed(function: Callable[..., Arrays], precision: str = "bf16") -> Callable[..., list[jax.Array]]:
    """Return the function with its products in bf16 or fp16; those inside loops and branches stay as they are."""

    def forward(*arrays: jax.Array) -> list[jax.Array]:
        return _evaluated(jax.make_jaxpr(function)(*arrays), list(arrays), jnp.dtype(TYPES[precision]))

    return forward


def _evaluated(closed: core.ClosedJaxpr, arguments: Values, narrow: np.dtype[Any]) -> Values:
    known: dict[Any, Any] = dict(zip(closed.jaxpr.constvars, closed.consts, strict=True))
    known.update(zip(closed.jaxpr.invars, arguments, strict=True))

    def read(variable: Any) -> Any:
        return variable.val if isinstance(variable, core.Literal) else known[variable]

    for equation in closed.jaxpr.eqns:
        found = _of_equation(equation, [read(one) for one in equation.invars], narrow)
        known.update(zip(equation.outvars, found, strict=True))
    return [read(one) for one in closed.jaxpr.outvars]


def _of_equation(equation: core.JaxprEqn, values: Values, narrow: np.dtype[Any]) -> Sequence[Any]:
    name, parameters = equation.primitive.name, dict(equation.params)
    inner = next((parameters[key] for key in INSIDE if key in parameters), None) if name in CALLS else None
    if inner is not None:
        closed = inner if isinstance(inner, core.ClosedJaxpr) else core.ClosedJaxpr(inner, ())
        return _evaluated(closed, values, narrow)
    outer = [one.aval.dtype for one in equation.outvars]
    if name in PRODUCTS and all(one.dtype == jnp.float32 for one in values):
        values = [jnp.asarray(one, narrow) for one in values]
        parameters["preferred_element_type"] = narrow
        return [equation.primitive.bind(*values, **parameters).astype(outer[0])]
    found = equation.primitive.bind(*values, **parameters)
    return list(found) if equation.primitive.multiple_results else [found]
