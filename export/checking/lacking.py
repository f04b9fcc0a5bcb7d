"""A runtime that lacks an operator says nothing of a file's numbers: its message is told from all other failures."""

from __future__ import annotations

MARKS = (
    "NOT_IMPLEMENTED",
    "is not a registered function/op",
    "No Op registered for",
    "No conversion rule found for operations",
    "No registered implementation for operator",
    "No registered schema for operator",
    "is unknown, known functions",
)
"""What ONNX Runtime, OpenVINO and onnx's reference evaluator say of an operator that they do not have, or not for these
types."""


def lacks_operator(text: str) -> bool:
    """Whether the error of a runtime says that it has no such operator."""
    return any(mark in text for mark in MARKS)


def not_run(runtime: str, subject: str, text: str) -> str:
    """The first half of a message: that a runtime lacks an operator of a file, or only that it does not run it.

    Args:
        text: of the runtime's own error.
    """
    if lacks_operator(text):
        return f"{runtime} lacks an operator that {subject} needs, so that its numbers are not judged"
    return f"{runtime} does not run {subject}"
