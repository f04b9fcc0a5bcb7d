"""The imports of a user's file, found as Python finds them for the user: beside the file first, then everywhere else.
Assay itself, or a library, may have a module with the name of one beside the file (`assay`, `utils`, `data`). In the
user's own modules that name means the user's module, and everywhere else it still means the other one; so a module
beside the file is kept apart under a name of its own, and `import` checks who imports. This also holds for imports in
the middle of a function, whenever that is called. This module needs nothing but the standard library, since it also
runs in tool environments.
"""

from __future__ import annotations

import ast
import builtins
import functools
import importlib
import importlib.util
import sys
from collections.abc import Callable, Mapping, Sequence
from importlib.machinery import PathFinder
from pathlib import Path
from types import ModuleType

APART = "_brought_"
"""The package for those of the user's modules whose names others also have."""


_roots: dict[Path, Path] = {}
"""The folder from which the module of a file is imported, where the user gave its dotted name."""


def import_file(path: Path, dotted: str = "") -> ModuleType:
    """Run a user's file as the module that it is for the user: a module of its package, if it is in one.

    Args:
        dotted: name that the user imports it by; "" if unknown.

    Raises:
        Exception: whatever the file raises.
    """
    if dotted:
        levels = dotted.count(".") + (path.stem == "__init__")
        _roots[path] = path.parents[levels]
        package_of.cache_clear()
        if "site-packages" in path.parts:
            return importlib.import_module(dotted)
    package = package_of(path)
    folders = list(dict.fromkeys([path.parent, package]))
    sys.path += [str(folder) for folder in folders if str(folder) not in sys.path]
    names = _names_of_others(folders)
    _keep_apart(folders, names)
    name = dotted or ".".join(path.relative_to(package).with_suffix("").parts)
    top = name.partition(".")[0]
    if top in names or (top in sys.modules and not _is_below(sys.modules[top], folders)):
        name = f"{APART}.{name}"
    for parent in _parents(name):
        importlib.import_module(parent)
    specification = importlib.util.spec_from_file_location(name, path)
    assert specification is not None
    assert specification.loader is not None
    module = importlib.util.module_from_spec(specification)
    sys.modules[name] = module
    specification.loader.exec_module(module)
    return module


@functools.cache
def package_of(path: Path) -> Path:
    """Return the folder that contains a file's package: above all folders that have an `__init__.py`, or that its
    relative imports reach.
    """
    if path in _roots:
        return _roots[path]
    folder = path.parent
    while (folder / "__init__.py").is_file() and folder != folder.parent:
        folder = folder.parent
    levels = _levels(path)
    reached = path.parents[min(levels, len(path.parents) - 1)] if levels else path.parent
    return min(folder, reached, key=lambda one: len(one.parts))


def _levels(path: Path) -> int:
    """Return how many folders the file's relative imports go up; 0 for none."""
    try:
        tree = ast.parse(path.read_bytes())
    except (OSError, SyntaxError, ValueError):
        return 0  # reported when it is run
    return max((node.level for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)), default=0)


def _names_of_others(folders: Sequence[Path]) -> frozenset[str]:
    """Return modules and packages in these folders whose names others also have."""
    own = {folder.resolve() for folder in folders}
    elsewhere = [one for one in sys.path if Path(one or ".").resolve() not in own]
    here = {name for folder in folders for name in _modules_in(folder)}
    return frozenset(name for name in here if _is_known(name, elsewhere, folders))


def _modules_in(folder: Path) -> set[str]:
    entries = list(folder.iterdir())
    names = {one.stem for one in entries if one.suffix == ".py"}
    names |= {one.name for one in entries if (one / "__init__.py").is_file()}
    return {name for name in names if name.isidentifier()}


def _is_known(name: str, elsewhere: list[str], folders: Sequence[Path]) -> bool:
    if name in sys.builtin_module_names:
        return False  # nobody can have a module of their own with one of these names
    loaded = sys.modules.get(name)
    if loaded is not None:
        return not _is_below(loaded, folders)
    return PathFinder.find_spec(name, elsewhere) is not None


def _is_below(module: ModuleType, folders: Sequence[Path]) -> bool:
    return is_users(getattr(module, "__file__", None) or "", tuple(map(str, folders)))


@functools.cache
def is_users(file: str, folders: tuple[str, ...]) -> bool:
    """Return whether a module's file is the user's, and is not part of an installation below the same folder."""
    place = Path(file)
    return (
        place.is_absolute()
        and "site-packages" not in place.parts
        and not place.is_relative_to(Path(__file__).parents[2])
        and any(place.is_relative_to(folder) for folder in folders)
    )


def _parents(name: str) -> list[str]:
    """Return "a", "a.b" for "a.b.c"."""
    parts = name.split(".")
    return [".".join(parts[:count]) for count in range(1, len(parts))]


def _keep_apart(folders: Sequence[Path], names: frozenset[str]) -> None:
    """Make the user's modules, and no others, import the user's modules of these names."""
    apart = ModuleType(APART)
    apart.__path__ = [str(folder) for folder in folders]
    sys.modules[APART] = apart
    if names:
        _Importing(folders, names).begin()


class _Importing:
    """The meaning of `import` in the user's modules.

    Args:
        names: names of the user's modules that others also have.
    """

    _before: tuple[Callable[..., ModuleType], Callable[..., ModuleType]] | None = None
    """Python's own `__import__` and `importlib.import_module`, while they are replaced."""

    def __init__(self, folders: Sequence[Path], names: frozenset[str]) -> None:
        self._folders, self._names = folders, names
        self._told = tuple(map(str, folders))
        self._import: Callable[..., ModuleType] = builtins.__import__
        self._import_module: Callable[..., ModuleType] = importlib.import_module

    def begin(self) -> None:
        """Take the place of an earlier file's import from now on."""
        if _Importing._before is None:
            _Importing._before = (builtins.__import__, importlib.import_module)
        self._import, self._import_module = _Importing._before
        builtins.__import__ = self.statement
        importlib.import_module = self.function

    def statement(
        self,
        name: str,
        globals: Mapping[str, object] | None = None,  # noqa: A002  Python's own names
        locals: Mapping[str, object] | None = None,  # noqa: A002
        fromlist: Sequence[str] | None = (),
        level: int = 0,
    ) -> ModuleType:
        """Do the work of `builtins.__import__`, which every `import` statement calls."""
        if level or not self._is_meant(name, globals):
            return self._import(name, globals, locals, fromlist, level)
        module = self._import_module(f"{APART}.{name}")
        if not fromlist:
            return sys.modules[f"{APART}.{name.partition('.')[0]}"]
        for one in fromlist:
            if not hasattr(module, one) and self._file_of(f"{name}.{one}"):
                self._import_module(f"{APART}.{name}.{one}")
        return module

    def function(self, name: str, package: str | None = None) -> ModuleType:
        """Do the work of `importlib.import_module`."""
        caller = sys._getframe(1).f_globals  # it matters who imports
        apart = f"{APART}.{name}" if self._is_meant(name, caller) else name
        return self._import_module(apart, package)

    def _is_meant(self, name: str, importer: Mapping[str, object] | None) -> bool:
        if name.partition(".")[0] not in self._names or importer is None:
            return False
        return is_users(str(importer.get("__file__") or ""), self._told) and self._file_of(name)

    def _file_of(self, name: str) -> bool:
        """Return whether the user has a module of this whole name; deeper parts of another's package are the
        other's.
        """
        places = [folder.joinpath(*name.split(".")) for folder in self._folders]
        return any(one.with_name(f"{one.name}.py").is_file() or one.is_dir() for one in places)
