"""JAX in float64 throughout, equation by equation, even where a function says `.astype(jnp.float32)` in the middle. The
function is traced as it is; then every equation of its jaxpr is computed by JAX itself, with its inputs widened and
float64 in place of any type that it would round to.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
from jax.extend import core

from assay.errors import InputError
from assay.foreign import said_by
from assay.train.brought.loaders.loaded import Array, Compute

Values = list[Any]

CALLS = ("jaxpr", "call_jaxpr", "fun_jaxpr")
"""Parameters of equations that only call an inner function."""
LOOPS = {"scan", "while", "cond"}
SCATTERS = {
    "scatter": jax.lax.scatter, "scatter-add": jax.lax.scatter_add, "scatter_mul": jax.lax.scatter_mul,
    "scatter_min": jax.lax.scatter_min, "scatter_max": jax.lax.scatter_max,
}  # fmt: skip
"""Primitives with a rule for combining two numbers, which is made for their type."""
WITH_RULES = {"reduce", "reduce_window", "custom_linear_solve"}
"""Primitives with such a rule that JAX does not make by itself: they are left to JAX."""


def double_of(forward: Callable[..., dict[str, jax.Array]]) -> Compute:
    """Return a function of arrays by position in float64, traced with the 64-bit types on or off as they are now.

    Calling it raises InputError where an equation does not compute in float64.
    """
    traced: dict[tuple[tuple[int, ...], ...], tuple[core.ClosedJaxpr, list[str]]] = {}

    is_wide = bool(jax.config.jax_enable_x64)

    def trace(some: Sequence[Array]) -> tuple[core.ClosedJaxpr, list[str]]:
        names: list[str] = []

        def flat(*arrays: jax.Array) -> tuple[jax.Array, ...]:
            outputs = forward(*arrays)
            names[:] = outputs
            return tuple(outputs.values())

        with jax.enable_x64(is_wide):
            return jax.make_jaxpr(flat)(*map(jnp.asarray, some)), names

    def compute(some: Sequence[Array]) -> dict[str, Array]:
        shapes = tuple(one.shape for one in some)
        if shapes not in traced:
            traced[shapes] = trace(some)
        closed, names = traced[shapes]
        with jax.enable_x64(True):
            try:
                found = evaluated(closed, [_as_traced(one, to) for one, to in zip(some, closed.in_avals, strict=True)])
            except InputError:
                raise
            except Exception as error:  # JAX may raise anything for a primitive that takes no float64
                raise InputError("JAX cannot compute the function in float64", found=said_by(error)) from error
            return {name: jax.device_get(value) for name, value in zip(names, found, strict=True)}

    return compute


def evaluated(closed: core.ClosedJaxpr, arguments: Values) -> Values:
    """Return the results of a jaxpr for these values, in float64."""
    known: dict[Any, Any] = {}

    def read(variable: Any) -> Any:
        return _wide(variable.val if isinstance(variable, core.Literal) else known[variable])

    jaxpr = closed.jaxpr
    known.update(zip(jaxpr.constvars, closed.consts, strict=True))
    known.update(zip(jaxpr.invars, arguments, strict=True))
    for equation in jaxpr.eqns:
        values = [read(one) for one in equation.invars]
        known.update(zip(equation.outvars, _of_equation(equation, values), strict=True))
    return [read(one) for one in jaxpr.outvars]


def _of_equation(equation: core.JaxprEqn, values: Values) -> Values:
    name, parameters = equation.primitive.name, equation.params
    if name in LOOPS:
        return _of_loop(name, parameters, values)
    if name in SCATTERS:
        known = ("dimension_numbers", "indices_are_sorted", "unique_indices", "mode")
        return [SCATTERS[name](*values, **{key: parameters[key] for key in known})]
    inner = next((parameters[key] for key in CALLS if key in parameters), None)
    if inner is not None and name not in WITH_RULES:
        return evaluated(_closed(inner), values)
    if name == "reduce_precision":
        return values
    if name == "bitcast_convert_type" and any(jnp.issubdtype(one.dtype, jnp.floating) for one in values):
        raise InputError("It reads the bits of numbers, which are different in float64", found=name)
    is_bits = name == "bitcast_convert_type"  # of whole numbers, as random generators read them
    wide = dict(parameters) if is_bits else {key: _wide_type(value) for key, value in parameters.items()}
    found = equation.primitive.bind(*values, **wide)
    results = list(found) if equation.primitive.multiple_results else [found]
    if not is_bits and any(_is_narrow(one.dtype) for one in results):
        raise InputError("An equation does not stay in float64", found=name)
    return results


def _of_loop(name: str, parameters: Mapping[str, Any], values: Values) -> Values:
    if name == "cond":
        branches = [lambda *some, one=one: evaluated(one, list(some)) for one in parameters["branches"]]
        return list(jax.lax.switch(values[0], branches, *values[1:]))
    if name == "while":
        before, after = parameters["cond_nconsts"], parameters["body_nconsts"]
        outer, inner, carried = values[:before], values[before : before + after], values[before + after :]
        return list(
            jax.lax.while_loop(
                lambda some: evaluated(parameters["cond_jaxpr"], [*outer, *some])[0],
                lambda some: evaluated(parameters["body_jaxpr"], [*inner, *some]),
                carried,
            )
        )
    fixed, carries = parameters["num_consts"], parameters["num_carry"]
    constants, carried, rows = values[:fixed], values[fixed : fixed + carries], values[fixed + carries :]

    def step(some: Values, row: Values) -> tuple[Values, Values]:
        found = evaluated(parameters["jaxpr"], [*constants, *some, *row])
        return found[:carries], found[carries:]

    last, stacked = jax.lax.scan(step, carried, rows, length=parameters["length"], reverse=parameters["reverse"])
    return [*last, *stacked]


def _closed(jaxpr: Any) -> core.ClosedJaxpr:
    return jaxpr if isinstance(jaxpr, core.ClosedJaxpr) else core.ClosedJaxpr(jaxpr, ())


def _as_traced(value: Array, to: Any) -> jax.Array:
    """Convert an argument to the type that the function was traced with: int64 is int32 without the 64-bit types."""
    return jnp.asarray(value, to.dtype) if jnp.issubdtype(to.dtype, jnp.integer) else jnp.asarray(value)


def _is_narrow(dtype: Any) -> bool:
    return bool(jnp.issubdtype(dtype, jnp.inexact)) and jnp.finfo(dtype).bits < 64


def _widest(dtype: Any) -> Any:
    """Return the type in 64 bits of real numbers, or of complex ones."""
    return jnp.complex128 if jnp.issubdtype(dtype, jnp.complexfloating) else jnp.float64


def _wide(value: Any) -> Any:
    """Return a value with its floating point widened to 64 bits."""
    dtype = jnp.result_type(value)
    return jnp.asarray(value, _widest(dtype)) if _is_narrow(dtype) else value


def _wide_type(parameter: Any) -> Any:
    """Return a parameter, with a type in 64 bits where it names a narrower one."""
    if parameter is None or isinstance(parameter, str | int | float | tuple | list):
        return parameter
    try:
        dtype: Any = jnp.dtype(parameter)
    except TypeError:
        return parameter
    return jnp.dtype(_widest(dtype)) if _is_narrow(dtype) else parameter
