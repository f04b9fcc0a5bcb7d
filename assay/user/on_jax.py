"""A user's JAX model: a function of arrays, or a function without arguments that returns one."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import jax
import numpy as np

from assay.errors import InputError
from assay.user.loaded import Array, Compute, Loaded, keys_of, named
from assay.user.model import Location
from assay.user.source import built, explained


def load(location: Location) -> Loaded:
    """
    Raises:
        InputError: the function fails, or gives nothing that can be called.
    """
    function = load_function(location)
    return Loaded((), _compute(function, location), lambda: _double(function, location))


def load_function(location: Location) -> Callable[..., object]:
    """The function of arrays; same errors as `load`."""
    function = built(location.path, location.function)
    if not callable(function):
        raise InputError(f"{location} gives no model", expected="a function of arrays", found=type(function).__name__)
    return function


def outputs_of(outputs: object, location: Location) -> dict[str, jax.Array]:
    """
    Raises:
        InputError: something in it is no array.
    """
    leaves = jax.tree.leaves(outputs)
    wrong = [type(leaf).__name__ for leaf in leaves if not isinstance(leaf, jax.Array | np.ndarray)]
    if wrong:
        raise InputError(f"{location} returns something else than arrays", found=", ".join(sorted(set(wrong))))
    return named(leaves, sorted(keys_of(outputs)))  # JAX sorts the keys of dictionaries


def _compute(function: Callable[..., object], location: Location) -> Compute:
    def compute(inputs: Sequence[Array]) -> dict[str, Array]:
        with explained(location.path, f"{location.name}(...)"):
            outputs = outputs_of(function(*map(jax.numpy.asarray, inputs)), location)
            return {name: np.asarray(value) for name, value in outputs.items()}

    return compute


def _double(function: Callable[..., object], location: Location) -> Compute:
    """The same function of float64; 64-bit types are on from here, after its weights have been made without."""
    jax.config.update("jax_enable_x64", True)
    compute = _compute(function, location)
    return lambda inputs: compute([one.astype(np.float64) if one.dtype.kind == "f" else one for one in inputs])
