"""Recognition of runtimes that lack an operator: they say nothing about a file's numbers, unlike any other failure."""

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
"""Messages of ONNX Runtime, OpenVINO and onnx's reference evaluator about an operator that they lack, at least for the
given types.
"""


def lacks_operator(text: str) -> bool:
    """Return whether the error of a runtime says that it lacks an operator."""
    return any(mark in text for mark in MARKS)


def not_run(runtime: str, subject: str, text: str) -> str:
    """Return the first half of a message: that a runtime lacks an operator of a file, that the file has one of no
    standard, left behind by an exporter that does not know it, or only that the runtime does not run the file.

    Args:
        text: text of the runtime's own error.
    """
    if foreign := _of_no_standard(text):
        return f"{subject} has the operator {foreign}, which is not part of ONNX, so its numbers are not judged"
    if lacks_operator(text):
        return f"{runtime} lacks an operator that {subject} needs, so its numbers are not judged"
    return f"{runtime} does not run {subject}"


def _of_no_standard(text: str) -> str:
    """Return the operator of ONNX's own domain that a runtime does not know and no version of ONNX has, or ""."""
    found = re.search(r"No Op registered for (\w+) with domain_version of", text)
    if found is None:
        return ""
    import onnx  # noqa: PLC0415  a process with such an error has loaded it

    return "" if onnx.defs.has(found[1]) else found[1]
