"""Text for readers: sentences begin with a subject or a verb, and attributes are described by nouns."""

from __future__ import annotations

import ast
import io
import re
import tokenize
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.test_imports import ROOT, modules

WRONG = {
    "begins with 'Of'": re.compile(r"(?:^|[.;:?!]\s+|\n\s*\n)Of (?!course)"),
    "'is no' in the place of 'is not a'": re.compile(
        r"(?<!here )\b(?:is|are) no (?:plain|kind of|list of|deployment|tensor|message|object|array)\b"
    ),
}

WRONG_IN_DOCSTRINGS = {
    "begins with no subject and no verb": re.compile(r"\A\s*(?:What|Whose|Who|Whoever|That|Those)\b"),
    "an attribute or argument that no noun describes": re.compile(
        r"^ +\*{0,2}\w+(?:, \*{0,2}\w+)*: (?:what|whose|who|that|of|told|has|takes|tells)\b", re.MULTILINE
    ),
}

WRONG_IN_MESSAGES = re.compile(
    r"(?:told|tell) (?:them )?apart|not told from|\b[Ww]hoever\b|\b[Nn]obody (?:said|told|verified)\b|held against|"
    r"for want of|was asked for|gives? the processor away|memory than there is|"
    r"\bis no (?:function|store|manifest)\b"
)
"""Turns of phrase that messages, captions and progress lines had, and that no editor would let pass."""


def written(path: Path) -> Iterator[tuple[int, str]]:
    """Iterate over docstrings, messages and comments of a file, each with its line."""
    text = path.read_text(encoding="utf-8")
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.lineno, node.value.strip()
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type == tokenize.COMMENT:
            yield token.start[0], token.string.lstrip("# ")


def docstrings(path: Path) -> Iterator[tuple[int, str]]:
    """Iterate over the docstrings of a file, those of attributes included, each with its line."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        for one in getattr(node, "body", []) if not isinstance(node, ast.Lambda | ast.IfExp) else []:
            if isinstance(one, ast.Expr) and isinstance(one.value, ast.Constant) and isinstance(one.value.value, str):
                yield one.lineno, one.value.value


def messages(path: Path) -> Iterator[tuple[int, str]]:
    """Iterate over the texts of a file that a user may read, which are its literals but for docstrings."""
    told = {text for _, text in docstrings(path)}
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and node.value not in told:
            yield node.lineno, node.value


def test_messages_have_no_foreign_turns() -> None:
    found = [
        f"{path.relative_to(ROOT)}:{line} {wrong[0]}"
        for path in modules()
        for line, text in messages(path)
        if (wrong := WRONG_IN_MESSAGES.search(text))
    ]
    assert found == []


def test_docstrings_have_a_subject_or_a_verb() -> None:
    found = [
        f"{path.relative_to(ROOT)}:{line} {what}"
        for path in modules()
        for line, text in docstrings(path)
        for what, pattern in WRONG_IN_DOCSTRINGS.items()
        if pattern.search(text)
    ]
    assert found == []


@pytest.mark.parametrize(
    ("text", "wrong"),
    [
        ("What a process found.", True),
        ("Return the findings.\n\n    Args:\n        place: of the file.\n", True),
        ("Findings.\n\n    Attributes:\n        first, second: what was found.\n", True),
        ("Findings of a process.\n\n    Attributes:\n        place: place of the file.\n", False),
    ],
)
def test_the_rules_tell_them_apart(text: str, wrong: bool) -> None:
    assert any(pattern.search(text) for pattern in WRONG_IN_DOCSTRINGS.values()) == wrong


def test_sentences_are_english() -> None:
    found = [
        f"{path.relative_to(ROOT)}:{line} {what}"
        for path in modules()
        for line, text in written(path)
        for what, pattern in WRONG.items()
        if pattern.search(text)
    ]
    assert found == []
