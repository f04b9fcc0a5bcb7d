"""Every command in README and the docs has arguments and options that exist."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import Any

import pytest
import typer

from assay.bench.cli.main import app

ROOT = Path(__file__).parents[2]
PAGES = (ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md")))
BLOCK = re.compile(r"```(?:sh|console|text|yaml|dockerfile)\n(.*?)```", re.DOTALL)
COMMAND = re.compile(r"^(?:\s*(?:-\s*run: |run: )?\$? ?)(assay [^|&>\n]*)", re.MULTILINE)


def shown() -> list[tuple[str, str]]:
    """Each page with each command in a block; continued lines are joined."""
    return [
        (page.relative_to(ROOT).as_posix(), found.strip())
        for page in PAGES
        for block in BLOCK.findall(page.read_text(encoding="utf-8"))
        for found in COMMAND.findall(block.replace("\\\n", " "))
    ]


def parse(line: str) -> None:
    """Find the command and parse its options, without running anything or looking for its files."""
    words = shlex.split(line, comments=True)[1:]
    command: Any = typer.main.get_command(app)
    context = command.context_class(command, info_name="assay")
    while hasattr(command, "get_command") and words:
        name = words.pop(0)
        if name.startswith("-"):
            continue
        command = command.get_command(context, name)
        if command is None:
            raise typer.BadParameter(f"no such command: {name}")
        context = command.context_class(command, info_name=name, parent=context)
    _, left, _ = command.make_parser(context).parse_args(args=words)
    if left:
        raise typer.BadParameter(f"no such argument: {' '.join(left)}")


def test_there_are_commands_to_look_at() -> None:
    pages = {page for page, _ in shown()}
    assert {"README.md", "docs/how-to/audit.md", "docs/tutorials/first-study.md"} <= pages


@pytest.mark.parametrize("page", sorted({page for page, _ in shown()}))
def test_commands_that_are_shown_can_be_given(page: str) -> None:
    for line in [line for where, line in shown() if where == page]:
        try:
            parse(line)
        except Exception as error:  # noqa: BLE001 - typer's parser has errors of a class that it does not export
            pytest.fail(f"{page}: {line}: {error}")


@pytest.mark.parametrize(
    "line",
    [
        "assay run studies/quick.toml --no-such-option",
        "assay runn studies/quick.toml",
        "assay audit before.onnx after.onnx",
    ],
)
def test_a_command_that_does_not_exist_is_found(line: str) -> None:
    with pytest.raises(Exception, match=r"such"):
        parse(line)
