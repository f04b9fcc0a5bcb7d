"""The part of a JAX function that is computed in fp16 or bf16, by the equations of its jaxpr and of those inside it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence

import jax
from jax.extend import core

from assay.numerics.precisions import narrowest, precision_named
from assay.train.brought.loaders.loaded import Array

MOVES = {
    "reshape", "transpose", "squeeze", "expand_dims", "broadcast_in_dim", "slice", "dynamic_slice", "gather",
    "concatenate", "pad", "rev", "select_n", "copy", "copy_p", "stop_gradient", "dynamic_update_slice", "split",
    "device_put",
}  # fmt: skip
"""Primitives that round nothing."""


SHAPES_ALONE = {
    "reshape", "transpose", "squeeze", "expand_dims", "broadcast_in_dim", "convert_element_type", "copy", "copy_p",
    "stop_gradient", "device_put", "iota",
}  # fmt: skip
"""Primitives that accompany others, and say nothing about what a function uses."""


def traced_equations(forward: Callable[..., object], inputs: Sequence[Array]) -> list[core.JaxprEqn]:
    """Return the equations of a call; none if it cannot be traced."""
    try:
        traced = jax.make_jaxpr(forward)(*map(jax.numpy.asarray, inputs))
    except Exception:  # noqa: BLE001  the user's code may raise anything; what cannot be traced shows nothing
        return []
    return list(equations(traced.jaxpr))


def narrow_arithmetic(found: Iterable[core.JaxprEqn]) -> str:
    """Return the least exact precision below fp32 to which an equation rounds; "" for none."""
    return narrowest(one for equation in found for one in _rounds_to(equation))


def kernels_of(found: Iterable[core.JaxprEqn]) -> set[str]:
    """Return the primitives that do more than give a value another shape or type, such as "jax::log1p"."""
    return {f"jax::{one.primitive.name}" for one in found} - {f"jax::{name}" for name in SHAPES_ALONE}


def _rounds_to(equation: core.JaxprEqn) -> Iterator[str]:
    name = equation.primitive.name
    if name in MOVES:
        return
    taken = {precision_named(str(one.aval.dtype)) for one in equation.invars if hasattr(one.aval, "dtype")}
    given = {precision_named(str(one.aval.dtype)) for one in equation.outvars if hasattr(one.aval, "dtype")}
    yield from given - taken if name == "convert_element_type" else given


def equations(jaxpr: core.Jaxpr) -> Iterator[core.JaxprEqn]:
    """All that compute, those of functions inside in their places."""
    for equation in jaxpr.eqns:
        inner = list(core.jaxprs_in_params(equation.params))
        if not inner:
            yield equation
        for one in inner:
            yield from equations(one)
