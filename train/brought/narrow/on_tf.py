"""The part of a TensorFlow model that is computed in fp16 or bf16, and the outputs that come in no defined order, by
the operations of its graph and of the functions it calls.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import tensorflow as tf

from assay.numerics.precisions import narrowest, precision_named
from assay.train.brought.loaders.loaded import Array, Lines

MOVES = {
    "Const", "Placeholder", "Identity", "IdentityN", "ReadVariableOp", "VarHandleOp", "NoOp", "Reshape", "Transpose",
    "Squeeze", "ExpandDims", "Gather", "GatherV2", "GatherNd", "ResourceGather", "ResourceGatherNd", "ConcatV2", "Pack",
    "Unpack", "Split", "SplitV", "Slice", "StridedSlice", "Tile", "BroadcastTo", "Pad", "PadV2", "MirrorPad", "Select",
    "SelectV2", "Fill", "ZerosLike", "OnesLike", "Shape", "Rank", "Size", "PartitionedCall", "StatefulPartitionedCall",
    "StopGradient", "PreventGradient", "If", "StatelessIf", "While", "StatelessWhile",
}  # fmt: skip
"""Operations that round nothing; those that call functions are judged by the functions."""
PASSES_ON = {"Identity", "IdentityN", "StopGradient"}
CALLS = {"PartitionedCall", "StatefulPartitionedCall"}
RESULTS = {"values": 0, "indices": 1}
"""The outputs of TopKV2, by their names in the graph of a function."""
TYPES = ("T", "Tout", "dtype", "DstT", "out_type", "Tidx")


def _traced(forward: Callable[..., object], inputs: Sequence[Array]) -> Any:
    specs = [tf.TensorSpec(one.shape, one.dtype) for one in inputs]
    try:
        return tf.function(forward, autograph=False).get_concrete_function(*specs)
    except Exception:  # noqa: BLE001  the user's code may raise anything; what cannot be traced shows nothing
        return None


def traced_functions(forward: Callable[..., object], inputs: Sequence[Array]) -> list[list[tf.compat.v1.NodeDef]]:
    """Return the operations of a call's graph and those of each function it calls; none if there is no graph."""
    traced = _traced(forward, inputs)
    if traced is None:
        return []
    graph = traced.graph.as_graph_def()
    return [list(graph.node), *(list(function.node_def) for function in graph.library.function)]


def traced_nodes(forward: Callable[..., object], inputs: Sequence[Array]) -> list[tf.compat.v1.NodeDef]:
    """Return the same operations together."""
    return [node for nodes in traced_functions(forward, inputs) for node in nodes]


def narrow_arithmetic(nodes: Iterable[tf.compat.v1.NodeDef]) -> str:
    """Return the least exact precision below fp32 to which an operation rounds; "" for none."""
    return narrowest(_rounds_to(node) for node in nodes if node.op not in MOVES)


def kernels_of(nodes: Iterable[tf.compat.v1.NodeDef]) -> set[str]:
    """Return the operations that do more than move numbers, such as "tf::Softplus"."""
    return {f"tf::{node.op}" for node in nodes if node.op not in MOVES}


def _rounds_to(node: tf.compat.v1.NodeDef) -> str:
    """Return the floating-point precision of an operation's result, "" where it has none."""
    if node.op == "Cast":
        source, target = (_named(node.attr[name].type) for name in ("SrcT", "DstT"))
        return "" if source == target else target
    return next((found for name in TYPES if name in node.attr and (found := _named(node.attr[name].type))), "")


def _named(kind: int) -> str:
    return precision_named(tf.dtypes.as_dtype(kind).name) if kind else ""


def is_unordered(node: tf.compat.v1.NodeDef) -> bool:
    """Return whether an operation gives the largest numbers of a line in no defined order."""
    return bool(node.op == "TopKV2" and not node.attr["sorted"].b)


def lines_of(forward: Callable[..., object], inputs: Sequence[Array]) -> dict[str, Lines]:
    """Return the outputs of a call that come from such an operation unchanged, by name; its values have to be the
    first, or the only one.

    Args:
        forward: returns outputs by name.
    """
    traced = _traced(forward, inputs)
    if traced is None:
        return {}
    graph = traced.graph.as_graph_def()
    functions = {one.signature.name: one for one in graph.library.function}
    found: dict[str, dict[str, int]] = {}
    for name, tensor in zip(sorted(traced.structured_outputs), traced.outputs, strict=True):
        if source := _source(graph.node, functions, tensor.name):
            found.setdefault(source[0], {})[name] = source[1]
    ranks = dict(zip(sorted(traced.structured_outputs), (one.shape.rank for one in traced.outputs), strict=True))
    return {
        name: Lines(call, ranks[name] - 1)
        for call, results in enumerate(found.values())
        if len(results) == 1 or not next(iter(results.values()))
        for name in results
        if ranks[name]
    }


def _source(
    nodes: Iterable[tf.compat.v1.NodeDef], functions: Mapping[str, Any], tensor: str, within: str = ""
) -> tuple[str, int] | None:
    """Return the operation without an order that gives a tensor, and which of its outputs it is; None for any other.

    Args:
        tensor: its name, "node:1" in a graph and "node:indices:0" in a function.
        within: the function that the nodes belong to.
    """
    known = {node.name: node for node in nodes}
    name, *output = tensor.split(":")
    node, place = known.get(name), int(output[-1]) if output else 0
    if node is None:
        return None
    if is_unordered(node):
        return f"{within}/{name}", RESULTS.get(output[0], place) if output else 0
    if node.op in PASSES_ON:
        return _source(known.values(), functions, node.input[place], within)
    if node.op in CALLS:
        called = node.attr["f"].func.name
        inner = functions[called]
        return _source(inner.node_def, functions, inner.ret[inner.signature.output_arg[place].name], called)
    return None
