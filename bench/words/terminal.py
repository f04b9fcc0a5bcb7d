"""Output of the commands: text by others is shown, and its control codes have no effect.

Names of models and cells, reasons and paths may hold escape codes, rich's markup or characters that turn the direction
of writing. All of them are printed here, as `assay.texts.printable` shows them.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from typing import TextIO

from pydantic import BaseModel, JsonValue
from rich.console import Console, JustifyMethod, OverflowMethod
from rich.style import Style
from rich.text import Text

from assay.texts import printable, printable_json


class Terminal(Console):
    """A console for plain texts: markup, emoji names and escape codes in them have no effect."""

    def __init__(self, *, stderr: bool = False, file: TextIO | None = None, width: int | None = None) -> None:
        notebook = False if file else None  # rich would show in a notebook what goes to a file
        super().__init__(
            stderr=stderr, file=file, width=width, highlight=False, markup=False, emoji=False, force_jupyter=notebook
        )

    def render_str(
        self,
        text: str,
        *,
        style: str | Style = "",
        justify: JustifyMethod | None = None,
        overflow: OverflowMethod | None = None,
        emoji: bool | None = None,
        markup: bool | None = None,
        highlight: bool | None = None,
        highlighter: Callable[[str | Text], Text] | None = None,
    ) -> Text:
        """Render as rich does, without markup and emoji whatever a caller asks for."""
        del emoji, markup
        return super().render_str(
            printable(text),
            style=style,
            justify=justify,
            overflow=overflow,
            emoji=False,
            markup=False,
            highlight=highlight,
            highlighter=highlighter,
        )


def shown(text: str, style: str = "", *, lines: bool = False) -> Text:
    """Return a text for any of rich's tables and consoles, in which no code has an effect."""
    return Text(printable(text, lines=lines), style=style)


def print_line(text: str) -> None:
    """Print one line of the program's own output; everything else goes to standard error."""
    sys.stdout.write(f"{printable(text)}\n")


def print_lines(text: str) -> None:
    """Print several lines of it, whose ends are our own."""
    sys.stdout.write(f"{printable(text, lines=True)}\n")


def print_json(value: BaseModel | JsonValue) -> None:
    """Print a record or value as JSON, in which every character is visible."""
    text = value.model_dump_json(indent=1) if isinstance(value, BaseModel) else json.dumps(value, indent=1)
    sys.stdout.write(f"{printable_json(text)}\n")


def complain(text: str) -> None:
    """Print a message on standard error; lines after the first are indented, so that they pass for no other message."""
    first, *others = text.splitlines() or [""]
    sys.stderr.write("".join(f"{line}\n" for line in (printable(first), *(f"  {printable(one)}" for one in others))))


def tolerate_any_text() -> None:
    """Let no name fail to be printed because of the terminal's encoding: missing characters are shown as Python's
    escapes.
    """
    for stream in (sys.stdout, sys.stderr):
        reconfigure = getattr(stream, "reconfigure", None)
        if reconfigure is not None:  # a test's own stream has none
            reconfigure(errors="backslashreplace")
