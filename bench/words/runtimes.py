"""Names of runtimes for people."""

from __future__ import annotations

from assay.registry import RUNTIMES


def runtime_in_words(label: str) -> str:
    """Return a cell's label as a reader knows it: "ort.cpu@tf2onnx" is "ONNX Runtime (tf2onnx export)"."""
    runtime, _, exporter = label.partition("@")
    entry = RUNTIMES.find(runtime)
    name = entry.words if entry and entry.words else runtime
    return f"{name} ({exporter} export)" if exporter else name
