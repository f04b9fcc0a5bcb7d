"""What is written for readers: sentences begin with their subject, and what is not a thing is said to be not it."""

from __future__ import annotations

import ast
import io
import re
import tokenize
from collections.abc import Iterator
from pathlib import Path

from tests.test_imports import ROOT, modules

WRONG = {
    "begins with 'Of'": re.compile(r"(?:^|[.;:?!]\s+|\n\s*\n)Of (?!course)"),
    "'is no' in the place of 'is not a'": re.compile(
        r"(?<!here )\b(?:is|are) no (?:plain|kind of|list of|deployment|tensor|message|object|array)\b"
    ),
}


def written(path: Path) -> Iterator[tuple[int, str]]:
    """Docstrings, messages and comments of a file, each with its line."""
    text = path.read_text(encoding="utf-8")
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.lineno, node.value.strip()
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type == tokenize.COMMENT:
            yield token.start[0], token.string.lstrip("# ")


def test_sentences_are_english() -> None:
    found = [
        f"{path.relative_to(ROOT)}:{line} {what}"
        for path in modules()
        for line, text in written(path)
        for what, pattern in WRONG.items()
        if pattern.search(text)
    ]
    assert found == []
