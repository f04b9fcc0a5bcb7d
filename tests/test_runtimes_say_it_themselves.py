"""Everything about a runtime is in its entry: no other file has its name, its family's or a prefix of either."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from assay.registry import RUNTIMES

ROOT = Path(__file__).parents[1]
PACKAGES = ("assay", "train", "export", "infer", "bench")
ENTRIES = ROOT / "assay" / "runtimes"
ALLOWED = {
    ("infer/probe.py", "openvino"): "the name of the package that it imports",
    ("bench/machine/machine.py", "openvino"): "the name of a distribution whose version is recorded",
    ("assay/boxed/box.py", "null"): "JSON's",
    ("assay/boxed/confine.py", "null"): "a device of Linux",
    ("assay/files/mistakes.py", "null"): "JSON's",
    ("train/brought/files/program_text.py", "null"): "JSON's",
}
"""The meaning of a text in a file, by file and text."""
FRAMEWORKS = {family.framework for family in RUNTIMES.families}
"""Frameworks such as "torch" are not runtimes, although families have their names: people bring models of them."""


def modules() -> list[Path]:
    found = [path for package in PACKAGES for path in sorted((ROOT / package).rglob("*.py"))]
    return [path for path in found if ENTRIES not in path.parents]


def texts(path: Path) -> Iterator[ast.Constant]:
    """The texts of a module, except those that stand alone as its documentation."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    said = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in said:
            yield node


NAMES = (set(RUNTIMES) | {family.name for family in RUNTIMES.families}) - FRAMEWORKS
PREFIXES = {f"{name}." for name in NAMES} | {"user."}


def names_a_runtime(text: str) -> bool:
    """Whether a text is a runtime's name, begins with one as a label does, or is a prefix that identifies families."""
    return text.partition("@")[0] in NAMES or text in PREFIXES


def test_no_other_module_names_a_runtime() -> None:
    found = [
        (str(path.relative_to(ROOT)), node)
        for path in modules()
        for node in texts(path)
        if names_a_runtime(str(node.value))
    ]
    wrong = [f"{place}:{node.lineno}: {node.value!r}" for place, node in found if (place, node.value) not in ALLOWED]
    assert not wrong, f"{wrong}: ask the entry in assay/runtimes/ instead"
    assert {(place, node.value) for place, node in found} == set(ALLOWED), "an exception that nobody needs"


@pytest.mark.parametrize("text", ["ort.cpu", "ort.cpu@tf2onnx", "openvino", "user.", "null", "torch.eager", "ort."])
def test_what_names_a_runtime_is_seen(text: str) -> None:
    assert names_a_runtime(text)


@pytest.mark.parametrize("text", ["torch", "onnx", "onnxruntime", "torch.compile needs a compiler"])
def test_what_names_none_is_not(text: str) -> None:
    assert not names_a_runtime(text)
