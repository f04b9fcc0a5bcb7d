"""The place where a wrong ONNX file goes wrong: the first node whose result is not explained by a right file.

Both files are computed in float64 on the same inputs. A value of the candidate is *known* when some value of the
reference has the same numbers, in any order of dimensions: exporters move dimensions about, fold constants and rename
everything, but the numbers after a layer stay. The search walks back from the wrong output through unknown values; the
node where this ends, whose inputs are all known and whose output is not, is where the two part. A candidate that does
not run at all is followed up to the node that refuses its inputs.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from onnx import ModelProto, NodeProto, TensorProto, ValueInfoProto, helper

from assay.errors import InputError
from assay.export.graph.inspect import read_model
from assay.export.localise.known_values import KnownValues, differs, distance, in_order
from assay.export.localise.source import Array, ComputationStep, ExactComputation
from assay.export.reference.on_onnx_double import evaluate, to_double, widened
from assay.files.named_arrays import read_named
from assay.numerics.values import is_whole
from assay.records.localisation import Localisation

LONGEST_ATTRIBUTE = 80
MOVERS = {"Transpose", "Identity", "Cast", "Reshape"}
KINDS = {"globalaveragepool": "mean", "reducemean": "mean", "batchnormalization": "batchnorm", "gemm": "linear"}
FOLDED = 5
"""The most steps of the source that one node of a file may stand for: convolution, bias, norm, sum, activation."""


@dataclass(frozen=True)
class Trace:
    """A candidate with every value that it computes in float64, by name.

    Attributes:
        stopped: the node that did not run, after which there are no values; None where all ran.
    """

    model: ModelProto
    values: Mapping[str, Array]
    constants: frozenset[str]
    stopped: NodeProto | None = None

    @property
    def nodes(self) -> list[NodeProto]:
        return list(self.model.graph.node)


@dataclass(frozen=True)
class Parting:
    """A node at which a candidate departs from the right computation.

    Attributes:
        expected: the source's value in its place, in its own order of dimensions; None where there is none.
    """

    node: NodeProto
    localisation: Localisation
    expected: Array | None


def localise(reference: Path, candidate: Path, inputs: Path) -> list[Localisation]:
    """Return the nodes of a candidate file at which it departs from a reference file; none where the outputs agree.

    Args:
        inputs: .npz file of the inputs of both, by name.

    Raises:
        ArtifactError: a file cannot be read.
        InputError: onnx's reference evaluator cannot run the reference.
    """
    feeds = read_feeds(inputs)
    source = source_of(reference, feeds)
    return [one.localisation for one in partings(source, trace(candidate, feeds), source.values)]


def read_feeds(inputs: Path) -> dict[str, Array]:
    """Read the arrays of an .npz file, with floating-point ones in float64."""
    return {name: widened(array) for name, array in read_named(inputs).items()}


def source_of(reference: Path, feeds: Mapping[str, Array]) -> ExactComputation:
    """Compute a file that is assumed to be right.

    Raises:
        ArtifactError: it cannot be read.
        InputError: onnx's reference evaluator cannot run it.
    """
    model = to_double(read_model(reference), stores=True)
    constants = _constants(model)
    steps = tuple(
        ComputationStep(
            f"{node.op_type}({_text(attributes_of(node))})",
            tuple(name for name in node.input if name and name not in constants),
            tuple(node.output),
            name=node.name,
        )
        for node in model.graph.node
    )
    return ExactComputation(evaluate(model, feeds, reference.name), constants, steps)


def partings(source: ExactComputation, wrong: Trace, expected: Mapping[str, Array]) -> list[Parting]:
    """Return the nodes at which a candidate departs from the source; none where its outputs are the expected ones.

    Args:
        expected: expected values, by name of the candidate's outputs.
    """
    known = known_of(KnownValues(source), wrong)
    if wrong.stopped is not None:
        outputs = [wrong.stopped.output[0]]
    else:
        names = (value.name for value in wrong.model.graph.output)
        outputs = [name for name in names if differs(expected[name], wrong.values[name])]
    for name in outputs:
        known.pop(name, None)  # the same numbers in another order are not a right output
    found = []
    for node in _unknown_nodes(wrong, known, outputs):
        fed = [name for name in node.input if name and name not in wrong.constants]
        if all(name in known for name in fed):
            found.append(_parting(source, wrong, node, fed, known))
    return found


def known_of(values: KnownValues, wrong: Trace) -> dict[str, str]:
    """Map values of the candidate to the values of the source that have the same numbers."""
    found = {name: values.find(value) for name, value in wrong.values.items() if name not in wrong.constants}
    return {name: other for name, other in found.items() if other is not None}


def trace(path: Path, feeds: Mapping[str, Array]) -> Trace:
    """Compute the values of a model that may not run to its end."""
    model = to_double(read_model(path), stores=True)
    constants = _constants(model)
    try:
        return Trace(model, evaluate(model, feeds, path.name), constants)
    except InputError:
        runs = _nodes_that_run(model, feeds, path.name)
        values = evaluate(_first_nodes(model, runs), feeds, path.name) if runs else dict(feeds)
        return Trace(model, values, constants, model.graph.node[runs])


def _nodes_that_run(model: ModelProto, feeds: Mapping[str, Array], name: str) -> int:
    """Find how many of the first nodes can be computed, by bisection; not all of them can."""
    fewest, most = 0, len(model.graph.node) - 1
    while fewest < most:
        middle = (fewest + most + 1) // 2
        try:
            evaluate(_first_nodes(model, middle), feeds, name)
            fewest = middle
        except InputError:
            most = middle - 1
    return fewest


def _first_nodes(model: ModelProto, count: int) -> ModelProto:
    """Return the model up to a node, whose outputs become the model's."""
    found = ModelProto()
    found.CopyFrom(model)
    del found.graph.node[count:]
    del found.graph.output[:]
    for name in found.graph.node[count - 1].output:
        found.graph.output.append(helper.make_empty_tensor_value_info(name))
    return found


