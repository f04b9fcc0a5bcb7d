"""A user's JAX model: a function of arrays, or a function without arguments that returns one."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import jax
import numpy as np

from assay.errors import InputError
from assay.user.loaded import Array, Called, Compute, Loaded
from assay.user.model import Location, UserModel
from assay.user.on_jax_named import Forward, by_name
from assay.user.source import built, explained


def load(location: Location) -> Loaded:
    """
    Raises:
        InputError: the function fails, or gives nothing that can be called.
    """
    function = _load_function(location)

    def called(names: Sequence[str], without: Sequence[str]) -> Called:
        forward = by_name(function, names, without, str(location))
        return _compute(forward, location), lambda: _double(forward, location)

    return Loaded((), called)


def load_forward(model: UserModel) -> Forward:
    """The model as a function of arrays by position to arrays by name; same errors as `load`."""
    function = _load_function(model.location)
    return by_name(function, [one.name for one in model.inputs], model.without, str(model.location))


def _load_function(location: Location) -> Callable[..., object]:
    function = built(location.path, location.function)
    if not callable(function):
        raise InputError(f"{location} gives no model", expected="a function of arrays", found=type(function).__name__)
    return function


def _compute(forward: Forward, location: Location) -> Compute:
    def compute(inputs: Sequence[Array]) -> dict[str, Array]:
        with explained(location.path, f"{location.name}(...)"):
            outputs = forward(*map(jax.numpy.asarray, inputs))
            return {name: np.asarray(value) for name, value in outputs.items()}

    return compute


def _double(forward: Forward, location: Location) -> Compute:
    """The same function of float64; 64-bit types are on from here, after its weights have been made without."""
    jax.config.update("jax_enable_x64", True)
    compute = _compute(forward, location)
    return lambda inputs: compute([one.astype(np.float64) if one.dtype.kind == "f" else one for one in inputs])
