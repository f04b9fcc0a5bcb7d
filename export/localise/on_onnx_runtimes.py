"""The operator at which a runtime goes wrong, on a right file that another runtime is shown to run correctly.

Both runtimes are asked for the values inside the graph, as further outputs, and both are compared with float64. A value
*departs* when it is further away than the tolerance derived from the right runtime's own error there, by the rule of
`assay.numerics.agreement`. The operator is that of the first node whose output departs and whose inputs do not.

A runtime may fuse several nodes, and stop doing so when it is asked for the values between them. So where the defect
vanishes when it is asked for every value, or it refuses to give them all, it is asked for one at a time; a value that
it does not give, or that makes the defect vanish, tells nothing, and its node is counted with the one that follows.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
from onnx import ModelProto, NodeProto, helper

from assay.errors import InputError
from assay.export.graph.inspect import read_model
from assay.export.localise.on_onnx_localize import Trace, attributes_of, trace, typed
from assay.export.localise.on_onnx_runners import called, run_in
from assay.export.localise.source import Array
from assay.export.reference.on_onnx_double import widened
from assay.numerics.agreement import CEILING, tolerance_of_errors
from assay.numerics.values import differences, is_whole, settled
from assay.records.localisation import Localisation

MOST_ASKED_ALONE = 200
"""The most single queries: each costs loading the file once more."""


@dataclass(frozen=True)
class RuntimeOnFile:
    """A runtime, by its name in `assay.export.localise.on_onnx_runners`, and the file that it runs."""

    runtime: str
    file: Path


@dataclass(frozen=True)
class DeparturesSeen:
    """The distances of one runtime's values from float64, by name; a missing value was not seen.

    Attributes:
        departed: names of the values that are further away than tolerated.
    """

    errors: dict[str, float]
    departed: frozenset[str]


def departures(
    wrong: RuntimeOnFile, right: RuntimeOnFile, feeds: Mapping[str, Array], folder: Path
) -> list[Localisation]:
    """Return the nodes at which a wrong runtime first departs; none where it does not on these inputs, or cannot be
    followed.

    Args:
        right: a right runtime, whose file is computed in float64; the wrong runtime runs the same file, or one made
            from it.
        feeds: inputs by name.
        folder: folder for the files with further outputs.
    """
    exact = trace(right.file, {name: widened(array) for name, array in feeds.items()})
    if exact.stopped is not None:
        return []
    names = _values_to_ask_for(exact)
    outputs = [value.name for value in exact.model.graph.output]
    asking = _RuntimesAsked(exact, feeds, folder)
    try:
        correct = asking.errors(right, [*names, *outputs])
        limits = _limits(exact, correct, right.runtime)
        seen = _watch(asking, wrong, names, outputs, limits)
    except InputError:  # one of them does not run the file, or does not give the values inside it
        return []
    found = []
    for node in exact.nodes:
        before = _before(exact, node, seen)
        if seen.departed & set(node.output) and not seen.departed & before.values:
            found.append(_localisation(exact, node, seen, correct, before, (wrong.runtime, right.runtime)))
    return found


def first_apart(runtime: str, file: Path, feeds: Mapping[str, Array]) -> str:
    """Say where a runtime and onnx's reference evaluator part, " at node 'norm', LRN(size=5)"; "" if that is not seen.

    The place is the first node whose result is further from float64 than half a step of TF32, on the scale of the
    result.
    """
    exact = trace(file, {name: widened(array) for name, array in feeds.items()})
    outputs = [value.name for value in exact.model.graph.output]
    try:
        seen = _RuntimesAsked(exact, feeds, file.parent).errors(
            RuntimeOnFile(runtime, file), [*_values_to_ask_for(exact), *outputs]
        )
    except InputError:
        return ""
    for node in exact.nodes:
        for name in node.output:
            limit = 0.0 if name in exact.values and is_whole(exact.values[name].dtype) else CEILING
            if name in seen and seen[name] / _scale(exact, name) > limit:
                attributes = ", ".join(f"{key}={value}" for key, value in attributes_of(node).items())
                return f" at node '{_name(node)}', {node.op_type}({attributes})"
    return ""


def _watch(
    asking: _RuntimesAsked, wrong: RuntimeOnFile, names: list[str], outputs: list[str], limits: Mapping[str, float]
) -> DeparturesSeen:
    """Return the errors of a wrong runtime's inner values, from the fewest runs that still show that it is wrong."""
    plain = _seen(asking.errors(wrong, outputs), limits)
    if not plain.departed:
        return plain
    try:
        together = _seen(asking.errors(wrong, [*names, *outputs]), limits)
    except InputError:
        together = plain
    if len(together.errors) > len(plain.errors) and together.departed & plain.departed:
        return together
    errors = dict(plain.errors)
    for name in names[:MOST_ASKED_ALONE]:
        try:
            alone = _seen(asking.errors(wrong, [name, *outputs]), limits)
        except InputError:
            continue
        if name in alone.errors and alone.departed & plain.departed:
            errors[name] = alone.errors[name]
    return _seen(errors, limits)


