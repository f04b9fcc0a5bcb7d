"""The precision and device of ONNX Runtime: the file's nodes, and the execution providers that run them."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

import onnxruntime as ort

from assay.infer.observing.observed import NODES_ON_CPU, Observed, observed_of, of_each, with_tf32
from assay.infer.observing.on_onnx import ARITHMETIC, counts_of_file
from assay.numerics.integers import INTEGER
from assay.numerics.precisions import least_exact

RECORD_PLACES = "session.record_ep_graph_assignment_info"
"""The setting that makes a session remember where its nodes were placed."""
WITHOUT_KERNELS = ("fp16", "bf16")
"""Precisions for which an execution provider may lack kernels: ONNX Runtime then adds casts, and computes in fp32
between them.
"""
MOST_NAMED = 8
MOST_BYTES = 500_000_000
PROVIDERS = {"CPUExecutionProvider": "cpu", "CUDAExecutionProvider": "cuda", "TensorrtExecutionProvider": "cuda"}

Placed = Mapping[str, Sequence[tuple[str, str]]]
"""By execution provider, its nodes: type and name, which may be empty."""


def observe(file: Path | None, session: ort.InferenceSession, facts: Mapping[str, str]) -> Observed:
    """Observe the precision of the nodes of a session's file, and where the arithmetic among them was placed.

    Args:
        session: a session made with `RECORD_PLACES`.
        facts: facts to record; {"TF32": "on"} where a GPU may round fp32 to it.
    """
    in_file, others = counts_of_file(file) if file else ({}, {})
    placed = _placed(session)
    deciding = {place for place, nodes in placed.items() if {kind for kind, _ in nodes} & (ARITHMETIC | INTEGER)}
    bound = PROVIDERS.get(session.get_providers()[0], "")
    arithmetic = with_tf32(in_file, allowed=facts.get("TF32") == "on", device=bound)
    tensors = of_each([(one.type, bound) for one in session.get_outputs()])
    found = observed_of(
        arithmetic,
        others,
        [PROVIDERS.get(place, place) for place in deciding or placed or session.get_providers()[:1]],
        dict(facts) | told_of(placed, bound) | tensors,
    )
    computed = _between_casts(file, session) if file and found.precision in WITHOUT_KERNELS else ""
    own = least_exact(in_file) or found.precision
    return Observed(found.device, found.precision, computed, model=own, facts=found.facts)


def _between_casts(file: Path, session: ort.InferenceSession) -> str:
    """Return the precision of the graph that ONNX Runtime makes from a file; "" if the file is too large to write
    again.
    """
    if file.stat().st_size > MOST_BYTES:
        return ""
    options = ort.SessionOptions()
    options.graph_optimization_level = session.get_session_options().graph_optimization_level
    options.log_severity_level = 3
    with tempfile.TemporaryDirectory() as folder:
        made = Path(folder) / "optimised.onnx"
        options.optimized_model_filepath = str(made)
        ort.InferenceSession(file, options, providers=session.get_providers())
        arithmetic, others = counts_of_file(made)
    return least_exact(arithmetic) or least_exact(others)


def told_of(placed: Placed, bound: str) -> dict[str, str]:
    """Return the operators of several execution providers, and the nodes on the CPU where the session is on a GPU.

    Args:
        bound: the device of the first provider.
    """
    told = {}
    if len(placed) > 1:
        kinds = {one: sorted({kind for kind, _ in nodes}) for one, nodes in placed.items()}
        told["nodes of"] = ", ".join(f"{one} ({', '.join(kinds[one])})" for one in sorted(kinds))
    on_cpu = [node for one, nodes in placed.items() if PROVIDERS.get(one) == "cpu" for node in nodes]
    if bound == "cuda" and on_cpu:
        named = ", ".join(f"{kind} {name}".strip() for kind, name in on_cpu[:MOST_NAMED])
        told[NODES_ON_CPU] = named + (f" and {len(on_cpu) - MOST_NAMED} more" if len(on_cpu) > MOST_NAMED else "")
    return told


def _placed(session: ort.InferenceSession) -> Placed:
    """Return the nodes that each execution provider got; empty where ONNX Runtime does not tell."""
    if not hasattr(session, "get_provider_graph_assignment_info"):
        return {}
    found: dict[str, list[tuple[str, str]]] = {}
    for part in session.get_provider_graph_assignment_info():
        found.setdefault(part.ep_name, []).extend((node.op_type, node.name) for node in part.get_nodes())
    return found
