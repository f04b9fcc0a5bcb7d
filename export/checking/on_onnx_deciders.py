"""The values that decide the outputs of an ONNX file that are no continuous function of its inputs.

Where an output is the index that an ArgMax, ArgMin or TopK gives, or the answer of a comparison, such as a score and
its threshold, these are the values chosen from: see `assay.numerics.ties.choices.Decider`. Any other one that scores
decide is followed from them, see `on_onnx_alternatives`, and so are floating-point outputs that only take numbers that
scores decide; entries that scores select are followed by `on_onnx_selected`. Where whole numbers or entries cannot be
followed, the operator is named that following them ends at. Scores are computed in float64, and in fp32 for their
tolerance, both by onnx's reference evaluator.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray
from onnx import ModelProto, NodeProto, helper, inliner, shape_inference

from assay.export.checking.on_onnx_alternatives import (
    CHOOSERS,
    COMPARES,
    SIZES,
    WHOLE,
    Follower,
    attribute_of,
    axis_of,
    computed_in,
    followed,
    names_read,
    only_decided,
    read_by,
    tolerance_of_scores,
)
from assay.export.checking.on_onnx_selected import SELECTORS, Selections
from assay.export.reference.on_onnx_double import evaluate, to_double, widened
from assay.numerics.ties.choices import Alternatives, Decider
from assay.numerics.ties.deciding import Deciding, Undefined, Unfollowed
from assay.numerics.ties.lists import Entries
from assay.numerics.ties.selected import Selected
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
    """Return whether scores may decide all numbers of an output, and can be followed."""
    kinds = {one.name: one.type.tensor_type.elem_type for one in model.graph.output}
    if chooser_of(model, output) is not None:
        return True
    return bool(followed(model, output)) and (kinds[output] in WHOLE or only_decided(model, output))


def _scored_in(model: ModelProto) -> set[str]:
    """Return the outputs of whole numbers that depend on floating-point ones."""
    whole = {one.name for one in model.graph.output if one.type.tensor_type.elem_type in WHOLE}
    if not whole:
        return whole
    try:
        known = shape_inference.infer_shapes(model).graph
    except Exception:  # noqa: BLE001  it refuses files that run, such as those of more than 2 GB
        return whole
    exact = {one.name for one in (*known.input, *known.value_info) if one.type.tensor_type.elem_type in WHOLE}
    computed = computed_in(model)
    scored = computed - exact - {one.name for one in known.output}
    for node in model.graph.node:
        if node.op_type not in SIZES and scored.intersection(read_by(node)):
            scored.update(node.output)
    return whole & scored


def deciders_of(model: ModelProto, feeds: Mapping[str, Array], *, rows: bool, name: str) -> dict[str, Deciding]:
    """Return what decides the outputs that scores decide, by name; `Unfollowed` for whole numbers that cannot be
    followed.

    Args:
        rows: whether the first dimension of every output counts records; else the call is one record.

    Raises:
        InputError: onnx's reference evaluator cannot run the model.
    """
    model = inliner.inline_local_functions(model) if model.functions else model
    found: dict[str, Deciding] = {one: Unfollowed(_maker_of(model, one)) for one in _scored_in(model)}
    selects = not rows and any(node.op_type in SELECTORS for node in model.graph.node)
    if not selects and not any(is_decided(model, one.name) for one in model.graph.output):
        return found
    model = _with_fixed_branches(model, feeds, name)
    double = to_double(model)
    selections = Selections(model, double) if selects else None
    choosers = dict(_choosers(model))
    further = {one.name: followed(double, one.name) for one in model.graph.output if is_decided(model, one.name)}
    wanted = names_read([*choosers.values(), *(node for nodes in further.values() for node in nodes)])
    wanted |= set(further) | (selections.wanted if selections else set())
    exact = evaluate(double, {key: widened(array) for key, array in feeds.items()}, name, wanted)
    single = evaluate(model, feeds, name, wanted)
    for output, nodes in further.items():
        own = exact.get(output)
        if own is None or (rows and not own.ndim) or not own.size:
            continue
        numbers, whole = own.reshape(len(own) if rows else 1, -1), is_whole(own.dtype)
        decider = _decider(choosers[output], exact, single, rows=rows) if whole and output in choosers else None
        follower = Follower(double, nodes, exact, single, rows=rows)
        if output in found and (beyond := next(casts_beyond(nodes, exact), None)):
            found[output] = Undefined(_cast_in_words(beyond))
        elif decider is not None and decider.decides(numbers):
            found[output] = decider
        elif entries := None if rows else _entries(follower, output):
            found[output] = entries
        elif alternatives := _alternatives(follower, output, len(numbers)):
            found[output] = alternatives
        elif output in found:
            found[output] = Unfollowed(follower.ends_at(output))
    return _with_entries(found, selections.candidates(exact, single, name)) if selections else found


def _with_entries(found: Mapping[str, Deciding], selected: Mapping[str, Deciding]) -> dict[str, Deciding]:
    """Return what decides outputs, with the entries that scores select for them; a list of places is known better."""
    known = {
        output: one
        for output, one in selected.items()
        if output not in found or (isinstance(one, Selected) and not isinstance(found[output], Entries))
    }
    return {**found, **known}


def casts_beyond(nodes: Iterable[NodeProto], exact: Mapping[str, Array]) -> Iterator[NodeProto]:
    """Iterate over the casts to whole numbers of numbers that their type does not hold, for which ONNX defines no
    result.

    Args:
        exact: values by name; a cast whose input is not among them is passed over.
    """
    for node in nodes:
        value = exact.get(node.input[0]) if node.op_type == "Cast" else None
        kind = None if value is None or is_whole(value.dtype) else _cast_to(node)
        if value is None or kind is None or not is_whole(kind) or kind == np.bool_:
            continue
        limits, whole = np.iinfo(kind), np.trunc(value.astype(np.float64))
        if not ((whole >= float(limits.min)) & (whole < float(limits.max) + 1)).all():
            yield node


def _cast_to(node: NodeProto) -> np.dtype[Any]:
    kind: np.dtype[Any] = helper.tensor_dtype_to_np_dtype(attribute_of(node, "to", 0))
    return kind


def _cast_in_words(node: NodeProto) -> str:
    return f"Cast to {_cast_to(node)} of numbers beyond it"


def undefined_outputs(model: ModelProto, feeds: Mapping[str, Array], name: str) -> set[str]:
    """Return the outputs that depend on a cast for which ONNX defines no result.

    Args:
        model: the file with float64 throughout.
        feeds: the inputs of a call.

    Raises:
        InputError: onnx's reference evaluator cannot run it.
    """
    computed = computed_in(model)
    casts = [node for node in model.graph.node if node.op_type == "Cast" and node.input[0] in computed]
    if not casts:
        return set()
    exact = evaluate(model, feeds, name, {node.input[0] for node in casts})
    beyond = {node.output[0] for node in casts_beyond(casts, exact)}
    for node in model.graph.node:
        if beyond.intersection(read_by(node)):
            beyond.update(node.output)
    return beyond & {one.name for one in model.graph.output}


def _with_fixed_branches(model: ModelProto, feeds: Mapping[str, Array], name: str) -> ModelProto:
    """Return the model itself, or a copy in which each If whose condition depends on no input, but for its size, is the
    branch that it takes.
    """
    fixed = {node.input[0] for node in model.graph.node if node.op_type == "If"} - computed_in(model)
    if not fixed:
        return model
    holds = {key: bool(value.all()) for key, value in evaluate(model, feeds, name, fixed).items()}
    found = ModelProto()
    found.CopyFrom(model)
    del found.graph.node[:]
    for node in model.graph.node:
        if node.op_type != "If" or node.input[0] not in holds:
            found.graph.node.append(node)
            continue
        taken = "then_branch" if holds[node.input[0]] else "else_branch"
        branch = next(one.g for one in node.attribute if one.name == taken)
        found.graph.node.extend(branch.node)
        found.graph.initializer.extend(branch.initializer)
        ends = zip(branch.output, node.output, strict=True)
        found.graph.node.extend(helper.make_node("Identity", [inner.name], [outer]) for inner, outer in ends)
    return found


def _maker_of(model: ModelProto, name: str) -> str:
    return next((str(node.op_type) for node in model.graph.node if name in node.output), "an input")


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


def _entries(follower: Follower, output: str) -> Entries | None:
    """Return the places that an output may list; None where it is not the result of NonZero, in either order."""
    maker = {name: node for node in follower.model.graph.node for name in node.output}
    name, across = output, True
    while (node := maker.get(name)) is not None and node.op_type in {"Identity", "Cast", "Transpose"}:
        name, across = node.input[0], across ^ (node.op_type == "Transpose")
    if node is None or node.op_type != "NonZero":
        return None
    found = [replace(follower, reduced=reduced).alternatives(node.input[0]) for reduced in (False, True)]
    usual, reduced = found[0], found[1] if found[1] is not None else found[0]
    if usual is None or reduced is None or usual.ndim == 1:
        return None
    there = [one for each in (usual != 0, reduced != 0) for one in (each.all(axis=0), each.any(axis=0))]
    return Entries(np.stack(there)[:, None], across)


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
