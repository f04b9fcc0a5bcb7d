"""TOML, and in our words what is wrong with a text that is none: the line, what was expected there and what it has."""

from __future__ import annotations

import re
import tomllib
from typing import Any, Final

PLACE = re.compile(r"\(at line (\d+), column \d+\)")
LONGEST_LINE = 60

EXPECTED: Final[tuple[tuple[str, str], ...]] = (
    (r"Expected '=' after a key", "= and a value after a key, as in batches = [1, 8]"),
    (r"Expected newline or end of document", "nothing more on this line"),
    (r"twice|overwrite|Duplicate|redefine|mutate", "each key and section only once"),
    (r"Expected '\]+' at the end", "a section's name in brackets, as in [bench] or [[models]]"),
    (r"Invalid statement|initial character for a key", "a key with its value, as in seed = 1, or a [section]"),
    (r"Unclosed array", "a bracket ] at the end of the list"),
    (r"Unclosed inline table", "a bracket } at the end of the table"),
    (r"Unescaped|hex value|Escaped character", r"a backslash as \\, or the text in single quotes"),
    (r"Unterminated string|Expected [\"']|character '\\n'", "a quote at the end of the text"),
    (r"Illegal character|invalid character", "printable characters"),
    (r"Invalid date", "a valid date, such as 2026-01-31"),
    (r"Invalid value", 'a value: 8, 0.5, true, "text", or a list such as [1, 8]'),
)
"""By what tomllib's sentence has in it, what was expected."""


class NotTomlError(ValueError):
    """A text that is no TOML.

    Attributes:
        line: where, from 1.
        expected: the right content of the line, in words.
        found: the line as far as it can be shown.
    """

    def __init__(self, line: int, expected: str, found: str) -> None:
        self.line, self.expected, self.found = line, expected, found
        super().__init__(f"line {line}: expected {expected}, found {found}")


def parse_toml(text: str) -> dict[str, Any]:
    """
    Raises:
        NotTomlError: it is none.
    """
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        said, lines = str(error), text.splitlines() or [""]
        place = PLACE.search(said)
        line = min(int(place[1]), len(lines)) if place else len(lines)
        content = lines[line - 1].strip()
        found = repr(content[:LONGEST_LINE]) if content else "nothing"
        found += "" if place else ", at the end of the file"
        raise NotTomlError(line, _expected(said), found) from error
    except RecursionError as error:
        raise NotTomlError(1, "brackets nested no deeper than in a study", "much deeper nesting") from error


def _expected(said: str) -> str:
    return next((words for pattern, words in EXPECTED if re.search(pattern, said)), "TOML, see https://toml.io")
