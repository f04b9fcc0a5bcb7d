"""The node of a wrong file that is the cause, found by replacing its results with right values.

A node whose inputs are all among the values of a right computation, and whose result is not, is where the two part. It
need not be the cause: an exporter may write one operator of the source as several, of which a later one is wrong. So
the values of the source that the file lacks replace the results from there on, one after the other, and
the nodes that follow are computed again. The first node whose result can be mended in this way is named, with the nodes
between, any of which may be the cause. Where mending an *input* of the first node succeeds, the file lacks a step of
the source; where the node's own input succeeds in place of its result, the node is superfluous.
"""

from __future__ import annotations

import itertools
import math
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace

import numpy as np
from onnx import ModelProto, NodeProto, helper

from assay.export.localise.known_values import KnownValues, differs, distance, in_order, same_numbers
from assay.export.localise.on_onnx_localize import Parting, Trace, attributes_of, known_of, partings
from assay.export.localise.source import Array, ExactComputation
from assay.export.reference.on_onnx_evaluator import evaluator_of
from assay.numerics.values import is_whole

OTHER_ORDER = "the same numbers in another order"
MOST_FOLLOWING = 16
"""The most nodes after a mended value that are computed again."""
MOST_TRIED = 16
"""The most values tried in place of one result."""
MOST_TURNED = 5
"""The most dimensions of a value that is tried with its dimensions in every order."""
MOST_NODES = 40
"""The most nodes, from the parting on, whose results are mended."""
MOST_SECONDS = 90.0
"""The time limit for one parting; after it the parting stays where it is."""
RIGHT, SOME, NOTHING = 2, 1, 0
"""Effects of a mended value: every wrong output that follows is right; some value after it is known again; neither."""


@dataclass(frozen=True)
class _Candidate:
    """A wrong file together with the right computation."""

    source: ExactComputation
    wrong: Trace
    expected: Mapping[str, Array]
    numbers: KnownValues
    known: Mapping[str, str]
    until: float = math.inf

    def lacking(self, like: Array) -> list[str]:
        """Return values of the source with as many numbers as a value, which are nowhere in the file."""
        found = set(self.known.values())
        return [
            name
            for name in self.numbers.names_of_size(like.size)
            if name not in found and is_whole(self.source.values[name].dtype) == is_whole(like.dtype)
        ][:MOST_TRIED]


def causes(source: ExactComputation, wrong: Trace, expected: Mapping[str, Array]) -> list[Parting]:
    """Return the result of `on_onnx_localize.partings`, with each moved to the node that is the cause, as far as that
    can be found.
    """
    found = partings(source, wrong, expected)
    if not found or wrong.stopped is not None:
        return found
    numbers = KnownValues(source)
    outputs = {value.name: expected[value.name] for value in wrong.model.graph.output}
    apart = {name for name, right in outputs.items() if differs(right, wrong.values[name])}
    known = {name: other for name, other in known_of(numbers, wrong).items() if name not in apart}
    one = _Candidate(source, wrong, outputs, numbers, known)
    return [_explained(one, parting) for parting in found]


def _explained(one: _Candidate, parting: Parting) -> Parting:
    one = replace(one, until=time.monotonic() + MOST_SECONDS)
    for tried in (_out_of_order, _lacking_before, _one_too_many, _mended):
        if (mended := tried(one, parting)) is not None:
            return mended
    tried_all = time.monotonic() < one.until
    return replace(
        parting, localisation=parting.localisation.model_copy(update={"proven": False if tried_all else None})
    )


def _out_of_order(one: _Candidate, parting: Parting) -> Parting | None:
    """Return the node that made an input, if its numbers in another order turn the parting's result into a value of the
    source.
    """
    node = parting.node
    maker = {name: other for other in one.wrong.nodes for name in other.output}
    trial = _Trial(one, [node])
    for name in parting.localisation.inputs:
        if name not in one.known or name not in maker:
            continue
        theirs, mine = one.source.values[one.known[name]], one.wrong.values[name]
        for value in _arranged(theirs, mine):
            result = trial.outputs({name: value}).get(node.output[0])
            if result is not None and differs(value, mine) and _result_of(one, result, value, one.known[name]):
                found = _moved(one, parting, maker[name], [], (one.known[name], value))
                told = found.localisation.model_copy(update={"reference_nodes": [OTHER_ORDER]})
                return replace(found, localisation=told)
    return None


