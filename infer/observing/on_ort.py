"""The precision and device of ONNX Runtime: the file's nodes, and the execution providers that run them."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from pathlib import Path

import onnxruntime as ort

from assay.infer.observing.observed import Observed, observed_of, of_each
from assay.infer.observing.on_onnx import ARITHMETIC, INTEGER, counts_of_file
from assay.numerics.precisions import least_exact

RECORD_PLACES = "session.record_ep_graph_assignment_info"
"""The setting that makes a session remember where its nodes were placed."""
WITHOUT_KERNELS = ("fp16", "bf16")
"""Precisions for which an execution provider may lack kernels: ONNX Runtime then adds casts, and computes in fp32
between them.
"""
MOST_BYTES = 500_000_000
PROVIDERS = {"CPUExecutionProvider": "cpu", "CUDAExecutionProvider": "cuda", "TensorrtExecutionProvider": "cuda"}


def observe(file: Path | None, session: ort.InferenceSession, facts: Mapping[str, str]) -> Observed:
    """Observe the precision of the nodes of a session's file, and where the arithmetic among them was placed.

    Args:
        session: a session made with `RECORD_PLACES`.
    """
    arithmetic, others = counts_of_file(file) if file else ({}, {})
    placed = _placed(session)
    deciding = {place for place, operators in placed.items() if operators & (ARITHMETIC | INTEGER)}
    told = {"nodes of": ", ".join(f"{place} ({', '.join(sorted(placed[place]))})" for place in sorted(placed))}
    bound = PROVIDERS.get(session.get_providers()[0], "")
    tensors = of_each([(one.type, bound) for one in session.get_outputs()])
    found = observed_of(
        arithmetic,
        others,
        [PROVIDERS.get(place, place) for place in deciding or placed or session.get_providers()[:1]],
        dict(facts) | (told if len(placed) > 1 else {}) | tensors,
    )
    computed = _between_casts(file, session) if file and found.precision in WITHOUT_KERNELS else ""
    return Observed(found.device, found.precision, computed, model=found.precision, facts=found.facts)


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


def _placed(session: ort.InferenceSession) -> dict[str, set[str]]:
    """Return the types of the nodes that each execution provider got; empty where ONNX Runtime does not tell."""
    if not hasattr(session, "get_provider_graph_assignment_info"):
        return {}
    found: dict[str, set[str]] = {}
    for part in session.get_provider_graph_assignment_info():
        found.setdefault(part.ep_name, set()).update(node.op_type for node in part.get_nodes())
    return found
