"""protobuf holds at most 2 GiB: routes that write everything into one message fail on more, each in its own words."""

from __future__ import annotations

from assay.errors import ExportFailedError

MARKS = (
    "larger than 2GB",
    "larger than 2 GB",
    "larger than 2GiB",
    "exceeds maximum protobuf size",
    "exceeded maximum protobuf size",
    "The serialized model is larger than the 2GiB limit",
    "Failed to serialize proto",
    "too large to be serialized",
    "Error parsing message",
    "2147483647",
    "2147483648",
)
"""How TensorFlow, tf2onnx, PyTorch, onnx and protobuf say so."""
LIMIT = "at most 2 GiB, the limit of a protobuf message"
REMEDY = (
    "torch-dynamo and jax2onnx write weights beside the file; or write an ONNX file with external data by another tool "
    "and give that"
)


def beyond_the_limit(exporter: str, text: str) -> ExportFailedError | None:
    """The error of a route that met the limit; None where its words are about something else.

    Args:
        text: what the route said.
    """
    if not any(mark in text for mark in MARKS):
        return None
    return ExportFailedError(
        f"The exporter {exporter} cannot write so large a model", expected=LIMIT, found=text, remedy=REMEDY
    )
