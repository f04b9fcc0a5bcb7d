"""Distributions that write the same files: whichever was installed last is there, and what pip lists is not."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

from packaging.utils import canonicalize_name

NAMED = re.compile(r"^package_name\s*=\s*['\"]([\w.-]+)['\"]", re.MULTILINE)


@dataclass(frozen=True)
class Overwritten:
    """One import package that several distributions have installed.

    Attributes:
        package: name of the import package.
        distributions: names and versions, "onnxruntime 1.32.0", by name.
        there: name of the one whose files are there, "" where the files do not say.
    """

    package: str
    distributions: tuple[str, ...]
    there: str = ""

    @property
    def sentence(self) -> str:
        """The finding and its remedy."""
        both = " and ".join(self.distributions)
        found = f"; the files are those of {self.there}" if self.there else ""
        return f"{both} write the same files, the package '{self.package}'{found}. {self.remedy}"

    @property
    def remedy(self) -> str:
        """Commands that leave one of them, the one for a GPU where there is one."""
        names = [one.rpartition(" ")[0] for one in self.distributions]
        kept = next((one for one in self.distributions if one.rpartition(" ")[0].endswith("-gpu")), "")
        if not kept:
            return f"Remove them all and reinstall one: pip uninstall -y {' '.join(names)}"
        pinned = "==".join(kept.rsplit(" ", 1))
        return f"pip uninstall -y {' '.join(names)} && pip install --no-deps {pinned}"


def overwritten(packages: Iterable[str], distributions: Iterable[metadata.Distribution]) -> tuple[Overwritten, ...]:
    """Return those of the packages that more than one distribution has installed.

    Args:
        packages: import names.
        distributions: all installed distributions.
    """
    wanted = list(packages)
    owners: dict[str, dict[str, metadata.Distribution]] = {}
    for one in distributions:
        record = "\n" + (one.read_text("RECORD") or "")
        for package in wanted:
            if f"\n{package}/__init__.py," in record:
                owners.setdefault(package, {})[canonicalize_name(one.metadata["Name"])] = one
    return tuple(
        Overwritten(
            package,
            tuple(f"{name} {found[name].version}" for name in sorted(found)),
            _named_by_files(package, next(iter(found.values()))),
        )
        for package, found in owners.items()
        if len(found) > 1
    )


def _named_by_files(package: str, owner: metadata.Distribution) -> str:
    """Name the owner of the files, as ONNX Runtime's do in a file of their own; "" for packages without one."""
    path = Path(str(owner.locate_file(f"{package}/capi/build_and_package_info.py")))
    try:
        told = NAMED.search(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError):
        return ""
    return told[1] if told else ""
