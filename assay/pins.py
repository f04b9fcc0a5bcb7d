"""Pinned lists of packages in pip's format: exact versions, with the hashes of the files that may be installed.

A list says no more than that. Options, addresses, folders and ranges are refused, and the installer is given a new list
made from the one read here, so that both read the same.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from packaging.markers import Marker
from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name

from assay.errors import InputError
from assay.files.mistakes import mistake_in

HASH = re.compile(r"--hash=sha256:([0-9a-f]{64})")
COMMENT = re.compile(r"(^|\s)#.*$")
MOST_BYTES = 4_000_000


@dataclass(frozen=True)
class Pin:
    """One package in one version.

    Attributes:
        name: the package's name as the index spells it, lower case with dashes.
        marker: where it is installed; None for everywhere.
        hashes: sha256 (hex) of the files that may be installed; empty where the list names none.
    """

    name: str
    version: str
    marker: Marker | None = None
    extras: tuple[str, ...] = ()
    hashes: tuple[str, ...] = ()

    def __str__(self) -> str:
        extras = f"[{','.join(self.extras)}]" if self.extras else ""
        marker = f" ; {self.marker}" if self.marker else ""
        return f"{self.name}{extras}=={self.version}{marker}"

    def line(self) -> str:
        """Return the pin in pip's format, with its hashes."""
        return " \\\n    ".join([str(self), *(f"--hash=sha256:{one}" for one in self.hashes)])


def read_pins(path: Path, *, hashed: bool = True) -> list[Pin]:
    """Read the packages of a list, in its order.

    Args:
        hashed: whether every package must have hashes; if not, either all have them or none.

    Raises:
        InputError: the list cannot be read, names nothing, or has a line that is not a pin.
    """
    try:
        with path.open("rb") as stream:
            text = stream.read(MOST_BYTES).decode("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"Cannot read the list of packages {path}", found=mistake_in(error)) from error
    pins = [_pin(line, f"{path} is not a pinned list") for line in _whole_lines(text)]
    if not pins:
        raise _no_pin(f"{path} is not a pinned list", "no packages")
    bare = [pin for pin in pins if not pin.hashes]
    if bare and (hashed or len(bare) < len(pins)):
        raise InputError(
            f"{path} lists a package without a hash",
            expected="package==1.2.3 --hash=sha256:...",
            found=f"'{bare[0]}'",
            remedy="Make the list with: uv pip compile --universal --generate-hashes",
        )
    return pins


def pin_given(option: str, text: str) -> Pin:
    """Return the package that an option names.

    Raises:
        InputError: it is not NAME==VERSION.
    """
    found = _pin(text, f"{option} does not name a package in one version")
    if found.hashes or found.marker or found.extras:
        raise InputError(f"{option} names more than a package and its version", expected="NAME==VERSION", found=text)
    return found


def _whole_lines(text: str) -> Iterator[str]:
    """Iterate over lines without comments, joining those that a backslash continues."""
    joined = ""
    for line in [*text.splitlines(), ""]:
        joined = f"{joined} {re.sub(COMMENT, '', line).strip()}".strip()
        if joined.endswith("\\"):
            joined = joined[:-1].strip()
        elif joined:
            yield joined
            joined = ""


def _pin(line: str, otherwise: str) -> Pin:
    """
    Raises:
        InputError: it is something else.
    """
    requirement, *options = re.split(r"\s+(?=--)", line)
    found = [HASH.fullmatch(option.strip()) for option in options]
    try:
        wanted = Requirement(requirement)
    except InvalidRequirement as error:
        raise _no_pin(otherwise, f"'{line[:200]}'") from error
    only = list(wanted.specifier)
    exact = len(only) == 1 and only[0].operator == "==" and not only[0].version.endswith("*")
    if wanted.url or not exact or not all(found):
        raise _no_pin(otherwise, f"'{line[:200]}'")
    hashes = tuple(one.group(1) for one in found if one)
    return Pin(canonicalize_name(wanted.name), only[0].version, wanted.marker, tuple(sorted(wanted.extras)), hashes)


def _no_pin(what: str, found: str) -> InputError:
    return InputError(what, expected="package==1.2.3, in a list also with markers and --hash=sha256:", found=found)