def _seen(errors: Mapping[str, float], limits: Mapping[str, float]) -> DeparturesSeen:
    known = {name: error for name, error in errors.items() if name in limits}
    return DeparturesSeen(known, frozenset(name for name, error in known.items() if not error <= limits[name]))


@dataclass(frozen=True)
class _RuntimesAsked:
    """Asks runtimes for values inside a graph."""

    exact: Trace
    feeds: Mapping[str, Array]
    folder: Path

    def errors(self, run: RuntimeOnFile, names: list[str]) -> dict[str, float]:
        """Return the largest |value - float64| of these values, infinite where they cannot be compared.

        Raises:
            InputError: the runtime does not run the file with these outputs.
        """
        path = self.folder / "asked.onnx"
        values = {name: self.exact.values[name] for name in names}
        onnx.save(_with_outputs(read_model(run.file), values), path)
        found = run_in(run.runtime, path, self.feeds)
        return {name: _largest_difference(found[name], self.exact.values[name]) for name in names if name in found}


@dataclass(frozen=True)
class _Before:
    """The origin of a node's result: the nearest values that were seen, and the nodes between."""

    values: frozenset[str]
    nodes: tuple[str, ...]


def _before(exact: Trace, node: NodeProto, seen: DeparturesSeen) -> _Before:
    maker = {name: one for one in exact.nodes for name in one.output}
    waiting: list[str] = list(node.input)
    values: set[str] = set()
    between: set[str] = set()
    while waiting:
        name = waiting.pop()
        if name in seen.errors or name not in maker or name in exact.constants or not _is_comparable(exact, name):
            values.add(name)
        elif maker[name].output[0] not in between:
            between.add(maker[name].output[0])
            waiting += maker[name].input
    names = tuple(_name(one) for one in exact.nodes if one.output[0] in between)
    return _Before(frozenset(values), names)


def _localisation(
    exact: Trace,
    node: NodeProto,
    seen: DeparturesSeen,
    correct: Mapping[str, float],
    before: _Before,
    runtimes: tuple[str, str],
) -> Localisation:
    output = next(name for name in node.output if name in seen.departed)
    wrong, right = (called(runtime) for runtime in runtimes)
    errors = [seen.errors[name] / _scale(exact, name) for name in before.values if name in seen.errors]
    after = seen.errors[output] / _scale(exact, output)
    return Localisation(
        node=_name(node),
        operator=node.op_type,
        attributes=attributes_of(node),
        inputs=[name for name in node.input if name and name not in exact.constants],
        output=output,
        error_before=max(errors, default=0.0),
        error_after=after if np.isfinite(after) else None,
        runs=True,
        runtime=wrong,
        right_runtime=right,
        right_error=correct[output] / _scale(exact, output),
        together=list(before.nodes),
    )


def _values_to_ask_for(exact: Trace) -> list[str]:
    """Return all values inside a graph that depend on its input and can be compared, in the order of the nodes."""
    outputs = {value.name for value in exact.model.graph.output}
    made = (name for node in exact.nodes for name in node.output)
    return [name for name in made if name not in outputs | exact.constants and _is_comparable(exact, name)]


def _is_comparable(exact: Trace, name: str) -> bool:
    value = exact.values.get(name)
    return value is not None and value.size > 0 and (value.dtype == np.float64 or is_whole(value.dtype))


def _limits(exact: Trace, correct: Mapping[str, float], right: str) -> dict[str, float]:
    """Return the largest tolerated error of each value: 0 for whole numbers. Values that the right runtime itself does
    not compute in fp32, or whose whole numbers it has differently, have no limit.
    """
    found = {}
    for name, error in correct.items():
        if is_whole(exact.values[name].dtype):
            if not error:
                found[name] = 0.0
            continue
        scale, rows = _scale(exact, name), len(np.atleast_1d(exact.values[name]))
        tolerance = tolerance_of_errors(scale, {right: error}, rows)
        if not tolerance.problem:
            found[name] = tolerance.value
    return found


def _scale(exact: Trace, name: str) -> float:
    value = exact.values[name].astype(np.float64)
    return float(np.abs(value[np.isfinite(value)]).max(initial=0.0)) or 1.0


def _with_outputs(model: ModelProto, values: Mapping[str, Array]) -> ModelProto:
    """Return a copy that also outputs these values, typed as the file itself declares them; where it does not, whole
    numbers keep their type in float64, and others are fp32.
    """
    found = ModelProto()
    found.CopyFrom(model)
    there = {value.name for value in found.graph.output}
    types = {value.name: value.type.tensor_type.elem_type for value in found.graph.value_info}
    for name, value in values.items():
        if name not in there:
            kind = types.get(name)
            found.graph.output.append(helper.make_tensor_value_info(name, kind, None) if kind else typed(name, value))
    return found


def _largest_difference(found: Array, exact: Array) -> float:
    if found.shape != exact.shape:
        return float("inf")
    if is_whole(exact.dtype):
        return differences(exact, found).largest
    both = settled(exact, found)
    return float("inf") if both.problem else both.apart


def _name(node: NodeProto) -> str:
    return str(node.name or node.output[0])
