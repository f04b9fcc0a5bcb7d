"""A JAX function called by the names of its inputs, with its outputs by name. This module needs only JAX and numpy,
since it also runs in the tool environment of jax2tf.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import jax
import numpy as np

from assay.train.brought.binding import binding_of, parameters_of
from assay.train.brought.outputs import Children, kept_outputs, named_outputs

BF16 = jax.numpy.bfloat16
Forward = Callable[..., dict[str, jax.Array]]
"""A function from arrays by position to arrays by name."""


def by_name(
    function: Callable[..., object],
    names: Sequence[str],
    without: Sequence[str],
    what: str,
    narrow: Sequence[str] = (),
) -> Forward:
    """Return a function of arrays in the order of their names.

    Args:
        without: outputs to leave out.
        what: description of the model, for messages.
        narrow: inputs that are cast to bf16.

    Raises:
        InputError: a name is not an argument of the function; or, when called, an output is not an array.
    """
    binding = binding_of(parameters_of(function), names, what)

    def forward(*arrays: jax.Array) -> dict[str, jax.Array]:
        given = [one.astype(BF16) if name in narrow else one for name, one in zip(names, arrays, strict=True)]
        outputs = named_outputs(binding.call(function, given), _is_array, sort=True, opener=_children)
        found = kept_outputs(outputs, _is_array, without, what)
        return {name: one.astype(jax.numpy.float32) if one.dtype == BF16 else one for name, one in found.items()}

    return forward


def _is_array(value: object) -> bool:
    return isinstance(value, jax.Array | np.ndarray)


def _children(value: object) -> Children | None:
    """Return the content of a container that only JAX knows, such as a registered class."""
    found, structure = jax.tree_util.tree_flatten_with_path(value, is_leaf=lambda one: one is not value)
    if jax.tree_util.treedef_is_leaf(structure):
        return None
    return [(jax.tree_util.keystr(path, simple=True), child) for path, child in found]
