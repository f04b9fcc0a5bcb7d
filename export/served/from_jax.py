"""A JAX function as `jax.export` writes it: StableHLO with its weights, for any batch."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import jax
import numpy as np
from jax import export

from assay.export.served.contract import HALF_RANGE, SHIFT
from assay.export.served.native import NativeModel
from assay.train.brought.loaders.on_jax import load_forward
from assay.train.built import BuiltModel
from assay.train.models import on_jax
from assay.train.models.on_jax_narrow import narrowed
from assay.train.weights import load_weights

Function = Callable[..., Sequence[jax.Array]]
Network = Callable[[jax.Array], jax.Array]


def make_program(asked: NativeModel) -> None:
    """
    Raises:
        AssayError: a user's file fails.
    """
    _write(asked, lambda function: function)


def make_bf16_program(asked: NativeModel) -> None:
    """Write the program with products in bf16; same errors as `make_program`."""
    _write(asked, narrowed)


def _write(asked: NativeModel, change: Callable[[Function], Function]) -> None:
    model = asked.model
    signature: list[tuple[tuple[int | None, ...], str]]
    if isinstance(model, BuiltModel):
        function = _of_pixels(_narrow(change, on_jax.load(model.spec, load_weights(model.file))))
        signature = [((None, *model.spec.image_shape), "uint8")]
    else:
        function = change(_by_position(load_forward(model)))
        signature = [(model.open_shape_of(one), one.dtype) for one in model.inputs]
    (batch,) = export.symbolic_shape("batch")
    wanted = [
        jax.ShapeDtypeStruct(tuple(batch if size is None else size for size in shape), np.dtype(kind))
        for shape, kind in signature
    ]
    asked.file.write_bytes(export.export(jax.jit(function))(*wanted).serialize())


def _narrow(change: Callable[[Function], Function], network: Network) -> Network:
    """Change the network, without the contract around it."""
    changed = change(lambda images: [network(images)])
    return lambda images: changed(images)[0]


def _by_position(forward: Callable[..., dict[str, jax.Array]]) -> Function:
    return lambda *arrays: list(forward(*arrays).values())


def _of_pixels(network: Network) -> Function:
    """Turn decoded pixels into probabilities and the most probable class."""

    def of_pixels(images: jax.Array) -> list[jax.Array]:
        probabilities = jax.nn.softmax(network(images.astype(np.float32) / HALF_RANGE - SHIFT), axis=1)
        return [probabilities, jax.numpy.argmax(probabilities, axis=1)]

    return of_pixels
