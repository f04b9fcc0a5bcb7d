"""A runtime that lacks an operator says nothing about a file's numbers: its message is told apart from all other
failures.
"""

from __future__ import annotations

import re

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
    """The first half of a message: that a runtime lacks an operator of a file, that the file has one of no standard, as
    an exporter leaves behind that does not know it, or only that the runtime does not run it.

    Args:
        text: of the runtime's own error.
    """
    if foreign := _of_no_standard(text):
        return f"{subject} has an operator that ONNX does not have, {foreign}, so that its numbers are not judged"
    if lacks_operator(text):
        return f"{runtime} lacks an operator that {subject} needs, so that its numbers are not judged"
    return f"{runtime} does not run {subject}"


def _of_no_standard(text: str) -> str:
    """The operator of ONNX's own domain that a runtime does not know, where no version of ONNX has it, or ""."""
    found = re.search(r"No Op registered for (\w+) with domain_version of", text)
    if found is None:
        return ""
    import onnx  # noqa: PLC0415  who has such an error has loaded it

    return "" if onnx.defs.has(found[1]) else found[1]
