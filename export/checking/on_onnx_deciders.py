"""The values that decide the whole numbers among the outputs of an ONNX file.

Where an output is the index that an ArgMax, ArgMin or TopK gives, or the answer of a comparison, such as a score and
its threshold, these are the values chosen from: see `assay.numerics.ties.Decider`. Any other one that scores
decide is followed from them, see `on_onnx_alternatives`. Scores are computed in float64, and in fp32 for their
tolerance, both by onnx's reference evaluator.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray
from onnx import ModelProto, NodeProto, inliner

from assay.export.checking.on_onnx_alternatives import (
    CHOOSERS,
    COMPARES,
    WHOLE,
    Follower,
    axis_of,
    followed,
    names_read,
    tolerance_of_scores,
)
from assay.export.reference.on_onnx_double import evaluate, to_double, widened
from assay.files.named_arrays import save_named
from assay.numerics.ties import EXACT, MAY_BE, MAY_BE_REDUCED, TOLERANCE, VALUES, Alternatives, Decider, Deciding
from assay.numerics.values import is_whole

Array = NDArray[np.generic]
Float64 = NDArray[np.float64]
Number = TypeVar("Number", bound=np.generic)

KEEP_NUMBERS = {"Identity", "Cast", "Reshape", "Squeeze", "Unsqueeze", "Flatten", "Not"}
"""Operators through which one of two, or of many, stays what it is: another one."""


def chooser_of(model: ModelProto, output: str) -> NodeProto | None:
    """Return the node that an output of indices comes from; None where it does not come from one choice unchanged."""
    maker = {name: node for node in model.graph.node for name in node.output}
    name = output
    while (node := maker.get(name)) is not None and node.op_type in KEEP_NUMBERS:
        name = node.input[0]
    if node is None or node.op_type in COMPARES:
        return node
    return node if node.op_type in CHOOSERS and node.output[CHOOSERS[node.op_type]] == name else None


def is_decided(model: ModelProto, output: str) -> bool:
    """Return whether an output has whole numbers that scores may decide."""
    kinds = {one.name: one.type.tensor_type.elem_type for one in model.graph.output}
    return chooser_of(model, output) is not None or (kinds[output] in WHOLE and bool(followed(model, output)))


def deciders_of(model: ModelProto, feeds: Mapping[str, Array], *, rows: bool, name: str) -> dict[str, Deciding]:
    """Return what decides each output of whole numbers, by name; only of those that can be followed.

    Args:
        rows: whether the first dimension of every output counts records; else the call is one record.

    Raises:
        InputError: onnx's reference evaluator cannot run the model.
    """
    model = inliner.inline_local_functions(model) if model.functions else model
    if not any(is_decided(model, one.name) for one in model.graph.output):
        return {}
    double = to_double(model)
    choosers = dict(_choosers(model))
    further = {one.name: followed(double, one.name) for one in model.graph.output}
    wanted = names_read([*choosers.values(), *(node for nodes in further.values() for node in nodes)])
    wanted |= {one.name for one in model.graph.output}
    exact = evaluate(double, {key: widened(array) for key, array in feeds.items()}, name, wanted)
    single = evaluate(model, feeds, name, wanted)
    found: dict[str, Deciding] = {}
    for output, nodes in further.items():
        own = exact[output]
        if not is_whole(own.dtype) or (rows and not own.ndim):
            continue
        numbers = own.reshape(len(own) if rows else 1, -1)
        decider = _decider(choosers[output], exact, single, rows=rows) if output in choosers else None
        if decider is not None and decider.decides(numbers):
            found[output] = decider
        elif alternatives := _alternatives(Follower(double, nodes, exact, single, rows=rows), output, len(numbers)):
            found[output] = alternatives
    return found


def _choosers(model: ModelProto) -> Iterator[tuple[str, NodeProto]]:
    for output in model.graph.output:
        node = chooser_of(model, output.name)
        if node is not None:
            yield output.name, node


def _decider(node: NodeProto, exact: Mapping[str, Array], single: Mapping[str, Array], *, rows: bool) -> Decider | None:
    values, rounded = _chosen_from(node, exact), _chosen_from(node, single)
    if values is None or rounded is None:
        return None
    axis = values.ndim - 1 if node.op_type in COMPARES else axis_of(node) % values.ndim
    if rows and axis == 0:  # the choice is among records
        return None
    tolerance = tolerance_of_scores(values, rounded)
    if tolerance is None:
        return None
    unmoved = None
    if node.op_type in COMPARES and not all(single[name].dtype == np.float64 for name in node.input):
        same = (values == rounded).all(axis=axis, keepdims=True)
        unmoved = _by_choice(same, axis, rows=rows) if same.any() else None
    return Decider(_by_choice(values, axis, rows=rows), tolerance, unmoved)


def _alternatives(follower: Follower, output: str, records: int) -> Alternatives | None:
    found = [replace(follower, reduced=reduced).alternatives(output) for reduced in (False, True)]
    usual, reduced = (None if one is None else np.moveaxis(one, 0, -1).reshape(records, -1, len(one)) for one in found)
    return None if usual is None else Alternatives(usual, usual if reduced is None else reduced)


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


def _by_choice(values: NDArray[Number], axis: int, *, rows: bool) -> NDArray[Number]:
    """Arrange values as `Decider` has them, (records, outer, choices, inner)."""
    first = 1 if rows else 0
    records = values.shape[0] if rows else 1
    shape = values.shape
    return values.reshape(records, math.prod(shape[first:axis]), shape[axis], math.prod(shape[axis + 1 :]))


def joined(deciders: Sequence[Deciding]) -> Deciding | None:
    """Join what decides an output in several calls, one after the other; None where it is not of one kind in all."""
    alternatives = [one for one in deciders if isinstance(one, Alternatives)]
    choices = [one for one in deciders if isinstance(one, Decider)]
    if alternatives and choices:
        return None
    if alternatives:
        usual, reduced = ([getattr(one, of) for one in alternatives] for of in ("values", "reduced"))
        return Alternatives(_side_by_side(usual), _side_by_side(reduced))
    values = np.concatenate([one.values for one in choices])
    unmoved = np.concatenate([_unmoved(one) for one in choices])
    return Decider(values, max(one.tolerance for one in choices), unmoved if unmoved.any() else None)


def _unmoved(one: Decider) -> NDArray[np.bool_]:
    return np.zeros_like(one.values[:, :, :1], bool) if one.exact is None else one.exact


def _side_by_side(calls: Sequence[Array]) -> Array:
    """Join (records, numbers, alternatives) along the records; the last one is repeated where there are fewer."""
    most = max(one.shape[2] for one in calls)
    return np.concatenate([np.pad(one, [(0, 0), (0, 0), (0, most - one.shape[2])], mode="edge") for one in calls])


def save_deciders(deciders: Mapping[str, Deciding], path: Path) -> None:
    """Write deciders for `assay.numerics.ties.read_deciders`."""
    arrays: dict[str, Array] = {}
    for output, one in deciders.items():
        if isinstance(one, Alternatives):
            arrays |= {MAY_BE + output: one.values, MAY_BE_REDUCED + output: one.reduced}
            continue
        arrays |= {VALUES + output: one.values, TOLERANCE + output: np.array(one.tolerance)}
        if one.exact is not None:
            arrays[EXACT + output] = one.exact
    save_named(path, arrays)
