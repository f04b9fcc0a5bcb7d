"""The documentation as a site: it builds without a warning, and generated pages agree with the code."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from pydantic import BaseModel

from assay.study import BenchSection
from tools import site

ROOT = Path(__file__).parents[2]
METHODS = ROOT / "docs" / "explanation" / "methods.md"


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The site's source as `make docs` writes it, with its configuration."""
    folder = tmp_path_factory.mktemp("site")
    site.write(folder / "build" / "docs")
    shutil.copyfile(ROOT / "mkdocs.yml", folder / "mkdocs.yml")
    return folder


def _build(folder: Path) -> subprocess.CompletedProcess[str]:
    command = [str(Path(sys.executable).with_name("zensical")), "build", "--strict", "--config-file", "mkdocs.yml"]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)


def _pages(folder: Path) -> list[str]:
    docs = folder / "build/docs"
    return sorted(path.relative_to(docs).as_posix() for path in docs.rglob("*.md"))


def test_the_site_builds_strictly_and_has_every_page(source: Path) -> None:
    done = _build(source)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "No issues found" in done.stdout + done.stderr
    pages = _pages(source)
    assert len(pages) >= 20
    assert [page for page in pages if not (source / "build/site" / page).with_suffix(".html").is_file()] == []


def test_a_link_that_leads_nowhere_ends_the_build(source: Path, tmp_path: Path) -> None:
    shutil.copytree(source, tmp_path / "broken")
    page = tmp_path / "broken/build/docs/how-to/audit.md"
    page.write_text(page.read_text(encoding="utf-8") + "\n[gone](nowhere.md)\n", encoding="utf-8")
    assert _build(tmp_path / "broken").returncode != 0


def test_every_page_is_in_the_navigation(source: Path) -> None:
    text = re.sub(r"!!python\S+", "", (ROOT / "mkdocs.yml").read_text(encoding="utf-8"))
    named = set(re.findall(r"[\w-]+(?:/[\w-]+)*\.md", str(yaml.safe_load(text)["nav"])))
    assert sorted(named) == _pages(source)


def test_what_a_page_links_to_outside_of_the_docs_comes_with_it(source: Path) -> None:
    copied = source / "build/docs/files"
    assert (copied / "studies/quick.txt").read_text() == (ROOT / "studies/quick.toml").read_text()
    assert (copied / "artifacts/reference/report/report.html").is_file()
    assert "](../files/studies/quick.txt)" in (source / "build/docs/reference/study.md").read_text(encoding="utf-8")


def test_every_key_of_a_study_is_documented_with_its_default(source: Path) -> None:
    text = (source / "build/docs/reference/study.md").read_text(encoding="utf-8")
    for name in BenchSection.model_fields:
        assert f"| `{name}` | " in text, name
    assert "| `budget_minutes` | number | wall time that timing may take in all" in text
    assert '"cpu" or "cuda"' in text


def test_a_key_without_a_meaning_ends_the_build() -> None:
    class Section(BaseModel):
        """[section]

        Attributes:
            told: what it means.
        """

        told: int = 1
        untold: int = 2

    with pytest.raises(ValueError, match=r"Section\.untold"):
        site.keys_of(Section)


def test_every_command_is_documented(source: Path) -> None:
    text = (source / "build/docs/reference/commands.md").read_text(encoding="utf-8")
    told = re.findall(r"^## assay (.+)$", text, re.MULTILINE)
    assert {"run", "audit", "choose", "deploy", "data build"} <= set(told)
    assert "| `--data-root` | " in text


def test_each_method_names_its_source_where_it_is_written() -> None:
    rows = [
        [cell.strip() for cell in row.split("|")]
        for row in re.findall(r"^\|(.*)\|$", METHODS.read_text(encoding="utf-8"), re.MULTILINE)
    ]
    methods = [(cells[2], cells[3].strip("`")) for cells in rows if cells[3].startswith("`")]
    assert len(methods) >= 30
    for sources, place in methods:
        text = " ".join((ROOT / place).read_text(encoding="utf-8").split())
        for one in sources.split("; "):
            author, year = re.match(r"[\w-]+", one), re.search(r"\d{4}", one)
            assert author, one
            assert author[0] in text, f"{place} does not name {one}"
            assert year is None or year[0] in text, f"{place} does not name {one}"
