"""Records in text, read only if they have a size that records can have.

Python's JSON reader makes a call for every bracket, so a file of 100,000 brackets ends in a RecursionError, which is
not a ValueError: here it becomes one.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from assay.errors import ArtifactError

MOST_BYTES = 64 << 20
"""The largest record allowed; the largest of a real study, its audit, takes 10 MiB."""


def read_text(path: Path, at_most: int = MOST_BYTES) -> str:
    """
    Raises:
        OSError: it cannot be read.
        ValueError: it is not UTF-8.
        ArtifactError: it is larger than `at_most` bytes.
    """
    return read_bytes(path, at_most).decode("utf-8")


def read_bytes(path: Path, at_most: int = MOST_BYTES) -> bytes:
    """
    Raises:
        OSError: it cannot be read.
        ArtifactError: it is larger than `at_most` bytes.
    """
    check_plain(path)
    with path.open("rb") as stream:
        content = stream.read(at_most + 1)
    if len(content) > at_most:
        raise ArtifactError(
            f"{path} is too large for a record", expected=f"at most {at_most:,} bytes", found=f"{path.stat().st_size:,}"
        )
    return content


def check_plain(path: Path) -> None:
    """Refuse a pipe or device, which may never begin or never end; a missing file is left to the code that opens it.

    Raises:
        ArtifactError: it is one.
    """
    if path.exists() and not path.is_file() and not path.is_dir():
        raise ArtifactError(f"{path} is not a plain file", expected="a file", found="a pipe, socket or device")


def read_json(path: Path, at_most: int = MOST_BYTES) -> Any:
    """
    Raises:
        OSError: it cannot be read.
        ValueError: it is not a JSON, or nested deeper than any record.
        ArtifactError: it is larger than `at_most` bytes.
    """
    return parse_json(read_text(path, at_most))


def parse_json(text: str | bytes) -> Any:
    """
    Raises:
        ValueError: it is not a JSON in UTF-8, or nested deeper than any record.
    """
    try:
        return json.loads(text if isinstance(text, str) else text.decode("utf-8"))  # json would guess the encoding
    except RecursionError as error:
        raise ValueError("brackets nested deeper than in any record") from error
