"""A registered name with the code behind it, and the table of all names of one kind."""

from __future__ import annotations

import functools
import importlib
import importlib.metadata
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from importlib.util import LazyLoader, find_spec, module_from_spec
from pathlib import Path
from types import ModuleType
from typing import Any, Generic, Protocol, TypeVar

from assay.errors import InputError, missing, unknown_name


@functools.cache
def _distributions() -> Mapping[str, list[str]]:
    """Return distributions by import package; the scan of all of them takes a third of a second."""
    return importlib.metadata.packages_distributions()


def _distribution_of(package: str) -> str:
    """Return the distribution that provides an import package, "" where none does.

    Most have its name, and some one that ends in the device that they are for; only where neither is there, or says
    that it provides other packages, are all looked through.
    """
    for name in (package, f"{package}-cpu", f"{package}-gpu"):
        with suppress(importlib.metadata.PackageNotFoundError):
            own = importlib.metadata.distribution(name)
            declared = (own.read_text("top_level.txt") or "").split()
            if package in declared or (not declared and Path(str(own.locate_file(package))).is_dir()):
                return name
    return next(iter(_distributions().get(package, ())), "")


def installed_versions(packages: Iterable[str]) -> dict[str, str]:
    """Return the versions of import packages (tensorflow-cpu provides tensorflow); those not installed are left out."""
    found = {name: _distribution_of(name) for name in packages}
    return {name: importlib.metadata.version(distribution) for name, distribution in found.items() if distribution}


def imported_late(name: str) -> ModuleType:
    """Return a package that is imported when something of it is first used; it has to be installed."""
    if name in sys.modules:
        return sys.modules[name]
    found = find_spec(name)
    if found is None or found.loader is None:
        raise ModuleNotFoundError(f"No module named {name!r}", name=name)
    found.loader = LazyLoader(found.loader)
    module = sys.modules[name] = module_from_spec(found)
    found.loader.exec_module(module)
    return module


def load_target(name: str, target: str, extra: str = "") -> object:
    """Import and return the code behind a name.

    Args:
        target: "module:attribute".
        extra: the extra of this distribution that installs what the code needs, or "".

    Raises:
        NotInstalledError: a package that the code needs is missing.
    """
    module, _, attribute = target.partition(":")
    try:
        return getattr(importlib.import_module(module), attribute)
    except ModuleNotFoundError as error:
        if error.name and error.name.split(".")[0] == "assay":
            raise
        raise missing(f"'{name}'", error, extra) from error


def load_function(name: str, target: str, extra: str = "") -> Callable[..., Any]:
    """Import and return a function or a class, like `load_target`; the table of its kind says what it takes and
    returns.

    Raises:
        NotInstalledError: a package that the code needs is missing.
        InputError: it cannot be called.
    """
    found = load_target(name, target, extra)
    if not callable(found):
        raise InputError(f"The code behind '{name}' is not a function", expected=target, found=type(found).__name__)
    return found


class Named(Protocol):
    """The one thing that a registry asks of its entries: a name."""

    @property
    def name(self) -> str:
        """The name users write."""


Kind = TypeVar("Kind", bound=Named)


@dataclass(frozen=True)
class Entry:
    """One registered name.

    Attributes:
        name: the name users write.
        target: "module:attribute" of the code behind it.
        summary: one line for lists and help texts.
        framework: "torch", "tf", "jax", "onnx" or "" where no framework is involved.
        extra: the extra of this distribution that installs what the code needs, or "".
        packages: import names of the packages that it needs.
    """

    name: str
    target: str
    summary: str
    framework: str = ""
    extra: str = ""
    packages: tuple[str, ...] = ()

    @property
    def lacks(self) -> str:
        """The first package that it needs and that is not there, "" where all are; none is imported."""
        return next((package for package in self.packages if find_spec(package) is None), "")

    def check_installed(self, who: str) -> None:
        """Check that the packages that it needs are there, without importing them.

        Args:
            who: name of the requester, as the subject of a sentence.

        Raises:
            NotInstalledError: a package is missing.
        """
        if self.lacks:
            raise missing(who, ModuleNotFoundError(name=self.lacks), self.extra)

    def load(self) -> Callable[..., Any]:
        """Import and return the function or class behind the name.

        Raises:
            NotInstalledError: a package that the code needs is missing.
        """
        return load_function(self.name, self.target, self.extra)


@dataclass(frozen=True)
class ExporterEntry(Entry):
    """A route to ONNX.

    Attributes:
        not_for: forms of a user's model that it does not apply to (`assay.train.brought.model`).
    """

    not_for: tuple[str, ...] = ()


@dataclass(frozen=True)
class TaskEntry(Entry):
    """A way to judge answers.

    Attributes:
        reduced: "module:attribute" of its rule for computing in less than fp32 (`assay.numerics.reduced`).
        hub: the name that the Hugging Face Hub has for it in a model card.
    """

    reduced: str = "assay.numerics.reduced:BY_ERROR"
    hub: str = "other"


class Registry(Mapping[str, Kind], Generic[Kind]):
    """The entries of one kind, by name, in the order in which they are written."""

    def __init__(self, kind: str, entries: Iterable[Kind]) -> None:
        self.kind = kind
        self._entries = {entry.name: entry for entry in entries}

    @property
    def entries(self) -> Mapping[str, Kind]:
        """All entries by name."""
        return self._entries

    def __getitem__(self, name: str) -> Kind:
        if name not in self.entries:
            raise unknown_name(self.kind, name, self.entries)
        return self.entries[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self.entries)

    def __len__(self) -> int:
        return len(self.entries)

    def __contains__(self, name: object) -> bool:
        return name in self.entries
