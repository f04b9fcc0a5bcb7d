"""The layers of a TensorFlow model that compute as in training, by the operations of its graph: the name of one begins
with the names of the layers around it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

MOMENTS, DROPOUT = re.compile(r"moments(_\d+)?"), re.compile(r"stateless_dropout(_\d+)?")
"""The scopes that TensorFlow opens inside a layer for the statistics of a batch, and to drop numbers."""
NOISE = re.compile(r"\w*(dropout|gaussian_noise)\w*")
DRAWING = ("Random", "StatelessRandom")


def layers_in_training(functions: Iterable[Sequence[tf.compat.v1.NodeDef]]) -> tuple[str, ...]:
    """Return the names of the layers.

    Args:
        functions: the operations of the graph and of each function that it calls.
    """
    found = dict[str, None]()
    for nodes in functions:
        constants = {node.name: node.attr["value"].tensor for node in nodes if node.op == "Const"}
        found |= dict.fromkeys(filter(None, (_layer_of(node, constants) for node in nodes)))
    return tuple(found)


def _layer_of(node: tf.compat.v1.NodeDef, constants: Mapping[str, Any]) -> str:
    """Return the name of the layer that an operation shows to be in training mode, or ""."""
    scopes = node.name.split("/")[:-1]
    if node.op.startswith("FusedBatchNorm"):
        return (scopes or [node.name])[-1] if node.attr["is_training"].b else ""
    if node.op == "Mean":
        return _before(MOMENTS, scopes, "tf.nn.moments") if _is_over_rows(node, constants) else ""
    if node.op.startswith(DRAWING):
        return _before(DROPOUT, scopes, "dropout") or next(filter(NOISE.fullmatch, scopes), "")
    return ""


def _is_over_rows(node: tf.compat.v1.NodeDef, constants: Mapping[str, Any]) -> bool:
    axes = constants.get(node.input[1].partition(":")[0])
    return axes is not None and 0 in np.atleast_1d(tf.make_ndarray(axes))


def _before(scope: re.Pattern[str], scopes: Sequence[str], alone: str) -> str:
    """Return the scope around another; `alone` where there is none, and "" without that other."""
    place = next((at for at, one in enumerate(scopes) if scope.fullmatch(one)), None)
    return "" if place is None else scopes[place - 1] if place else alone
