"""The layers of a file that can be int8 or stay in fp32, each by the name of its node."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

import onnx
from onnxruntime.quantization.operators.direct_q8 import Direct8BitOp, QDQDirect8BitOp
from onnxruntime.quantization.registry import QDQRegistry, QLinearOpsRegistry

from assay.export.graph.inspect import read_model
from assay.export.graph.saved import save_model

PASSING_ON = {"Relu", "Clip", "MaxPool", "Resize", "Pad", "Split", "ArgMax"}
"""Operators that make no number coarser than their input: they are int8 where their input is, like those that
onnxruntime's own class for this names.
"""

REQUANTISED = {"Conv", "ConvTranspose", "Gemm"}
"""Operators whose weights ONNX Runtime's optimiser (WeightBiasQuantization) makes int8 by itself, with one scale for
all channels, where their input comes from integers and their output becomes integers.
"""


def layers_of(prepared: Path, quantised: Path) -> tuple[str, ...]:
    """Return the names of the nodes that compute in integers, in the order of the graph.

    Args:
        prepared: the file as the quantiser takes it, every node with a name.
        quantised: the quantiser's result, with nothing left out.
    """
    computing = {node.name for node in read_model(prepared).graph.node if _computes(node.op_type)}
    graph = read_model(quantised).graph
    widened = {name for node in graph.node if node.op_type == "DequantizeLinear" for name in node.output}
    return tuple(node.name for node in graph.node if node.name in computing and widened & set(node.input))


def _computes(operator: str) -> bool:
    made_by = QDQRegistry.get(operator) or QLinearOpsRegistry.get(operator)
    passes_on = isinstance(made_by, type) and issubclass(made_by, QDQDirect8BitOp | Direct8BitOp)
    return made_by is not None and not passes_on and operator not in PASSING_ON


def keep_in_fp32(path: Path, left: Collection[str]) -> None:
    """Keep ONNX Runtime from making layers int8 that were left in fp32 between int8 layers.

    A Sum of one input is put before each, which changes nothing and which no optimiser removes or looks through.
    Without it a file with one bad layer in fp32 was as wrong as int8, by the optimiser alone: an error of 181 % of the
    reference's variation; with it 1 %.

    Args:
        left: names of nodes.
    """
    model = read_model(path)
    graph = model.graph
    widened = {name for node in graph.node if node.op_type == "DequantizeLinear" for name in node.output}
    changed = False
    for place in reversed(range(len(graph.node))):
        node = graph.node[place]
        if node.name in left and node.op_type in REQUANTISED and node.input[0] in widened:
            kept = f"{node.input[0]}_for_{node.name}"
            graph.node.insert(place, onnx.helper.make_node("Sum", [node.input[0]], [kept], f"{node.name}_in_fp32"))
            graph.node[place + 1].input[0] = kept
            changed = True
    if changed:
        save_model(model, path)