def _lacking_before(one: _Candidate, parting: Parting) -> Parting | None:
    """Return the parting, if another value of the source in place of an input turns its result into a value of the
    source.
    """
    node = parting.node
    for name in parting.localisation.inputs:
        if name not in one.known:
            continue
        trial = _Trial(one, [node, *_takers(one.wrong, node.output[0])])
        for other, value in _right_values(one, [name], one.wrong.values[name]):
            found = trial.outputs({name: value})
            result = found.get(node.output[0])
            theirs = None if result is None else _result_of(one, result, value, other)
            path = _steps_between(one, one.known[name], other) if theirs else []
            if theirs and path and _carries_on(one, found, node.output[0]):
                told = parting.localisation.model_copy(
                    update={
                        "missing": [one.source.steps[place].told for place in path],
                        "among": _makers(one, name),
                        "proven": True,
                        "layer": one.source.steps[path[0]].layer,
                    }
                )
                return Parting(node, told, one.source.values[theirs])
    return None


def _makers(one: _Candidate, value: str) -> list[str]:
    return [node.name or node.output[0] for node in one.wrong.nodes if value in node.output]


def _result_of(one: _Candidate, result: Array, fed: Array, fed_name: str) -> str | None:
    """Return the value of the source that equals a mended result, if it was computed there from the value put in; None
    if it is only that value rearranged.
    """
    if result.size == fed.size and same_numbers(in_order(fed), in_order(result)):
        return None
    name = one.numbers.find(result, but={fed_name})
    return name if name is not None and _steps_between(one, fed_name, name) else None


def _carries_on(one: _Candidate, found: Mapping[str, Array], name: str) -> bool:
    """Return whether the nodes that take a mended result also give values of the source, or the result is a right
    output itself.
    """
    if name in one.expected:
        return not differs(one.expected[name], found[name])
    takers = [node.output[0] for node in _takers(one.wrong, name)]
    return bool(takers) and all(key in found and one.numbers.find(found[key]) for key in takers)


def _takers(wrong: Trace, name: str) -> list[NodeProto]:
    return [node for node in wrong.nodes if name in node.input]


def _steps_between(one: _Candidate, first: str, last: str) -> list[int]:
    """Return the steps by which the source makes one value from another, by the shortest way; none where it does not.

    The way may begin with any value that has the same numbers as the first.
    """
    source, seen = one.source, one.numbers.all_like(first)
    ways: list[tuple[str, list[int]]] = [(name, []) for name in seen]
    while ways:
        name, way = ways.pop(0)
        for place in source.taking({name}):
            for output in source.steps[place].outputs:
                if output == last:
                    return [*way, place]
                if output not in seen:
                    seen.add(output)
                    ways.append((output, [*way, place]))
    return []


def _one_too_many(one: _Candidate, parting: Parting) -> Parting | None:
    """Return the parting, if the numbers that follow are right without the node."""
    node, found = parting.node, parting.localisation
    result = one.wrong.values[node.output[0]]
    trial = _Trial(one, _following(one.wrong, node.output[0]))
    for name in found.inputs:
        for value in _arranged(one.wrong.values[name], result):
            if name in one.known and trial.effect(node.output[0], value, one.known[name]) == RIGHT:
                told = found.model_copy(update={"superfluous": True, "proven": True, "reference_nodes": []})
                return Parting(node, told, value)
    return None


def _mended(one: _Candidate, parting: Parting) -> Parting | None:
    """Return the first node from the parting on whose result can be mended."""
    between: list[NodeProto] = []
    for node in _unknown_from(one, parting.node):
        result = one.wrong.values.get(node.output[0])
        if result is None:
            return None
        trial = _Trial(one, _following(one.wrong, node.output[0]))
        best: tuple[int, str, Array] | None = None
        for other, value in _right_values(one, node.input, result):
            effect = trial.effect(node.output[0], value, other)
            if effect > (best[0] if best else NOTHING):
                best = (effect, other, value)
            if effect == RIGHT:
                break
        if best:
            return _moved(one, parting, node, between, best[1:])
        between.append(node)
    return None


def _right_values(one: _Candidate, inputs: Iterable[str], result: Array) -> Iterator[tuple[str, Array]]:
    """Iterate over values that may belong in place of a result, with their names: of the same size, or made from
    these inputs.
    """
    for other in one.lacking(result):
        for value in _arranged(one.source.values[other], result):
            yield other, value
    taken = [one.numbers.all_like(one.known[name]) for name in inputs if name in one.known]
    for place in one.source.taking(set().union(*taken)):
        for other in one.source.steps[place].outputs:
            value = one.source.values[other]
            if value.size != result.size and is_whole(value.dtype) == is_whole(result.dtype):
                for turned in _turned(value, result):
                    yield other, turned


