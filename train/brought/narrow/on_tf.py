"""The part of a TensorFlow model that is computed in fp16 or bf16, by the operations of its graph and of the functions
it calls.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

import tensorflow as tf

from assay.numerics.precisions import narrowest, precision_named
from assay.train.brought.loaders.loaded import Array

MOVES = {
    "Const", "Placeholder", "Identity", "IdentityN", "ReadVariableOp", "VarHandleOp", "NoOp", "Reshape", "Transpose",
    "Squeeze", "ExpandDims", "Gather", "GatherV2", "GatherNd", "ResourceGather", "ResourceGatherNd", "ConcatV2", "Pack",
    "Unpack", "Split", "SplitV", "Slice", "StridedSlice", "Tile", "BroadcastTo", "Pad", "PadV2", "MirrorPad", "Select",
    "SelectV2", "Fill", "ZerosLike", "OnesLike", "Shape", "Rank", "Size", "PartitionedCall", "StatefulPartitionedCall",
    "StopGradient", "PreventGradient", "If", "StatelessIf", "While", "StatelessWhile",
}  # fmt: skip
"""Operations that round nothing; those that call functions are judged by the functions."""
TYPES = ("T", "Tout", "dtype", "DstT", "out_type", "Tidx")


def traced_functions(forward: Callable[..., object], inputs: Sequence[Array]) -> list[list[tf.compat.v1.NodeDef]]:
    """Return the operations of a call's graph and those of each function it calls; none if there is no graph."""
    specs = [tf.TensorSpec(one.shape, one.dtype) for one in inputs]
    try:
        graph = tf.function(forward, autograph=False).get_concrete_function(*specs).graph.as_graph_def()
    except Exception:  # noqa: BLE001  the user's code may raise anything; what cannot be traced shows nothing
        return []
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
