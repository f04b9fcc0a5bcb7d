"""Every page has one title and headings in order, and every link leads to an existing page, file or heading."""

from __future__ import annotations

import re
from itertools import pairwise
from pathlib import Path

import pytest
from markdown_it import MarkdownIt
from markdown_it.token import Token

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]
GENERATED = {"commands.md", "study.md", "results.md", "registry.md"}
"""Reference pages that are generated from the code (`tools/site.py`)."""


def tokens(page: Path) -> list[Token]:
    return MarkdownIt("commonmark").enable("table").parse(page.read_text(encoding="utf-8"))


def headings(page: Path) -> list[tuple[int, str]]:
    """The level and text of each heading."""
    found = tokens(page)
    return [(int(one.tag[1]), after.content) for one, after in pairwise(found) if one.type == "heading_open"]


def anchor(text: str) -> str:
    """The anchor of a heading, as on GitHub and the site."""
    plain = re.sub(r"[`*]|\[([^\]]*)\]\([^)]*\)", r"\1", text).lower()
    return re.sub(r"[^\w -]", "", plain).strip().replace(" ", "-")


def links(page: Path) -> list[str]:
    inner = [child for token in tokens(page) for child in token.children or ()]
    named = (one for one in inner if one.type in {"link_open", "image"})
    found = [str(one.attrs.get("href") or one.attrs.get("src") or "") for one in named]
    return [one for one in found if one and not re.match(r"[a-z]+:", one)]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_a_page_has_one_title_first_and_no_level_is_left_out(page: Path) -> None:
    levels = [level for level, _ in headings(page)]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(after <= before + 1 for before, after in pairwise(levels))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_links_lead_somewhere(page: Path) -> None:
    for link in links(page):
        name, _, place = link.partition("#")
        target = (page.parent / name).resolve() if name else page
        generated = target.name in GENERATED and target.parent == ROOT / "docs" / "reference"
        assert generated or target.exists(), link
        if place and target.suffix == ".md" and not generated:
            assert place in {anchor(text) for _, text in headings(target)}, link


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_code_is_closed_and_holds_no_prose(page: Path) -> None:
    """A code block that was not closed swallows the headings after it."""
    for block in (one for one in tokens(page) if one.type == "fence"):
        assert not re.search(r"^#{2,6} \w", block.content, re.MULTILINE), f"a heading within code: {block.content[:80]}"
        assert "```" not in block.content
