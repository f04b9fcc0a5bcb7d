"""The limit of 2 GiB of protobuf: routes that write everything into one message fail beyond it, each in its own
words.
"""

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
"""Words in which TensorFlow, tf2onnx, PyTorch, onnx and protobuf report it."""
LIMIT = "at most 2 GiB, the limit of a protobuf message"
REMEDY = (
    "torch-dynamo and jax2onnx write weights beside the file; or write an ONNX file with external data using "
    "another tool "
    "and give that file"
)


def beyond_the_limit(exporter: str, text: str) -> ExportFailedError | None:
    """Return the error for a route that met the limit; None where its words are about something else.

    Args:
        text: the route's words.
    """
    if not any(mark in text for mark in MARKS):
        return None
    return ExportFailedError(
        f"The exporter {exporter} cannot write a model this large", expected=LIMIT, found=text, remedy=REMEDY
    )
