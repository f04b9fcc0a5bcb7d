"""Text for readers: sentences begin with a subject or a verb, attributes are described by nouns, no foreign turns."""

from __future__ import annotations

import ast
import io
import json
import re
import tokenize
from collections.abc import Iterator
from functools import cache
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

WRONG_IN_PROSE = re.compile(
    rf"{WRONG_IN_MESSAGES.pattern}|"
    r"\bstands? in\b(?! (?:turn|line|a queue))|\bit says so\b|\bby a reading\b|\banew\b(?!:)|\bin the place of\b|"
    r"\b(?:knows?|says?) nothing of\b|\bis (?:to be )?had\b|\b(?:is|are) heard of\b|\bgone over to\b|"
    r"\b(?:which|and that) is said\b|\bhas not[.,;:]|"
    r"\bof (?:an?|the) \w+'s(?=[.,;:)]| (?:and|or|with|is|are)\b)|"
    r"(?:^|[.!?;:] )(?:What|Whose|Whatever|Who) [^?.:|]+[.]"
)
"""The same for pages, comments of study files and docstrings of tests, and sentences whose subject is a clause."""
PROSE = ("README.md", "CONTRIBUTING.md", "CHANGELOG.md", "docs/**/*.md")


@cache
def strings(path: Path) -> tuple[tuple[tuple[int, str], ...], tuple[tuple[int, str], ...]]:
    """Return the docstrings of a file, those of attributes included, and all its literals, each with its line."""
    documented: list[tuple[int, str]] = []
    literals: list[tuple[int, str]] = []
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            literals.append((node.lineno, node.value))
        documented += [
            (one.lineno, one.value.value)
            for one in (getattr(node, "body", []) if not isinstance(node, ast.Lambda | ast.IfExp) else [])
            if isinstance(one, ast.Expr) and isinstance(one.value, ast.Constant) and isinstance(one.value.value, str)
        ]
    return tuple(documented), tuple(literals)


def written(path: Path) -> Iterator[tuple[int, str]]:
    """Iterate over docstrings, messages and comments of a file, each with its line."""
    for line, text in strings(path)[1]:
        yield line, text.strip()
    for token in tokenize.generate_tokens(io.StringIO(path.read_text(encoding="utf-8")).readline):
        if token.type == tokenize.COMMENT:
            yield token.start[0], token.string.lstrip("# ")


def docstrings(path: Path) -> tuple[tuple[int, str], ...]:
    """Return the docstrings of a file, those of attributes included, each with its line."""
    return strings(path)[0]


def messages(path: Path) -> Iterator[tuple[int, str]]:
    """Iterate over the texts of a file that a user may read, which are its literals but for docstrings."""
    told = {text for _, text in docstrings(path)}
    for line, text in strings(path)[1]:
        if text not in told:
            yield line, text


def paragraphs(text: str) -> Iterator[tuple[int, str]]:
    """Iterate over paragraphs, list items and table rows of a Markdown text without code, each with its line."""
    text = re.sub(r"^```.*?^```$", lambda block: "\n" * block[0].count("\n"), text, flags=re.MULTILINE | re.DOTALL)
    found = re.finditer(r"(?:^(?! {4}|#).+\n?)+?(?=\n|\Z|^ *(?:[-*]|\d+\.) |^\|)", text, re.MULTILINE)
    for one in found:
        yield text.count("\n", 0, one.start()) + 1, " ".join(re.sub(r"`[^`]*`", "X", one[0]).split()).lstrip("-* ")


def prose() -> Iterator[tuple[str, str]]:
    """Iterate over the texts that people read beside the program's own, each with its place."""
    for path in (path for pattern in PROSE for path in sorted(ROOT.glob(pattern))):
        for line, text in paragraphs(path.read_text(encoding="utf-8")):
            yield f"{path.relative_to(ROOT)}:{line}", text
    for path in sorted((ROOT / "docs").rglob("*.ipynb")):
        for number, cell in enumerate(json.loads(path.read_text(encoding="utf-8"))["cells"]):
            for _, text in paragraphs("".join(cell["source"])) if cell["cell_type"] == "markdown" else ():
                yield f"{path.relative_to(ROOT)}, cell {number}", text
    for path in [*sorted((ROOT / "studies").glob("*.toml")), ROOT / "action.yml"]:
        for line, text in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
            yield f"{path.relative_to(ROOT)}:{line}", text.partition("# ")[2] or text.partition("description: ")[2]
    for path in [*modules(), *sorted((ROOT / "tests").rglob("*.py"))]:
        for line, text in docstrings(path):
            yield f"{path.relative_to(ROOT)}:{line}", " ".join(text.split())


def test_pages_and_docstrings_have_no_foreign_turns() -> None:
    found = [f"{place} {wrong[0]}" for place, text in prose() if (wrong := WRONG_IN_PROSE.search(text))]
    assert found == []


@pytest.mark.parametrize(
    ("text", "wrong"),
    [
        ("Outputs are held against\nfloat64.", True),
        ("Give it to whoever asks.", True),
        ("- What was timed is audited.\n- More.", True),
        ("A model of a user's, compared.", True),
        ("What does it cost? Two minutes.", False),
        ("```\nheld against\n```\n\nOutputs are compared.", False),
        ("A user's model, compared.", False),
        ("## What holds\n\nThis.", False),
    ],
)
def test_the_rules_for_prose_find_only_foreign_turns(text: str, wrong: bool) -> None:
    assert any(WRONG_IN_PROSE.search(one) for _, one in paragraphs(text)) == wrong


def test_names_of_tests_have_no_foreign_turns() -> None:
    wrong = re.compile(r"def (test_\w*(?:whoever|held_against|(?:told|tell)_apart|told_from|anew|for_want_of)\w*)")
    found = [one for path in sorted((ROOT / "tests").rglob("*.py")) for one in wrong.findall(path.read_text("utf-8"))]
    assert found == []


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
def test_the_rules_for_docstrings_find_only_wrong_ones(text: str, wrong: bool) -> None:
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
