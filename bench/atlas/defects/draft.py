"""The report on a wrong operator that is drafted for its project's tracker: its text. Nothing is sent."""

from __future__ import annotations

from collections.abc import Mapping

from assay.bench.atlas.record import DEFECTS, IN_WORDS, Finding
from assay.bench.atlas.suites.entries import SUITES
from assay.bench.atlas.summary import Square
from assay.bench.words.numbers import counted

RUNTIME = "microsoft/onnxruntime"
TRACKERS = {
    "torch-dynamo": "pytorch/pytorch, label `module: onnx`",
    "torch-script": "pytorch/pytorch, label `module: onnx`",
    "jax2onnx": "enpasos/jax2onnx",
    "jax2tf": "onnx/tensorflow-onnx",
    "tf2onnx": "onnx/tensorflow-onnx",
}
FLAGS = {"torch-dynamo": "dynamo=True", "torch-script": "dynamo=False"}
CALLS = {
    "torch-dynamo": "torch.onnx.export",
    "torch-script": "torch.onnx.export",
    "jax2onnx": "jax2onnx.to_onnx",
    "jax2tf": "tf2onnx.convert.from_function",
    "tf2onnx": "tf2onnx.convert.from_function",
}
"""The call that a person makes, by route; another exporter is named itself."""


def draft(one: Finding, square: Square, printed: str, versions: Mapping[str, str]) -> str:
    """Return the report on a finding, in Markdown.

    Args:
        square: all findings on the operator by this route.
        printed: output of the program that shows the error.
        versions: versions of the packages by name.
    """
    wrong = one.verdict == "wrong"
    flag = FLAGS.get(one.route, one.route)
    title = (
        f"`{one.operator}` is exported to ONNX with wrong results ({flag})"
        if wrong
        else f"ONNX Runtime (CPU) gives wrong results for a file of `{one.operator}`"
    )
    call = CALLS.get(one.route, one.route)
    before = f"`{call}` writes a file for `{one.operator}` without an error, and the file gives other numbers."
    node = [f"`{first.node}` ({first.operator}) is the first node whose result differs." for first in one.nodes[:1]]
    parts = [
        f"<!-- Draft for {TRACKERS.get(one.route, one.route) if wrong else RUNTIME}. Not sent. -->\n# {title}",
        "### Describe the bug",
        *([before] if wrong else []),
        f"Inputs: {one.inputs} (sample {one.sample} of {SUITES[one.suite].title}{IN_WORDS[one.numbers]}).",
        one.reason,
        *node,
        "### To reproduce",
        "`model.py` is the operator. `python run.py` needs NumPy and ONNX Runtime, and prints:",
        f"```text\n{printed}\n```",
        _extent(square),
        "### Versions",
        f"Linux x86-64, CPU; {', '.join(f'{name} {version}' for name, version in versions.items())}",
    ]
    return "\n\n".join(parts) + "\n"


def _extent(square: Square) -> str:
    """Say how many of the operator's samples are wrong."""
    wrong = sum(one.route == square.route and one.verdict in DEFECTS for one in square.findings)
    are = "is" if wrong == 1 else "are"
    return f"Of {counted(square.of, 'sample')} tried with different numbers, {wrong} {are} wrong."
