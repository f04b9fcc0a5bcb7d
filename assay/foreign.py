"""What the exceptions and logs of others say, as one line for a person: no escape codes, no path of this machine.

Frameworks put the cause last, behind pages of advice, and colour it for a terminal that may not be there. What is cut
here keeps its beginning and its cause.
"""

from __future__ import annotations

import re
from pathlib import Path

LONGEST = 300
SHARE_OF_BEGINNING = 0.45
ESCAPE_CODE = re.compile(r"\x1b\[[0-9;?]*[ -/]*[@-~]|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)")
FOLDERS = re.compile(r"(?<![\w.:/~-])/(?:[^\s/'\"`:,;()\[\]{}<>|]+/)+")


def said_by(error: BaseException, longest: int = LONGEST) -> str:
    """An exception's text on one line; of one that is too long the beginning, and the cause that it was raised from."""
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
    """Text on one line without escape codes, files named without the folders of this machine that they lie in."""
    plain = ESCAPE_CODE.sub("", text)
    return " ".join(FOLDERS.sub(_without_folder, plain).split())


def shortened(text: str, longest: int = LONGEST) -> str:
    """A line of at most so many characters: its beginning and its end, since the cause may stand in either."""
    if len(text) <= longest:
        return text
    begins = _cut(text, int(SHARE_OF_BEGINNING * longest))
    ends = text[-(longest - len(begins) - 5) :]
    return f"{begins} ... {ends[ends.find(' ') + 1 :]}"


def cause_of(error: BaseException) -> BaseException:
    """The exception that all began with: the first of those that it was raised from, or while handling."""
    seen = {id(error)}
    while True:
        before = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
        if before is None or id(before) in seen:
            return error
        seen.add(id(before))
        error = before


def _cut(text: str, longest: int) -> str:
    """The whole words at the beginning."""
    return text if len(text) <= longest else text[:longest].rsplit(" ", 1)[0]


def _without_folder(found: re.Match[str]) -> str:
    """An empty text in the place of a folder that this machine has; names in graphs look like paths too."""
    folders = found[0]
    packages = folders.rpartition("/site-packages/")
    if packages[1]:
        return packages[2]
    first = Path("/", folders.split("/")[1])
    return "" if first.is_dir() and first != Path("/") else folders
