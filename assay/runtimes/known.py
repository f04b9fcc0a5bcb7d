"""All runtimes that are known here: ours, and those that other distributions bring.

Ours are the files of this folder that have `ENTRIES`. Another distribution declares, in its `pyproject.toml`,

    [project.entry-points."onnx_assay.runtimes"]
    anything = "its_package.its_module:ENTRIES"

with one `RuntimeEntry` or several. Its module is imported where names of runtimes are read, so it must not import the
libraries that it runs on: the functions that it names by text do. If any of it cannot be used, all of it is refused and
named, and nothing else is affected.
"""

from __future__ import annotations

import contextlib
import functools
import importlib
import pkgutil
import re
import sys
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, fields, replace
from importlib import metadata

import assay.runtimes
from assay.entries import Registry
from assay.errors import unknown_name
from assay.runtimes.entry import LAST, SHADES, Family, Looks, RuntimeEntry

GROUP = "onnx_assay.runtimes"
NAME = re.compile(r"[a-z][a-z0-9]*([._-][a-z0-9]+)*")
"""Names become labels, parts of paths and of other names."""
COLOUR = re.compile(r"#[0-9a-f]{6}")
SHAPES = frozenset((
    "circle", "square", "cross", "diamond", "triangle-up", "triangle-down", "triangle-right", "triangle-left", "arrow",
    "wedge",
))  # fmt: skip
MOST_WORDS = 120
WEIGHTS = "weights"
"""The format of our own architectures: neutral weights."""
FORMATS = frozenset((WEIGHTS, "torch", "torch-decode", "tf", "jax", "onnx"))
DEVICES = frozenset(("cpu", "cuda"))


@dataclass(frozen=True)
class RefusedDistribution:
    """A distribution's runtimes that cannot be used.

    Attributes:
        distribution: its name and version.
        declared: the entry point, "anything = its_package.its_module:ENTRIES".
        reason: the reason, in one line.
    """

    distribution: str
    declared: str
    reason: str

    def __str__(self) -> str:
        return f"{self.distribution} provides no usable runtime ({self.declared}): {self.reason}"


class KnownRuntimes(Registry[RuntimeEntry]):
    """The registry of runtimes. Those of other distributions are looked for once, when a name is first read."""

    def __init__(self) -> None:
        super().__init__("runtime", _ours())

    @functools.cached_property
    def _all(self) -> tuple[Mapping[str, RuntimeEntry], tuple[RefusedDistribution, ...]]:
        return with_others(self._entries)

    @property
    def entries(self) -> Mapping[str, RuntimeEntry]:
        return self._all[0]

    @property
    def refused(self) -> tuple[RefusedDistribution, ...]:
        """Runtimes of other distributions that cannot be used."""
        return self._all[1]

    @property
    def families(self) -> tuple[Family, ...]:
        """All families of runtimes, in the order of lists and legends."""
        return tuple({entry.family.name: entry.family for entry in self.values()}.values())

    def __getitem__(self, name: str) -> RuntimeEntry:
        """
        Raises:
            InputError: there is no such runtime; the error says which refused distribution might have brought it, and
                why it was refused.
        """
        if name not in self.entries:
            raise unknown_name(self.kind, name, self.entries, also=" ".join(map(str, self.refused)))
        return self.entries[name]

    def find(self, name: str) -> RuntimeEntry | None:
        """Return the entry of a name; None for a name from an older record, or of a distribution that is not installed
        here.
        """
        return self.entries.get(name)

    def siblings(self, family: Family) -> tuple[RuntimeEntry, ...]:
        """Return the runtimes of a family, in their order."""
        return tuple(entry for entry in self.values() if entry.family.name == family.name)

    def levels(self, entry: RuntimeEntry) -> tuple[RuntimeEntry, ...]:
        """Return a runtime with those of its family that differ from it only in the level of graph optimisation, from
        the lowest level to the highest.
        """
        if not entry.level:
            return (entry,)
        order = ("none", "basic", "extended", "all")
        found = [one for one in self.siblings(entry.family) if one.level]
        return tuple(sorted(found, key=lambda one: order.index(one.level)))

    def unasked(self, occasion: str, device: str = "cpu") -> tuple[RuntimeEntry, ...]:
        """Return the runtimes that are timed on an occasion without having been named.

        Args:
            device: device that is asked for: a runtime for another device alone is left out.
        """
        return tuple(one for one in self.values() if occasion in one.unasked and {"cpu", device} & {*one.devices})

    def usual(self, occasion: str, device: str) -> tuple[str, ...]:
        """Return the names of those."""
        return tuple(one.name for one in self.unasked(occasion, device))

    def loading(self, kind: str) -> tuple[RuntimeEntry, ...]:
        """Return the runtimes that run models of a format, without the rulers."""
        return tuple(entry for entry in self.values() if kind in entry.formats and not entry.ruler)


def _ours() -> list[RuntimeEntry]:
    """Return the entries of every file of this folder, family by family."""
    names = [one.name for one in pkgutil.iter_modules(assay.runtimes.__path__, f"{assay.runtimes.__name__}.")]
    modules = [importlib.import_module(name) for name in names if name != __name__]
    found: list[RuntimeEntry] = [entry for module in modules for entry in getattr(module, "ENTRIES", ())]
    return sorted(found, key=lambda entry: entry.family.place)


