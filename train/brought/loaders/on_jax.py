"""A user's JAX model: a function of arrays, or a function without arguments that returns one."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import jax
import numpy as np

from assay.errors import InputError
from assay.train.brought.double.on_jax import double_of
from assay.train.brought.libraries.made import made
from assay.train.brought.loaders.loaded import Array, Called, Compute, LoadedModel
from assay.train.brought.model import Location, UserModel
from assay.train.brought.named.on_jax import Forward, by_name
from assay.train.brought.narrow.on_jax import kernels_of, narrow_arithmetic, traced_equations
from assay.train.brought.source import explained
from assay.train.brought.training.on_jax import layers_in_training


def load(location: Location) -> LoadedModel:
    """
    Raises:
        InputError: the function fails, or returns nothing that can be called.
    """
    function = _load_function(location)

    def called(names: Sequence[str], without: Sequence[str], narrow: Sequence[str] = ()) -> Called:
        forward = by_name(function, names, without, str(location), narrow)
        return _compute(forward, location), lambda: _double(forward, location)

    def places(
        names: Sequence[str], inputs: Sequence[Array], without: Sequence[str] = (), cast: Sequence[str] = ()
    ) -> int | None:
        return _fewest_places(by_name(function, names, without, str(location), cast), inputs)

    kernels = set[str]()

    def narrow(
        names: Sequence[str], inputs: Sequence[Array], without: Sequence[str] = (), cast: Sequence[str] = ()
    ) -> str:
        found = traced_equations(by_name(function, names, without, str(location), cast), inputs)
        kernels.update(kernels_of(found))
        return narrow_arithmetic(found)

    def training(
        names: Sequence[str], inputs: Sequence[Array], without: Sequence[str] = (), cast: Sequence[str] = ()
    ) -> tuple[str, ...]:
        compute = _compute(by_name(function, names, without, str(location), cast), location)
        return layers_in_training(lambda: compute(inputs))

    return LoadedModel(
        (), called, places=places, narrow=narrow, kernels=lambda: tuple(sorted(kernels)), training=training
    )


def load_forward(model: UserModel) -> Forward:
    """Return the model as a function of arrays by position to arrays by name; same errors as `load`."""
    function = _load_function(model.location)
    return by_name(function, [one.name for one in model.inputs], model.without, str(model.location), model.narrow)


def _load_function(location: Location) -> Callable[..., object]:
    function = made(location).model
    if not callable(function):
        raise InputError(
            f"{location} does not give a model", expected="a function of arrays", found=type(function).__name__
        )
    return function


def _compute(forward: Forward, location: Location) -> Compute:
    def compute(inputs: Sequence[Array]) -> dict[str, Array]:
        with explained(location.path, f"{location.name}(...)"):
            outputs = forward(*map(jax.numpy.asarray, inputs))
            return {name: np.asarray(value) for name, value in outputs.items()}

    return compute


def _double(forward: Forward, location: Location) -> Compute:
    """Return the same function in float64 throughout; where an equation cannot be computed so, its result for inputs in
    float64, with weights made without.
    """
    by_equation, by_inputs = double_of(forward), _compute(forward, location)

    def compute(inputs: Sequence[Array]) -> dict[str, Array]:
        try:
            with explained(location.path, f"{location.name}(...) in float64"):
                return by_equation(inputs)
        except InputError:  # one that reads bits, or a primitive that JAX lacks in float64
            with jax.enable_x64(True):
                return by_inputs([one.astype(np.float64) if one.dtype.kind == "f" else one for one in inputs])

    return compute


def _fewest_places(forward: Forward, inputs: Sequence[Array]) -> int | None:
    """Return the fewest places of any table that an input indexes: JAX silently cuts an index off at the limit."""
    try:
        traced = jax.make_jaxpr(forward)(*map(jax.numpy.asarray, inputs))
    except Exception:  # noqa: BLE001  the user's code may raise anything; what cannot be traced shows no places
        return None
    return min(_places_in(traced.jaxpr, [True] * len(traced.jaxpr.invars)), default=None)


def _places_in(jaxpr: Any, follows: Sequence[bool]) -> Iterator[int]:
    """
    Args:
        follows: whether each input depends on the model's inputs; otherwise it is a constant of the model.
    """
    known = {variable for variable, is_given in zip(jaxpr.invars, follows, strict=True) if is_given}
    for equation in jaxpr.eqns:
        given = [not hasattr(one, "val") and one in known for one in equation.invars]
        inner = [getattr(one, "jaxpr", one) for one in equation.params.values() if hasattr(one, "eqns")]
        inner += [one.jaxpr for one in equation.params.values() if hasattr(one, "jaxpr") and not hasattr(one, "eqns")]
        for one in inner:
            same = len(one.invars) == len(given)
            yield from _places_in(one, given if same else [any(given)] * len(one.invars))
        shape = equation.invars[0].aval.shape if equation.invars else ()
        if equation.primitive.name == "gather" and given[1]:
            taken = equation.params["slice_sizes"]
            axes = equation.params["dimension_numbers"].start_index_map
            yield from (shape[axis] - taken[axis] + 1 for axis in axes)
        elif equation.primitive.name == "dynamic_slice" and any(given[1:]):
            sizes = zip(shape, equation.params["slice_sizes"], given[1:], strict=False)
            yield from (whole - size + 1 for whole, size, is_given in sizes if is_given)
        if any(given):
            known.update(equation.outvars)
