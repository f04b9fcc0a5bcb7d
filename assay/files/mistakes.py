"""The first mistake in a file that should hold a record, in our own words.

Neither pydantic's sentences nor the numbers of the operating system tell a person which key of which file to mend.
Pydantic is not imported: readers of arrays are also used in tool environments, which lack it.
"""

from __future__ import annotations

import json
import re
import zipfile
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from pydantic_core import ErrorDetails

LONGEST_VALUE = 60
PLACE = re.compile(r"at line (\d+) column (\d+)")
"""In what pydantic says of a text that is no JSON."""

EXPECTED: Final[Mapping[str, str]] = {
    "int": "a whole number",
    "float": "a number",
    "finite_number": "a finite number",
    "bool": "true or false",
    "string": "text",
    "path": "a path",
    "bytes": "text",
    "list": "a list",
    "tuple": "a list",
    "set": "a list",
    "dict": "an object with keys",
    "mapping": "an object with keys",
    "model": "an object with keys",
    "model_attributes": "an object with keys",
    "dataclass": "an object with keys",
    "literal_error": "{expected}",
    "enum": "{expected}",
    "none_required": "null",
    "greater_than": "more than {gt}",
    "greater_than_equal": "{ge} or more",
    "less_than": "less than {lt}",
    "less_than_equal": "{le} or less",
    "multiple_of": "a multiple of {multiple_of}",
    "too_short": "at least {min_length} entries",
    "too_long": "at most {max_length} entries",
    "string_too_short": "at least {min_length} characters",
    "string_too_long": "at most {max_length} characters",
    "string_pattern_mismatch": "text like {pattern}",
}
"""Descriptions of what was expected, by pydantic's type of a mistake, or by the part of it before `_type`, `_parsing`
or `_from_float`.
"""


def mistake_in(error: Exception) -> str:
    """Say in one line what is wrong with a record's file, or with reading it.

    Args:
        error: raised by reading the file, by parsing it, or by `model_validate` or `model_validate_json`.
    """
    details = getattr(error, "errors", None)
    if callable(details):  # pydantic's ValidationError
        return mistake(details()[0])
    if isinstance(error, json.JSONDecodeError):
        ends = error.pos >= len(error.doc.rstrip())
        return _no_json(error.lineno, error.colno, ends=ends) if error.doc.strip() else "an empty file"
    said = " ".join(str(error).split()) or type(error).__name__
    if isinstance(error, OSError):
        reason = getattr(error, "reason", None)  # of urllib's, which wraps the system's
        said = mistake_in(reason) if isinstance(reason, OSError) else error.strerror or said
    elif isinstance(error, UnicodeDecodeError):
        said = "bytes that are not text in UTF-8"
    elif isinstance(error, zipfile.BadZipFile):
        said = "an incomplete archive"
    elif type(error).__name__ == "DecodeError":  # of protobuf, which is not imported here
        said = "bytes that are not such a message, or only a part of it"
    elif isinstance(error, KeyError):
        said = f"no key '{error.args[0]}'"
    return said


def mistake(detail: ErrorDetails) -> str:
    """Describe one mistake that pydantic found: its place and what was expected there."""
    place = ".".join(map(str, detail["loc"]))
    return f"{place}: {_in_words(detail)}" if place else _in_words(detail)


def _in_words(detail: ErrorDetails) -> str:
    kind, context = detail["type"], detail.get("ctx", {})
    if kind == "missing":
        return "it is missing"
    if kind == "extra_forbidden":
        return "the key is unknown"
    if kind == "json_invalid":
        said = str(context["error"])
        line, column = map(int, place.groups()) if (place := PLACE.search(said)) else (1, 1)
        return _no_json(line, column, ends=said.startswith("EOF")) if _is_text(detail["input"]) else "an empty file"
    if kind in ("value_error", "assertion_error"):
        inner = context["error"]
        return mistake_in(inner) if hasattr(inner, "errors") else " ".join(str(inner).split())
    family = kind.removesuffix("_type").removesuffix("_parsing").removesuffix("_from_float")
    expected = EXPECTED.get(family)
    found = f"found {_shown(detail['input'])}"
    return f"expected {expected.format(**context)}, {found}" if expected else f"{found}, which is not possible"


def _no_json(line: int, column: int, *, ends: bool) -> str:
    """A text that is no JSON, by where it stops being one."""
    how = "it ends in" if ends else "it is invalid from"
    return f"text that is not valid JSON: {how} line {line}, column {column}"


def _is_text(content: Any) -> bool:
    return bool(content.strip()) if isinstance(content, str | bytes) else True


def _shown(value: Any) -> str:
    """Return a JSON value as text that fits on a line."""
    if isinstance(value, Mapping):
        return "an object with keys" if value else "an object without keys"
    if isinstance(value, list | tuple):
        return f"a list of {len(value)}"
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    text = repr(value)
    return text if len(text) <= LONGEST_VALUE else f"{text[:LONGEST_VALUE]}..."