def with_others(
    ours: Mapping[str, RuntimeEntry], points: Iterable[metadata.EntryPoint] | None = None
) -> tuple[dict[str, RuntimeEntry], tuple[RefusedDistribution, ...]]:
    """Return our runtimes and those of other distributions, in the order of their families and distributions.

    Args:
        points: the entry points; None for those of all installed distributions.
    """
    known, refused = dict(ours), list[RefusedDistribution]()
    found = metadata.entry_points(group=GROUP) if points is None else points
    for point in sorted(found, key=lambda one: (_told_by(one), one.name)):
        try:
            for entry in _entries_of(point, known):
                known[entry.name] = entry
        except _UnusableError as error:
            refused.append(RefusedDistribution(_told_by(point), f"{point.name} = {point.value}", str(error)))
    return known, tuple(refused)


class _UnusableError(Exception):
    """A distribution's entries cannot be used; the text says why."""


def _told_by(point: metadata.EntryPoint) -> str:
    return f"{point.dist.name} {point.dist.version}" if point.dist else "an unknown distribution"


def _entries_of(point: metadata.EntryPoint, known: Mapping[str, RuntimeEntry]) -> list[RuntimeEntry]:
    """
    Raises:
        _UnusableError: its module does not import, or has no entries that can be used.
    """
    before = set(sys.modules)
    try:
        with contextlib.redirect_stdout(sys.stderr):
            made = point.load()
    except (Exception, SystemExit) as error:  # any exception, since the module is somebody else's
        raise _UnusableError(f"{type(error).__name__}: {error}"[:300].replace("\n", " ")) from error
    heavy = {package for entry in known.values() for package in entry.packages} & (set(sys.modules) - before)
    if heavy:
        raise _UnusableError(f"reading it imports {', '.join(sorted(heavy))}, which only its named functions may do")
    entries = [made] if isinstance(made, RuntimeEntry) else made
    if not isinstance(entries, list | tuple) or not entries:
        raise _UnusableError(f"{point.attr} is neither a RuntimeEntry nor a list of them, found {type(made).__name__}")
    taken = dict(known)
    for entry in entries:
        for problem in _problems(entry, taken):
            raise _UnusableError(problem)
        taken[entry.name] = entry
    return [replace(entry, distribution=_told_by(point)) for entry in entries]


def _problems(entry: object, known: Mapping[str, RuntimeEntry]) -> Iterator[str]:
    """Iterate over what is wrong with one entry of another distribution."""
    if not isinstance(entry, RuntimeEntry):
        yield f"a {type(entry).__name__} among its runtimes is not a RuntimeEntry"
        return
    if not isinstance(entry.name, str) or len(entry.name) > MOST_WORDS or not NAME.fullmatch(entry.name):
        yield f"the name {str(entry.name)[:60]!r} is not made of letters, digits and single dots, dashes or underscores"
    told = f"its runtime '{entry.name}'"
    if entry.name in known:
        yield f"{told} has the name of one of {known[entry.name].distribution or 'Assay'}"
    if not isinstance(entry.family, Family):
        yield f"{told} has no Family"
        return
    yield from _problems_of_texts(entry, told)
    yield from _problems_of_family(entry.family, told, known)
    for what, given, allowed in (("loads", entry.formats, FORMATS), ("runs on", entry.devices, DEVICES)):
        if not given or not set(given) <= allowed:
            yield f"{told} {what} {', '.join(given) or 'nothing'}, expected some of {', '.join(sorted(allowed))}"
    if entry.ruler or entry.unasked or entry.served_by or entry.runner or entry.environments:
        yield (
            f"{told} sets a field that only Assay's own runtimes may set: ruler, unasked, served_by, "
            "runner, environments"
        )


def _problems_of_texts(entry: RuntimeEntry, told: str) -> Iterator[str]:
    texts = [value for one in fields(entry) if isinstance(value := getattr(entry, one.name), str)]
    if any(len(text) > MOST_WORDS or not text.isprintable() for text in texts):
        yield f"{told} has a text that is longer than {MOST_WORDS} characters or not plain text"
    if not _is_target(entry.target):
        yield f"{told} does not name any code: {entry.target!r} is not module:function"
    if entry.shape and entry.shape not in SHAPES:
        yield f"{told} has the shape '{entry.shape}', expected one of {', '.join(sorted(SHAPES))}"


def _problems_of_family(family: Family, told: str, known: Mapping[str, RuntimeEntry]) -> Iterator[str]:
    if family in (one.family for one in known.values()):
        return
    if any(one.family.name == family.name for one in known.values()):
        yield f"{told} is of a family '{family.name}' whose name another family has"
    if not NAME.fullmatch(family.name) or "." in family.name:
        yield f"{told} is of a family whose name is not made of letters and digits: {family.name[:60]!r}"
    if not family.words or len(family.words) > MOST_WORDS or not family.words.isprintable():
        yield f"{told} is of a family without words for people"
    if family.framework not in {"torch", "tf", "jax", "onnx"}:
        yield f"{told} runs models of '{family.framework}', expected torch, tf, jax or onnx"
    if family.place < LAST:
        yield f"{told} is of a family that asks for a position before {LAST}, which only Assay's own may have"
    looks = family.looks
    if not isinstance(looks, Looks) or looks.shape not in SHAPES:
        yield f"{told} has no `looks` with a shape among {', '.join(sorted(SHAPES))}"
        return
    for shades in (looks.light, looks.dark):
        if len(shades) != SHADES or not all(COLOUR.fullmatch(shade) for shade in shades):
            yield f"{told} has no {SHADES} colours such as #0b5cad for light and for dark pages"


def _is_target(text: str) -> bool:
    module, separator, attribute = text.partition(":")
    return bool(separator) and attribute.isidentifier() and all(part.isidentifier() for part in module.split("."))