def typed(name: str, value: Array | None) -> ValueInfoProto:
    """Declare a value as a further output of a file: whole numbers keep their type in float64 too, others are fp32."""
    is_floating = value is None or not is_whole(value.dtype)
    kind = TensorProto.FLOAT if is_floating else helper.np_dtype_to_tensor_dtype(value.dtype)  # type: ignore[union-attr]
    return helper.make_tensor_value_info(name, kind, None)


def _constants(model: ModelProto) -> frozenset[str]:
    """Return initialisers, and values computed from constants alone."""
    found = {tensor.name for tensor in model.graph.initializer}
    for node in model.graph.node:
        if all(name in found for name in node.input if name):
            found.update(node.output)
    return frozenset(found)


def _unknown_nodes(wrong: Trace, known: Mapping[str, str], outputs: list[str]) -> list[NodeProto]:
    """Return the nodes between wrong outputs and known values, in the order in which they run."""
    maker = {name: node for node in wrong.nodes for name in node.output}
    waiting, seen = list(outputs), set(outputs)
    while waiting:
        node = maker.get(waiting.pop())
        for name in node.input if node else ():
            if name and name not in seen and name not in known and name not in wrong.constants:
                seen.add(name)
                waiting.append(name)
    return [node for node in wrong.nodes if seen & set(node.output)]


def _parting(
    right: ExactComputation, wrong: Trace, node: NodeProto, fed: list[str], known: Mapping[str, str]
) -> Parting:
    counterparts = {known[name] for name in fed}
    there = right.taking(counterparts)
    before = [distance(in_order(wrong.values[name]), in_order(right.values[known[name]])) for name in fed]
    mine = wrong.values.get(node.output[0])
    place = _counterpart(right, there, wrong, node)
    step = None if place is None else right.steps[place]
    theirs = None if step is None else right.values[step.outputs[0]]
    comparable = mine is not None and theirs is not None and mine.size == theirs.size
    error_after = distance(in_order(mine), in_order(theirs)) if comparable else None  # type: ignore[arg-type]
    found = Localisation(
        node=node.name or node.output[0],
        operator=node.op_type,
        attributes=attributes_of(node),
        inputs=fed,
        output=node.output[0],
        error_before=max(before, default=0.0),
        error_after=error_after,
        runs=mine is not None,
        reference_nodes=[right.steps[other].text for other in there],
        layer=step.layer if step else "",
        layer_before=", ".join(filter(None, (right.layer_of(name) for name in sorted(counterparts)))),
    )
    return Parting(node, found, theirs)


def _counterpart(right: ExactComputation, there: list[int], wrong: Trace, node: NodeProto) -> int | None:
    """Return the step of the source whose result should be the node's: the last one before the operator that follows in
    both.

    A file may have folded several steps into the node (convolution, norm), so the first step that takes the same inputs
    is not always the one. Where nothing else tells, it is taken.
    """
    if not there:
        return None
    after = _operator_after(wrong, node)
    last = min(there[0] + FOLDED, len(right.steps) - 1)
    for place in range(there[0] + 1, last + 1):
        if after and _kind(right.steps[place].text).startswith(after):
            taken = right.steps[place].inputs[0]
            return next((p for p in range(there[0], place) if taken in right.steps[p].outputs), there[0])
    return there[0]


def _operator_after(wrong: Trace, node: NodeProto) -> str:
    """Return the kind of the operator that takes a node's result, past those that only move numbers about."""
    name = node.output[0]
    for other in wrong.nodes:
        if name in other.input:
            if other.op_type not in MOVERS:
                return _kind(other.op_type)
            name = other.output[0]
    return ""


def _kind(text: str) -> str:
    """Return a common name for what PyTorch and ONNX both have: "max_pool2d(3)" and "MaxPool" are both "maxpool"."""
    name = text.partition("(")[0].lower().replace("_", "")
    return KINDS.get(name, name.removesuffix("2d"))


def attributes_of(node: NodeProto) -> dict[str, str]:
    """Return a node's attributes in words; a long value is cut off."""
    return {one.name: str(helper.get_attribute_value(one))[:LONGEST_ATTRIBUTE] for one in node.attribute}


def _text(attributes: Mapping[str, str]) -> str:
    return ", ".join(f"{name}={value}" for name, value in attributes.items())
