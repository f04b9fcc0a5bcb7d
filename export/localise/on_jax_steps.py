"""The steps of a user's JAX function, equation by equation, in float64 where that is possible."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import jax
import numpy as np
from jax.extend import core

from assay.export.localise.source import ComputationStep, ExactComputation, Followed
from assay.train.brought.loaders.loaded import Array
from assay.train.brought.loaders.on_jax import load_forward
from assay.train.brought.model import UserModel

LONGEST_PARAMETER = 40
CALLS = ("jaxpr", "call_jaxpr", "fun_jaxpr")
"""Parameters under which an equation holds a function that it only calls."""
OF_THEIR_OWN = {"scan", "while", "cond"}
"""Equations whose functions run several times, or not at all: each is one step."""


def follow(model: UserModel, inputs: Sequence[Array], *, double: bool) -> Followed:
    """Record every equation of one call, naming each value by its primitive and its place.

    Args:
        inputs: inputs in the model's order.
        double: whether to call the function with float64 and 64-bit types on; else as it is.

    Raises:
        AssayError: the user's code fails.
    """
    forward, names = load_forward(model), [one.name for one in model.inputs]
    with jax.enable_x64(bool(double or jax.config.jax_enable_x64)):
        return _followed(forward, names, inputs, double=double)


def _followed(
    forward: Callable[..., dict[str, jax.Array]], names: Sequence[str], inputs: Sequence[Array], *, double: bool
) -> Followed:
    arrays = [one.astype(np.float64) if double and one.dtype.kind == "f" else one for one in inputs]
    closed, shapes = jax.make_jaxpr(forward, return_shape=True)(*map(jax.numpy.asarray, arrays))
    recorder = _EquationRecorder(dict(zip(names, arrays, strict=True)))
    results = recorder.run(closed.jaxpr, closed.consts, [*map(jax.numpy.asarray, arrays)], list(names))
    outputs = jax.tree.unflatten(jax.tree.structure(shapes), results)
    source = ExactComputation(recorder.values, frozenset(), tuple(recorder.steps))
    return Followed(source, {name: np.asarray(value) for name, value in outputs.items()})


class _EquationRecorder:
    """Evaluates equations, and keeps the result of each and what it was made from."""

    def __init__(self, inputs: dict[str, Array]) -> None:
        self.steps: list[ComputationStep] = []
        self.values: dict[str, Array] = dict(inputs)

    def run(self, jaxpr: Any, constants: Sequence[Any], arguments: Sequence[Any], names: list[str]) -> list[Any]:
        """Return the results of a jaxpr.

        Args:
            names: names of the arguments, "" for those that do not depend on the inputs.
        """
        return [value for value, _ in self._run(jaxpr, constants, list(zip(arguments, names, strict=True)))]

    def _run(self, jaxpr: Any, constants: Sequence[Any], arguments: Sequence[tuple[Any, str]]) -> list[tuple[Any, str]]:
        known: dict[Any, tuple[Any, str]] = dict(zip(jaxpr.constvars, ((one, "") for one in constants), strict=True))
        known |= dict(zip(jaxpr.invars, arguments, strict=True))

        def read(variable: Any) -> tuple[Any, str]:
            return (variable.val, "") if isinstance(variable, core.Literal) else known[variable]

        for equation in jaxpr.eqns:
            taken = [read(one) for one in equation.invars]
            known |= dict(zip(equation.outvars, self._results(equation, taken), strict=True))
        return [read(one) for one in jaxpr.outvars]

    def _results(self, equation: Any, taken: Sequence[tuple[Any, str]]) -> list[tuple[Any, str]]:
        inner = None if equation.primitive.name in OF_THEIR_OWN else _called(equation.params)
        if inner is not None and len(inner.jaxpr.invars) == len(taken):
            return self._run(inner.jaxpr, inner.consts, taken)
        values = _computed(equation, [value for value, _ in taken])
        names = tuple(name for _, name in taken if name)
        return [(value, self._recorded(equation, value, names)) for value in values]

    def _recorded(self, equation: Any, value: Any, taken: tuple[str, ...]) -> str:
        """Record a value and return its name, "" where it does not depend on the inputs."""
        if not taken or not isinstance(value, jax.Array | np.ndarray):
            return ""
        name = f"{equation.primitive.name} {len(self.steps)}"
        told = [f"{key}={str(one)[:LONGEST_PARAMETER]}" for key, one in equation.params.items() if one is not None]
        layer = str(equation.source_info.name_stack)
        self.steps.append(ComputationStep(f"{equation.primitive.name}({', '.join(told)})", taken, (name,), layer))
        self.values[name] = np.asarray(value)
        return name


def _computed(equation: Any, taken: Sequence[Any]) -> list[Any]:
    bound = equation.primitive.get_bind_params(equation.params)
    functions, parameters = bound if isinstance(bound, tuple) else ((), bound)  # older JAX has them separately
    found = equation.primitive.bind(*functions, *taken, **parameters)
    return list(found) if equation.primitive.multiple_results else [found]


def _called(parameters: dict[str, Any]) -> Any:
    """Return the closed function that an equation calls; None where it calls none."""
    for key in CALLS:
        found = parameters.get(key)
        if hasattr(found, "jaxpr") and hasattr(found, "consts"):
            return found
        if hasattr(found, "eqns"):
            return core.ClosedJaxpr(found, ())
    return None
