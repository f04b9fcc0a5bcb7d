"""The packages of an atlas in other versions: an environment for the jobs, and the routes that it matters to."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from assay.bench.atlas.suites.suite import Suite
from assay.errors import InputError
from assay.pins import Pin, pin_given
from assay.toolenv import Progress, ensure_beside

OPTION = "--with"


@dataclass(frozen=True)
class OtherVersions:
    """An environment that has some packages in other versions than this one, and all others as they are here."""

    pins: tuple[Pin, ...]
    python: Path

    @property
    def versions(self) -> dict[str, str]:
        """Return these versions by package."""
        return {one.name: one.version for one in self.pins}

    @property
    def words(self) -> str:
        """The packages in words, "torch 2.12.1, onnxscript 0.6.2"."""
        return ", ".join(f"{one.name} {one.version}" for one in self.pins)


def pins_of(packages: Sequence[str]) -> tuple[Pin, ...]:
    """Return packages that were named as NAME==VERSION.

    Raises:
        InputError: one is not named so.
    """
    return tuple({one.name: one for one in (pin_given(OPTION, text) for text in packages)}.values())


def routes_with(pins: Sequence[Pin], suite: Suite) -> tuple[str, ...]:
    """Return the routes of a suite that use one of some packages.

    Raises:
        InputError: none does.
    """
    names = {one.name for one in pins}
    found = tuple(one for one in suite.routes if names & set(suite.packages_of(one)))
    if not found:
        raise InputError(
            f"{OPTION} names no package that {suite.title} are exported or run with",
            expected=f"one of {', '.join(suite.packages)}",
            found=", ".join(map(str, pins)),
        )
    return found


def with_others(pins: tuple[Pin, ...], progress: Progress) -> OtherVersions:
    """Make the environment of packages in other versions.

    Raises:
        NotInstalledError: uv is missing, or the packages cannot be obtained.
    """
    return OtherVersions(pins, ensure_beside(pins, progress))
