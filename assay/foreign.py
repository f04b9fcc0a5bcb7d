"""Foreign exceptions and logs as one line for a person: without escape codes or paths of this machine.

Frameworks put the cause last, behind pages of advice, and colour it for a terminal that may not be there. A text that
is cut here keeps its beginning and its cause.
"""

from __future__ import annotations

import re
from pathlib import Path

LONGEST = 300
SHARE_OF_BEGINNING = 0.45
ESCAPE_CODE = re.compile(r"\x1b\[[0-9;?]*[ -/]*[@-~]|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)")
FOLDERS = re.compile(r"(?<![\w.:/~-])/(?:[^\s/'\"`:,;()\[\]{}<>|]+/)+")


def said_by(error: BaseException, longest: int = LONGEST) -> str:
    """Return an exception's text on one line; a text that is too long is cut to its beginning and its cause."""
    text = cleaned(str(error))
    if len(text) <= longest:
        return text
    cause = cause_of(error)
    if cause is error:
        return shortened(text, longest)
    begins = _cut(text, int(SHARE_OF_BEGINNING * longest))
    ends = cleaned(f"{type(cause).__name__}: {cause}")
    return f"{begins} ... {_cut(ends, longest - len(begins) - 5)}"


def cleaned(text: str) -> str:
    """Return a text on one line without escape codes, and without the folders of this machine before the names of
    files.
    """
    plain = ESCAPE_CODE.sub("", text)
    return " ".join(FOLDERS.sub(_without_folder, plain).split())


def shortened(text: str, longest: int = LONGEST) -> str:
    """Shorten a line to so many characters: its beginning and its end remain, since the cause may be in either."""
    if len(text) <= longest:
        return text
    begins = _cut(text, int(SHARE_OF_BEGINNING * longest))
    ends = text[-(longest - len(begins) - 5) :]
    return f"{begins} ... {ends[ends.find(' ') + 1 :]}"


def cause_of(error: BaseException) -> BaseException:
    """Return the exception at the origin of another: the first in its chain of causes and contexts."""
    seen = {id(error)}
    while True:
        before = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
        if before is None or id(before) in seen:
            return error
        seen.add(id(before))
        error = before


def _cut(text: str, longest: int) -> str:
    """Return the whole words at the beginning of a text."""
    return text if len(text) <= longest else text[:longest].rsplit(" ", 1)[0]


def _without_folder(found: re.Match[str]) -> str:
    """Return "" for a folder that exists on this machine; names in graphs look like paths too, and stay."""
    folders = found[0]
    packages = folders.rpartition("/site-packages/")
    if packages[1]:
        return packages[2]
    first = Path("/", folders.split("/")[1])
    return "" if first.is_dir() and first != Path("/") else folders
