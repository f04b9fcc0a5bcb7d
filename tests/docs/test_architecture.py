"""Pages that describe the code name places that exist, and CONTRIBUTING.md names every folder."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PLACE = re.compile(r"(?<![\w/.])((?:assay|train|export|infer|bench|tests|docs|studies)/[\w/.]*\w/?)(?![*<\w])")


PAGES = ["CONTRIBUTING.md", *(f"docs/explanation/{page}.md" for page in ("architecture", "security", "statistics"))]


@pytest.mark.parametrize("page", PAGES)
def test_what_a_page_names_is_there(page: str) -> None:
    named = {place.split("::")[0] for place in PLACE.findall((ROOT / page).read_text(encoding="utf-8"))}
    to_be_written = {"assay/runtimes/reference.py", "infer/runtimes/on_reference.py"}  # the steps of CONTRIBUTING.md
    assert named
    assert sorted(place for place in named - to_be_written if not (ROOT / place).exists()) == []


@pytest.mark.parametrize("top", ["assay", "train", "export", "infer", "bench"])
def test_contributing_names_every_folder(top: str) -> None:
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    found = re.search(rf"^{top}/ {{2,}}\w+[/.].*?(?=^\w+/ {{2,}}\w+[/.]|^```)", text, re.MULTILINE | re.DOTALL)
    assert found
    named = set(re.findall(r"(\w+)/", found[0]))
    folders = {path.parent.name for path in (ROOT / top).glob("*/__init__.py") if not path.parent.is_symlink()}
    assert folders - named == set()
