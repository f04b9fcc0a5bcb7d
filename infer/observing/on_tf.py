"""The precision and device of TensorFlow: the operations of a function's graph, and of the functions it calls."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable

import tensorflow as tf

from assay.infer.observing.observed import Observed, device_named, observed_of, of_each, with_tf32
from assay.numerics.precisions import is_floating, least_exact, precision_named

ARITHMETIC = ("MatMul", "BatchMatMul", "Conv", "DepthwiseConv", "Einsum", "CudnnRNN", "_Fused", "XlaDot", "XlaConv")
INTEGER = ("Quantized", "UniformQuantized")
REWRITES = {"auto_mixed_precision_onednn_bfloat16": "bf16", "auto_mixed_precision_mkl": "bf16"}
"""Precisions that the graph optimiser may be told to compute in, whatever the graph says."""


def observe(graph: tf.Graph, outputs: Iterable[tf.Tensor]) -> Observed:
    """Observe the precision of a graph, and the device of these outputs of a call of it."""
    arithmetic, others = _counts(graph.as_graph_def())
    given = list(outputs)
    devices = {device_named(one.device) for one in (*given, *getattr(graph, "variables", ()))}
    device = "cuda" if "cuda" in devices else "cpu"
    allowed = tf.config.experimental.tensor_float_32_execution_enabled()
    told = settings() | of_each([(one.dtype.name, one.device) for one in given])
    return observed_of(_as_rewritten(with_tf32(arithmetic, allowed=allowed, device=device)), others, devices, told)


def observe_rewritten(graphs: Iterable[tf.compat.v1.GraphDef], outputs: Iterable[tf.Tensor]) -> Observed:
    """Observe the precision of graphs as TensorFlow's optimiser left them."""
    arithmetic: Counter[str] = Counter()
    others: Counter[str] = Counter()
    for graph in graphs:
        for counter, more in zip((arithmetic, others), _counts(graph), strict=True):
            counter.update(more)
    given = [(one.dtype.name, one.device) for one in outputs]
    return observed_of(arithmetic, others, {device_named(place) for _, place in given}, settings() | of_each(given))


def _counts(definition: tf.compat.v1.GraphDef) -> tuple[Counter[str], Counter[str]]:
    """Count a network's arithmetic and all other operations, by precision."""
    arithmetic: Counter[str] = Counter()
    others: Counter[str] = Counter()
    nodes = [*definition.node, *(node for function in definition.library.function for node in function.node_def)]
    for node in nodes:
        if node.op.startswith(INTEGER):
            arithmetic["int8"] += 1
        elif node.op.lstrip("_").startswith(ARITHMETIC):
            arithmetic[_precision(node)] += 1
        elif is_floating(precision := _precision(node)):
            others[precision] += 1
    del arithmetic[""]
    return arithmetic, others


def settings() -> dict[str, str]:
    """Return the precisions to which TensorFlow may round fp32."""
    rewrites = [name for name in REWRITES if _is_told(name)]
    return {
        "TF32": "on" if tf.config.experimental.tensor_float_32_execution_enabled() else "off",
        "NVIDIA_TF32_OVERRIDE": os.environ.get("NVIDIA_TF32_OVERRIDE", "not set"),
        "rewritten to bf16": ", ".join(rewrites) or "no",
    }


def _precision(node: tf.compat.v1.NodeDef) -> str:
    """Return the least exact precision of the inputs; "" for whole numbers that are not a network's."""
    kinds = [node.attr[name].type for name in ("T", "Ta", "Tb") if name in node.attr]
    return least_exact(precision_named(tf.dtypes.as_dtype(kind).name) for kind in kinds if kind)


def _is_told(name: str) -> bool:
    return bool(tf.config.optimizer.get_experimental_options().get(name))


def _as_rewritten(counts: dict[str, int]) -> dict[str, int]:
    """Return counts in which fp32 becomes what the graph optimiser makes of it."""
    wanted = next((precision for name, precision in REWRITES.items() if _is_told(name)), "")
    if not wanted or not counts.get("fp32"):
        return counts
    rest = {name: count for name, count in counts.items() if name != "fp32"}
    return rest | {wanted: rest.get(wanted, 0) + counts["fp32"]}
