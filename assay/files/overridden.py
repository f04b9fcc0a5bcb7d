"""Single keys of a parsed TOML document, changed by texts such as "bench.batches=[1,8]"."""

from __future__ import annotations

import copy
import re
from collections.abc import Iterable
from typing import Any

from assay.errors import StudyError
from assay.files.toml import NotTomlError, parse_toml

CHANGE = re.compile(r"\s*(?P<key>[A-Za-z0-9_-]+(?:\.[A-Za-z0-9_-]+)*)\s*=\s*(?P<value>.*\S)\s*")
BARE_TEXT = re.compile(r"(?!(?:true|false|inf|nan)$)[A-Za-z/~.][^\"'\\\[\]{}\x00-\x1f\x7f]*")
EXAMPLE = "bench.batches=[1,8]"
LONGEST = 120
"""The longest part of a change that a message shows."""


def overridden(document: dict[str, Any], changes: Iterable[str]) -> dict[str, Any]:
    """Return the document with the keys set in turn; the given document stays as it is.

    Args:
        changes: "KEY=VALUE" each. A key is a path such as bench.batches or, in a list, models.0.sizes. A value is
            TOML's; a word without quotes, which a shell takes away, is text, alone or in a list.

    Raises:
        StudyError: a change is not such a text, or its key leads through something that has no keys.
    """
    changed = copy.deepcopy(document)
    for change in changes:
        found = CHANGE.fullmatch(change)
        if not found:
            raise StudyError("--set needs KEY=VALUE", expected=f"such as {EXAMPLE}", found=repr(change)[:LONGEST])
        *path, last = found["key"].split(".")
        _set(_reached(changed, path, change), last, _value(found["value"], change), change)
    return changed


def _value(text: str, change: str) -> Any:
    for written in (text, _quoted(text)):
        try:
            return parse_toml(f"value = {written}")["value"]
        except NotTomlError:
            continue
    raise StudyError(
        f"--set {change[:LONGEST]}",
        expected="a value of TOML after the first =: 8, 0.5, true, a word, or a list such as [1,8]",
        found=text[:LONGEST],
    )


def _quoted(text: str) -> str:
    """Return the text with its words in quotes, but not numbers, true or false."""
    listed = text.startswith("[") and text.endswith("]")
    words = text[1:-1].split(",") if listed else [text]
    quoted = [f'"{word.strip()}"' if BARE_TEXT.fullmatch(word.strip()) else word for word in words]
    return f"[{','.join(quoted)}]" if listed else quoted[0]


def _reached(document: Any, path: list[str], change: str) -> Any:
    """Return the section or list that holds the last key of a path; missing sections are created."""
    place = document
    for depth, key in enumerate(path):
        if isinstance(place, dict):
            place = place.setdefault(key, {})
        else:
            place = place[_index(place, key, ".".join(path[:depth]), change)]
    return place


def _set(place: Any, key: str, value: Any, change: str) -> None:
    if isinstance(place, dict):
        place[key] = value
    else:
        place[_index(place, key, change.partition("=")[0].rpartition(".")[0].strip(), change)] = value


def _index(place: Any, key: str, name: str, change: str) -> int:
    """Return the place in a list that a key names."""
    if not isinstance(place, list):
        raise StudyError(
            f"--set {change[:LONGEST]}", expected=f"a section or a list named {name}", found=repr(place)[:60]
        )
    if not (key.isascii() and key.isdecimal() and int(key) < len(place)):
        expected = f"a number from 0 to {len(place) - 1} after {name}" if place else f"an entry in {name}"
        raise StudyError(f"--set {change[:LONGEST]}", expected=expected, found=f"'{key}'")
    return int(key)
