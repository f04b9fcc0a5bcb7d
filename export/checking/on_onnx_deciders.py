"""The values that decide an index among the outputs of an ONNX file: those its ArgMax, ArgMin or TopK chooses from, or
the two that it compares, such as a score and its threshold, whose answer is an index of one of them.

The search walks back from the output through nodes that leave the numbers and their order as they are. The values
chosen from are computed in float64, and in fp32 for their tolerance, both by onnx's reference evaluator.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from onnx import ModelProto, NodeProto, helper

from assay.export.reference.on_onnx_double import evaluate, to_double, widened
from assay.files.named_arrays import save_named
from assay.numerics.agreement import tolerance_of_errors
from assay.numerics.ties import TOLERANCE, VALUES, Decider
from assay.numerics.values import is_whole

Array = NDArray[np.generic]
Float64 = NDArray[np.float64]

KEEP_NUMBERS = {"Identity", "Cast", "Reshape", "Squeeze", "Unsqueeze", "Flatten", "Not"}
"""Operators through which one of two, or of many, stays what it is: another one."""
CHOOSERS = {"ArgMax": (0, 0), "ArgMin": (0, 0), "TopK": (1, -1)}
"""The output of each operator that is the index, and the dimension used where the node names none."""
COMPARES = {"Greater", "GreaterOrEqual", "Less", "LessOrEqual"}


def chooser_of(model: ModelProto, output: str) -> NodeProto | None:
    """Return the node that an output of indices comes from; None where it comes from no choice that can be followed."""
    maker = {name: node for node in model.graph.node for name in node.output}
    name = output
    while (node := maker.get(name)) is not None and node.op_type in KEEP_NUMBERS:
        name = node.input[0]
    if node is None or node.op_type in COMPARES:
        return node
    return node if node.op_type in CHOOSERS and node.output[CHOOSERS[node.op_type][0]] == name else None


def deciders_of(model: ModelProto, feeds: Mapping[str, Array], *, rows: bool, name: str) -> dict[str, Decider]:
    """Return the values that decide each output that is an index, by name; only those that can be followed.

    Args:
        rows: whether the first dimension of every output counts records; else the call is one record.

    Raises:
        InputError: onnx's reference evaluator cannot run the model.
    """
    choosers = dict(_choosers(model))
    if not choosers:
        return {}
    decided_by = {name for node in choosers.values() for name in _deciding(node)}
    exact = evaluate(to_double(model), {key: widened(array) for key, array in feeds.items()}, name, decided_by)
    single = evaluate(model, feeds, name, decided_by)
    found = {}
    for output, node in choosers.items():
        values, rounded = _chosen_from(node, exact), _chosen_from(node, single)
        if values is None or rounded is None:
            continue
        axis = values.ndim - 1 if node.op_type in COMPARES else _axis(node) % values.ndim
        if rows and axis == 0:  # the choice is among records
            continue
        error = float(np.abs(values - rounded).max(initial=0.0))
        tolerance = tolerance_of_errors(float(np.abs(values).max(initial=0.0)), {"it": error}, len(values))
        if not tolerance.problem:
            found[output] = Decider(_by_choice(values, axis, rows=rows), tolerance.value)
    return found


def _choosers(model: ModelProto) -> Iterator[tuple[str, NodeProto]]:
    for output in model.graph.output:
        node = chooser_of(model, output.name)
        if node is not None:
            yield output.name, node


def _deciding(node: NodeProto) -> list[str]:
    """Return the names of the values that a node chooses from."""
    return list(node.input) if node.op_type in COMPARES else list(node.input[:1])


def _chosen_from(node: NodeProto, found: Mapping[str, Array]) -> Float64 | None:
    """Return the array that a node chooses from, None where it is not of finite floating-point numbers. Where two are
    compared, the first has index 1, which then stands for "yes".
    """
    values = [found[name] for name in _deciding(node) if name in found and not is_whole(found[name].dtype)]
    if len(values) < len(_deciding(node)) or not all(np.isfinite(one).all() for one in values):
        return None
    wide = [one.astype(np.float64) for one in reversed(values)]
    return np.stack(np.broadcast_arrays(*wide), axis=-1) if node.op_type in COMPARES else wide[0]


def _axis(node: NodeProto) -> int:
    given = (int(helper.get_attribute_value(one)) for one in node.attribute if one.name == "axis")
    return next(given, CHOOSERS[node.op_type][1])


def _by_choice(values: Float64, axis: int, *, rows: bool) -> Float64:
    """Arrange values as `Decider` has them, (records, outer, choices, inner)."""
    first = 1 if rows else 0
    records = values.shape[0] if rows else 1
    shape = values.shape
    return values.reshape(records, math.prod(shape[first:axis]), shape[axis], math.prod(shape[axis + 1 :]))


def joined(deciders: Sequence[Decider]) -> Decider:
    """Join the deciders of several calls, one after the other."""
    return Decider(np.concatenate([one.values for one in deciders]), max(one.tolerance for one in deciders))


def save_deciders(deciders: Mapping[str, Decider], path: Path) -> None:
    """Write deciders for `assay.numerics.ties.read_deciders`."""
    arrays: dict[str, Array] = {}
    for output, one in deciders.items():
        arrays |= {VALUES + output: one.values, TOLERANCE + output: np.array(one.tolerance)}
    save_named(path, arrays)
