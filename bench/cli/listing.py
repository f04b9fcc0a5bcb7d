"""The command `assay list`: the names that studies and options take, and what each of them needs."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import metadata
from importlib.util import find_spec
from typing import TYPE_CHECKING, Annotated

import typer

from assay.bench.cli.options import Json
from assay.bench.words.terminal import Terminal, print_json, shown

if TYPE_CHECKING:
    from assay.entries import Entry

DISTRIBUTION = "onnx-assay"
OF_DEVELOPERS = frozenset(("dev", "mutants", "notebook"))
"""Extras for work on Assay itself."""
RUNTIMES, EXTRAS = "runtimes", "extras"
NAMES_OF = (RUNTIMES, "exporters", "architectures", "datasets", EXTRAS)

Listed = dict[str, str]
"""A name, a line about it, and what has to be installed for it, "" where nothing has."""


def list_names(
    kind: Annotated[str, typer.Argument(metavar="KIND", help=f"What to list: {', '.join(NAMES_OF)}.")],
    as_json: Json = False,
) -> None:
    """List the names for a study or an option: runtimes, exporters, architectures, datasets or extras."""
    from rich.table import Table

    from assay.errors import unknown_name

    if kind not in NAMES_OF:
        raise unknown_name("kind of names", kind, NAMES_OF)
    found = _extras() if kind == EXTRAS else _registered(kind)
    if as_json:
        print_json({kind: list(map(dict, found))})
        return
    table = Table(box=None, pad_edge=False, show_header=False, padding=(0, 2, 0, 0))
    table.add_column(no_wrap=True)
    for one in found:
        missing = f" (missing: {one['install']})" if one["install"] else ""
        table.add_row(shown(one["name"], "bold"), shown(one["summary"] + missing))
    Terminal().print(table)


def _registered(kind: str) -> list[Listed]:
    """List the entries; the rulers among the runtimes, which are the instrument's own, are left out."""
    from assay import registry

    if kind == RUNTIMES:
        known = [one for one in registry.RUNTIMES.values() if not one.ruler]
        return [_listed(one.name, one.summary, one.needed, one.installed_by) for one in known]
    entries: Mapping[str, Entry] = getattr(registry, kind.upper())
    return [_listed(one.name, one.summary, one.packages, one.extra) for one in entries.values()]


def _extras() -> list[Listed]:
    """List the extras of this distribution, with the distributions that each brings.

    Raises:
        NotInstalledError: this runs from a folder that was never installed and so has no extras.
    """
    from assay.errors import NotInstalledError

    try:
        about = metadata.metadata(DISTRIBUTION)
    except metadata.PackageNotFoundError as error:
        raise NotInstalledError(
            "The list of extras is unknown", remedy=f"Install it first: pip install {DISTRIBUTION}"
        ) from error
    found = []
    for name in about.get_all("Provides-Extra") or ():
        if name not in OF_DEVELOPERS:
            brought = _brought_by(name)
            install = "" if all(map(_is_installed, brought)) else _installing(name)
            found.append({"name": name, "summary": ", ".join(brought), "install": install})
    return found


def _brought_by(extra: str) -> tuple[str, ...]:
    """Return the names of the distributions that an extra asks for here, including those of the extras in it."""
    from packaging.requirements import Requirement
    from packaging.utils import canonicalize_name

    brought: dict[str, None] = {}
    waiting, seen = [extra], set[str]()
    wanted = [Requirement(text) for text in metadata.requires(DISTRIBUTION) or ()]
    while waiting:
        current = waiting.pop()
        seen.add(current)
        for one in wanted:
            if one.marker is None or not one.marker.evaluate({"extra": current}):
                continue
            if canonicalize_name(one.name) == DISTRIBUTION:
                waiting += one.extras - seen
            else:
                brought[one.name] = None
    return tuple(brought)


def _is_installed(distribution: str) -> bool:
    try:
        return bool(metadata.version(distribution))
    except metadata.PackageNotFoundError:
        return False


def _listed(name: str, summary: str, packages: tuple[str, ...], extra: str) -> Listed:
    missing = any(find_spec(package.partition(".")[0]) is None for package in packages)
    return {"name": name, "summary": summary, "install": _installing(extra) if missing else ""}


def _installing(extra: str) -> str:
    return f"pip install '{DISTRIBUTION}[{extra}]'" if extra else f"pip install {DISTRIBUTION}"
