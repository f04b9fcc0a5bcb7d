"""Exceptions of the operating system or of a reader of records are put into our own words wherever they are
reported.
"""

from __future__ import annotations

import ast
import urllib.error
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from assay.files.mistakes import mistake_in

ROOT = Path(__file__).parents[1]
OF_THE_SYSTEM = {"OSError", "FileNotFoundError", "PermissionError", "IsADirectoryError", "ValidationError", "KeyError"}
"""Exceptions whose text is "[Errno 2] ...", a page from pydantic, or a bare key."""
CALLS = {"str", "repr"}


def quoting(tree: ast.AST) -> Iterator[int]:
    """Lines on which a handler of such an exception reports its text unchanged."""
    for handler in ast.walk(tree):
        if isinstance(handler, ast.ExceptHandler) and handler.name and _names(handler.type) & OF_THE_SYSTEM:
            for node in (one for statement in handler.body for one in ast.walk(statement)):
                if _is_told(node, handler.name):
                    yield getattr(node, "lineno", handler.lineno)


def _names(caught: ast.expr | None) -> set[str]:
    return {node.id for node in ast.walk(caught) if isinstance(node, ast.Name)} if caught else set()


def _is_told(node: ast.AST, name: str) -> bool:
    if isinstance(node, ast.FormattedValue):
        return isinstance(node.value, ast.Name) and node.value.id == name
    called = isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in CALLS
    return called and any(isinstance(one, ast.Name) and one.id == name for one in node.args)


def test_no_module_reports_the_text_of_such_an_exception() -> None:
    paths = [path for top in ("assay", "train", "export", "infer", "bench") for path in (ROOT / top).rglob("*.py")]
    told = {
        f"{path.relative_to(ROOT)}:{line}"
        for path in paths
        if path.name not in {"mistakes.py", "disk.py"}  # which make the words
        for line in quoting(ast.parse(path.read_text(encoding="utf-8")))
    }
    assert told == set()


@pytest.mark.parametrize("told", ["str(error)", 'f"no: {error}"', "repr(error)"])
def test_an_unchanged_text_would_be_found(told: str) -> None:
    assert list(quoting(ast.parse(f"try:\n    pass\nexcept (OSError, ValueError) as error:\n    print({told})\n")))
    assert not list(quoting(ast.parse(f"try:\n    pass\nexcept MemoryError as error:\n    print({told})\n")))


def test_the_systems_errors_are_words_without_numbers(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError) as missing:
        (tmp_path / "none").read_bytes()
    assert mistake_in(missing.value) == "No such file or directory"
    assert mistake_in(zipfile.BadZipFile("File is not a zip file")) == "an incomplete archive"
    assert mistake_in(urllib.error.URLError(missing.value)) == "No such file or directory"
