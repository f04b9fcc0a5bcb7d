"""What ONNX Runtime computes in and where: the file's nodes, and the execution providers that got them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import onnxruntime as ort

from assay.precisions import least_exact
from infer.observed import Observed, observed_of
from infer.on_onnx_observed import ARITHMETIC, INTEGER, counts_of_file

RECORD_PLACES = "session.record_ep_graph_assignment_info"
"""What makes a session remember where its nodes went."""
PROVIDERS = {"CPUExecutionProvider": "cpu", "CUDAExecutionProvider": "cuda", "TensorrtExecutionProvider": "cuda"}


def observe(file: Path | None, session: ort.InferenceSession, facts: Mapping[str, str]) -> Observed:
    """What the nodes of a session's file compute in, and where the arithmetic among them was placed.

    Args:
        session: made with `RECORD_PLACES`.
    """
    arithmetic, others = counts_of_file(file) if file else ({}, {})
    placed = _placed(session)
    deciding = {place for place, operators in placed.items() if operators & (ARITHMETIC | INTEGER)}
    told = {"nodes of": ", ".join(f"{place} ({', '.join(sorted(placed[place]))})" for place in sorted(placed))}
    found = observed_of(
        arithmetic,
        others,
        [PROVIDERS.get(place, place) for place in deciding or placed or session.get_providers()[:1]],
        dict(facts) | (told if len(placed) > 1 else {}),
    )
    model = least_exact(arithmetic) or least_exact(others)
    return Observed(found.device, found.precision, model=model, facts=found.facts)


def _placed(session: ort.InferenceSession) -> dict[str, set[str]]:
    """Types of the nodes that each execution provider got; empty where ONNX Runtime does not tell."""
    if not hasattr(session, "get_provider_graph_assignment_info"):
        return {}
    found: dict[str, set[str]] = {}
    for part in session.get_provider_graph_assignment_info():
        found.setdefault(part.ep_name, set()).update(node.op_type for node in part.get_nodes())
    return found