def _turned(value: Array, like: Array) -> Iterator[Array]:
    """Iterate over a value of another size with its dimensions in those orders in which most lengths match
    another's.
    """
    if value.ndim != like.ndim or value.ndim > MOST_TURNED:
        return
    orders = list(itertools.permutations(range(value.ndim)))
    alike = [sum(value.shape[place] == size for place, size in zip(order, like.shape, strict=True)) for order in orders]
    for order, count in zip(orders, alike, strict=True):
        if count and count == max(alike):
            yield np.ascontiguousarray(value.transpose(order)).astype(like.dtype)


def _moved(
    one: _Candidate, parting: Parting, node: NodeProto, between: list[NodeProto], by: tuple[str, Array]
) -> Parting:
    name, value = by
    step = next((step for step in one.source.steps if name in step.outputs), None)
    mine = one.wrong.values[node.output[0]]
    told = parting.localisation.model_copy(
        update={
            "node": node.name or node.output[0],
            "operator": node.op_type,
            "attributes": attributes_of(node),
            "inputs": [name for name in node.input if name and name not in one.wrong.constants],
            "output": node.output[0],
            "error_after": distance(in_order(mine), in_order(value)) if mine.size == value.size else None,
            "reference_nodes": [step.text] if step else [],
            "layer": step.layer if step else "",
            "among": [one.name or one.output[0] for one in between],
            "proven": True,
        }
    )
    return Parting(node, told, value)


def _unknown_from(one: _Candidate, first: NodeProto) -> Iterator[NodeProto]:
    """Iterate over a node, and those after it whose results are nowhere in the source, in the order in which they
    run.
    """
    reached = set(first.output)
    yield first
    count = 1
    for node in one.wrong.nodes:
        if node.output[0] not in reached and reached & set(node.input) and node.output[0] not in one.known:
            reached |= set(node.output)
            count += 1
            if count > MOST_NODES:
                return
            yield node


def _following(wrong: Trace, name: str) -> list[NodeProto]:
    reached, found = {name}, list[NodeProto]()
    for node in wrong.nodes:
        if reached & set(node.input) and len(found) < MOST_FOLLOWING:
            reached |= set(node.output)
            found.append(node)
    return found


class _Trial:
    """Some nodes of a file, to be computed again with other inputs."""

    def __init__(self, one: _Candidate, nodes: list[NodeProto]) -> None:
        self._one, self._nodes = one, nodes
        self._made = {name for node in nodes for name in node.output if name}
        taken = {name for node in nodes for name in node.input if name}
        self._feeds = {name: one.wrong.values[name] for name in taken - self._made if name in one.wrong.values}
        self._evaluator = evaluator_of(_model_of(one.wrong.model, nodes, taken)) if nodes else None

    def outputs(self, mended: Mapping[str, Array]) -> dict[str, Array]:
        """Return the outputs of the nodes; nothing where they do not run."""
        if self._evaluator is None or time.monotonic() > self._one.until:
            return {}
        feeds = self._feeds | {name: value for name, value in mended.items() if name not in self._made}
        try:
            found = self._evaluator.run(None, feeds, intermediate=True)
        except Exception:  # noqa: BLE001  the evaluator and numpy raise anything, and each exception means no
            return {}
        return {name: np.asarray(value) for name, value in found.items() if name in self._made}

    def effect(self, name: str, value: Array, other: str) -> int:
        """Return the effect of `other`, a value of the source, in place of a result of the file."""
        one = self._one
        found = {**self.outputs({name: value}), name: value}
        wrong = [key for key in one.expected if key in found and key not in one.known]
        if wrong and not any(differs(one.expected[key], found[key]) for key in wrong):
            return RIGHT
        for key, result in found.items():
            if key != name and key not in one.known and _result_of(one, result, value, other):
                return SOME
        return NOTHING


def _model_of(model: ModelProto, nodes: list[NodeProto], taken: set[str]) -> ModelProto:
    """Return a model of these nodes alone, with the constants that they take."""
    graph = helper.make_graph(
        nodes,
        "part",
        [],
        [helper.make_empty_tensor_value_info(name) for name in nodes[-1].output if name],
        [tensor for tensor in model.graph.initializer if tensor.name in taken],
    )
    found = helper.make_model(graph, opset_imports=model.opset_import, functions=model.functions)
    found.ir_version = model.ir_version
    return found


def _arranged(value: Array, like: Array) -> Iterator[Array]:
    """Iterate over a value with its dimensions in every order that gives the shape of another, or else reshaped to
    it.
    """
    if value.size != like.size:
        return
    if value.dtype != like.dtype:
        value = value.astype(like.dtype)
    there = False
    if value.ndim == like.ndim <= MOST_TURNED:
        for order in itertools.permutations(range(value.ndim)):
            if tuple(value.shape[place] for place in order) == like.shape:
                there = True
                yield np.ascontiguousarray(value.transpose(order))
    if not there:
        yield value.reshape(like.shape)
