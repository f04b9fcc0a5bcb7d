"""ONNX files that give different answers to the same input, and operators that make the rows of a call depend on each
other.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

import numpy as np
import onnxruntime as ort
from onnx import GraphProto, ModelProto, NodeProto, TensorProto, numpy_helper

from assay.errors import InputError
from assay.export.graph.inspect import read_model
from assay.export.localise.source import Array
from assay.export.probing.steadiness import EXPECTED, RANDOM
from assay.numerics.values import difference
from assay.train.brought.training.words import IN_FILE, few

DRAWING = {"RandomNormal", "RandomNormalLike", "RandomUniform", "RandomUniformLike", "Bernoulli", "Multinomial"}
PER_CALL = {"DynamicQuantizeLinear", "DynamicQuantizeMatMul", "DynamicQuantizeLSTM", "DynamicFusedMatMul"}
DROPOUT = "Dropout"


def random_operators(model: ModelProto) -> str:
    """Return the nodes that draw random numbers, "Dropout 'drop' in training mode", including those in inner graphs and
    functions.
    """
    found = [_named(node) for node in nodes_of(model) if node.op_type in DRAWING]
    found += [f"{_named(node)} in training mode" for node in _in_training(model) if node.op_type == DROPOUT]
    return few(found)


def training_operators(model: ModelProto) -> tuple[str, ...]:
    """Return the nodes that compute as in training, "BatchNormalization 'norm'"."""
    return tuple(map(_named, _in_training(model)))


def _in_training(model: ModelProto) -> list[NodeProto]:
    """Return these nodes. Before opset 14 ONNX Runtime takes a BatchNormalization with more than one output for one."""
    fixed = _constants(model)

    def trains(node: NodeProto) -> bool:
        if node.op_type == "BatchNormalization":
            return any(one.name == "training_mode" and one.i for one in node.attribute) or any(list(node.output)[1:])
        given = node.input[2] if node.op_type == DROPOUT and len(node.input) > 2 else ""
        return bool(given) and (given not in fixed or bool(numpy_helper.to_array(fixed[given]).any()))

    return [node for node in nodes_of(model) if trains(node)]


def per_call_operators(model: ModelProto) -> str:
    """Return the names of operators that choose a scale for each call from all of its input."""
    return ", ".join(sorted({node.op_type for node in nodes_of(model)} & PER_CALL))


def fewest_places(model: ModelProto) -> int | None:
    """Return the fewest places of any operator that silently gives nothing for an index beyond them."""
    fixed = _constants(model)
    depths = [node.input[1] for node in nodes_of(model) if node.op_type == "OneHot"]
    known = [int(numpy_helper.to_array(fixed[depth]).reshape(-1)[0]) for depth in depths if depth in fixed]
    return min(known, default=None)


def _constants(model: ModelProto) -> dict[str, TensorProto]:
    found = {one.name: one for one in model.graph.initializer}
    return found | {
        node.output[0]: node.attribute[0].t
        for node in nodes_of(model)
        if node.op_type == "Constant" and node.attribute and node.attribute[0].name == "value"
    }


def check_repeats(path: Path, feeds: Mapping[str, Array], name: str) -> None:
    """Run a file twice in one session of ONNX Runtime, without optimisations; a file that does not run is let pass.

    Args:
        name: name of the file in messages.

    Raises:
        InputError: it gives different answers to the same input.
    """
    try:
        first, second = _twice(path, feeds)
    except Exception:  # noqa: BLE001  its exceptions have no common base; the next to run the file will report them
        return
    if apart := difference(first, second):
        operators = random_operators(read_model(path))
        raise InputError(
            f"{name} answers the same input differently from call to call: it {RANDOM}"
            + (f" ({operators})" if operators else ""),
            expected=EXPECTED,
            found=apart,
            remedy=IN_FILE,
        )


def _twice(path: Path, feeds: Mapping[str, Array]) -> tuple[dict[str, Array], dict[str, Array]]:
    options = ort.SessionOptions()
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.log_severity_level = 4
    session = ort.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    names = [output.name for output in session.get_outputs()]

    def answer() -> dict[str, Array]:
        return dict(zip(names, map(np.asarray, session.run(names, dict(feeds))), strict=True))

    return answer(), answer()


def nodes_of(model: ModelProto) -> Iterator[NodeProto]:
    """Iterate over all nodes, including those of inner graphs and functions."""
    yield from _below(model.graph.node)
    for function in model.functions:
        yield from _below(function.node)


def _below(nodes: Iterable[NodeProto]) -> Iterator[NodeProto]:
    for node in nodes:
        yield node
        for attribute in node.attribute:
            graphs: list[GraphProto] = [attribute.g] if attribute.HasField("g") else list(attribute.graphs)
            for graph in graphs:
                yield from _below(graph.node)


def _named(node: NodeProto) -> str:
    return f"{node.op_type} '{node.name or (node.output[0] if node.output else '')}'"
