"""README is short, its make targets and links exist, and the commands on the page on the command line run."""

from __future__ import annotations

import re
import shlex
import shutil
from pathlib import Path

import pytest

from tests.bench.cli.test_cli import assay
from tools.readme import BEGIN, BETWEEN, COMMAND, END, block

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
COMMAND_LINE = (ROOT / "docs" / "reference" / "command-line.md").read_text(encoding="utf-8")
CONSOLE = "\n".join(re.findall(r"```console\n(.*?)```", COMMAND_LINE, re.DOTALL))
COMMANDS = re.findall(r"^\$ assay (.*)$", CONSOLE, re.MULTILINE)
NOT_PUBLISHED = shutil.ignore_patterns(
    "weights", "onnx", "units", "references", "images", "logs", "attribution", "audits", "deployment"
)
"""Files of a study that was run here, beside those in git: gigabytes."""
TARGETS = set(re.findall(r"(?:`|^)make ([a-z-]+)", README, re.MULTILINE))


def test_it_is_one_screen_or_two() -> None:
    assert len(README.splitlines()) <= 100


def test_what_the_command_says_is_put_there_by_the_tool() -> None:
    found = BETWEEN.search(README)
    assert found
    said = found[0].removeprefix(f"{BEGIN}\n```text\n$ {COMMAND}\n").removesuffix(f"```\n{END}")
    assert BETWEEN.search(block("one line")), "it can be written anew"
    assert block(said) == found[0]


def test_there_are_commands_to_test() -> None:
    assert len(COMMANDS) >= 4
    assert {"study", "test"} <= TARGETS


@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_runs(command: str, tmp_path: Path) -> None:
    for name in ("studies", "artifacts/reference"):
        shutil.copytree(ROOT / name, tmp_path / name, ignore=NOT_PUBLISHED)
    done = assay(*shlex.split(command, comments=True), folder=tmp_path)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("target", sorted(TARGETS))
def test_a_make_target_exists(target: str) -> None:
    assert re.search(rf"^{target}:", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)


def test_links_lead_somewhere() -> None:
    for link in re.findall(r"\]\(([^)#:]+)\)", README):
        assert (ROOT / link).exists(), link
