"""A function that lives in a notebook, or within another function, written as a file of its own.

Its source is written as text, and before it what it names: modules by their import, numbers and texts as they are,
arrays into an .npz, functions and classes of the session by their own source in turn. Nothing is pickled: what is
written can be read, and runs as a file of the user's does.
"""

from __future__ import annotations

import ast
import builtins
import dataclasses
import inspect
import linecache
import math
import site
import symtable
import sys
import sysconfig
import textwrap
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from types import CodeType, FunctionType, ModuleType
from typing import Any

import numpy as np

from assay.errors import InputError

ARRAYS = "_arrays"
OF_ARRAYS = {
    "numpy": "{}",
    "jaxlib": "__import__('jax').numpy.asarray({})",
    "jax": "__import__('jax').numpy.asarray({})",
    "torch": "__import__('torch').from_numpy({}.copy())",
    "tensorflow": "__import__('tensorflow').constant({})",
}
"""By the package of an array's type, how it is made of numpy's."""
OF_A_TREE = ("parent", "name")
"""Fields of a module of flax that its place in a tree gives it."""
FOLDERS = tuple(
    {
        Path(one).resolve()
        for one in (*sysconfig.get_paths().values(), *site.getsitepackages(), site.getusersitepackages())
    }
)
"""Where installed modules lie, which every process of ours finds too."""


def write_source(function: Callable[..., Any], stem: Path) -> tuple[Path, str]:
    """
    Args:
        stem: the file's path without an ending.

    Returns:
        The file, and the function's name in it.

    Raises:
        InputError: the function has no source that can be read, or names something that cannot be written.
    """
    plain = inspect.unwrap(function)
    if not isinstance(plain, FunctionType) or plain.__name__ == "<lambda>":
        raise refused(
            getattr(function, "__name__", "") or type(function).__name__, "no function with a name of its own"
        )
    writer = _Writer(plain.__name__)
    writer.define(plain.__name__, plain)
    arrays = stem.with_suffix(".npz")
    head = ["from __future__ import annotations", ""]
    if writer.arrays:
        np.savez(arrays, **writer.arrays)  # type: ignore[arg-type]
        head += ["import numpy", "", "with numpy.load(__file__[:-3] + '.npz') as _file:", f"    {ARRAYS} = dict(_file)"]
    path = stem.with_suffix(".py")
    path.write_text("\n".join([*head, *writer.lines, ""]), encoding="utf-8")
    return path, plain.__name__


def refused(name: str, found: str) -> InputError:
    """The error for a function that no other process can be given."""
    return InputError(
        f"{name} exists only in this session",
        expected="a function at the top of a file, or one whose source and all that it names can be written to one",
        found=found,
        remedy="Put it into a file, with what makes its weights, and name FILE.py:FUNCTION",
    )


class _Writer:
    """The lines of the file so far, each thing after what it needs."""

    def __init__(self, whose: str) -> None:
        self.whose = whose
        self.lines: list[str] = []
        self.arrays: dict[str, np.ndarray[Any, Any]] = {}
        self._done: dict[str, object] = {}

    def define(self, name: str, thing: Any) -> None:
        """Write a function or class under its own name, after all that it names."""
        plain = inspect.unwrap(thing) if callable(thing) else thing
        own = plain.__name__
        if self._known(own, plain):
            source = source_of(plain)
            if source is None:
                raise refused(self.whose, f"no source of '{name}' that could be read")
            for used, value in _named_in(source, plain):
                self.bind(used, value)
            self.lines += ["", source]
        if own != name and self._known(name, plain):
            self.lines.append(f"{name} = {own}")

    def bind(self, name: str, value: object) -> None:
        """Give a name its value."""
        if isinstance(value, ModuleType):
            if self._known(name, value):
                self.lines.append(f"import {self._installed(name, value)} as {name}")
        elif inspect.isclass(value) or inspect.isroutine(value) or hasattr(value, "__wrapped__"):
            self._callable(name, value)
        elif self._known(name, value):
            self.lines.append(f"{name} = {self.expression(name, value)}")

    def expression(self, name: str, value: Any) -> str:
        """A value as an expression of Python's.

        Raises:
            InputError: it has none.
        """
        if value is None or value is Ellipsis or type(value) in {bool, int, float, complex, str, bytes}:
            strange = isinstance(value, float) and not math.isfinite(value)
            return f"float('{value}')" if strange else repr(value)
        if isinstance(value, Mapping):
            inner = (f"{self.expression(name, key)}: {self.expression(name, one)}" for key, one in value.items())
            return f"{{{', '.join(inner)}}}"
        if type(value) in {list, tuple}:
            inside = "".join(f"{self.expression(name, one)}, " for one in value)
            return f"[{inside}]" if isinstance(value, list) else f"({inside})"
        if isinstance(value, type) or inspect.isroutine(value):
            self._callable(value.__name__, value)
            return str(value.__name__)
        if dataclasses.is_dataclass(value) and not isinstance(value, type):
            return self._dataclass(name, value)
        return self._array(name, value)

    def _array(self, name: str, value: Any) -> str:
        package = type(value).__module__.partition(".")[0]
        form = OF_ARRAYS.get(package)
        if form is None or not hasattr(value, "dtype"):
            raise self._cannot(name, value)
        plain = value.detach().cpu() if package == "torch" else value
        array = np.asarray(plain)
        if array.dtype.kind not in "fiubc":
            raise self._cannot(name, value)
        key = f"{name}_{len(self.arrays)}"
        self.arrays[key] = array
        return form.format(f"{ARRAYS}[{key!r}]")

    def _dataclass(self, name: str, value: Any) -> str:
        """Such as a module of flax: its class with the fields that are not as by default."""
        kind = type(value)
        self._callable(kind.__name__, kind)
        of_tree = (
            OF_A_TREE if kind.__module__ == "flax" or any("flax" in one.__module__ for one in kind.__mro__) else ()
        )
        given = [
            f"{one.name}={self.expression(name, getattr(value, one.name))}"
            for one in dataclasses.fields(value)
            if one.init and one.name not in of_tree and getattr(value, one.name) is not one.default
        ]
        return f"{kind.__name__}({', '.join(given)})"

    def _callable(self, name: str, value: Any) -> None:
        """A function or class: imported where it is installed, else written."""
        module, own = sys.modules.get(getattr(value, "__module__", "") or ""), getattr(value, "__qualname__", "")
        if module is not None and _is_installed(module) and own.isidentifier() and hasattr(module, own):
            if self._known(name, value):
                self.lines.append(f"from {module.__name__} import {own} as {name}")
        elif inspect.isclass(value) or isinstance(inspect.unwrap(value), FunctionType):
            self.define(name, value)
        else:
            raise self._cannot(name, value)

    def _installed(self, name: str, module: ModuleType) -> str:
        if not _is_installed(module):
            raise refused(self.whose, f"the module '{name}', which is not an installed one")
        return module.__name__

    def _known(self, name: str, value: object) -> bool:
        """Whether a name is new here.

        Raises:
            InputError: it stands for something else already.
        """
        if name in self._done and self._done[name] is not value:
            raise refused(self.whose, f"two things that are called '{name}'")
        new = name not in self._done
        self._done[name] = value
        return new

    def _cannot(self, name: str, value: object) -> InputError:
        kind = type(value)
        return refused(self.whose, f"'{name}', an object of {kind.__module__}.{kind.__qualname__}")


def source_of(thing: Any) -> str | None:
    """The text that a function or class was defined by, decorators included; None where nobody kept it.

    Notebooks and Python's own prompt keep what was typed in `linecache`, where `inspect` finds functions and, before
    Python 3.13, no classes: a class is found here by a method of its own.
    """
    for code in _codes(thing):
        lines = linecache.getlines(code.co_filename)
        try:
            tree = ast.parse("".join(lines))
        except SyntaxError:
            continue
        for node in ast.walk(tree):
            if isinstance(node, ast.FunctionDef | ast.ClassDef) and node.name == thing.__name__:
                first = min([node.lineno, *(one.lineno for one in node.decorator_list)])
                if first <= code.co_firstlineno <= (node.end_lineno or first):
                    return textwrap.dedent("".join(lines[first - 1 : node.end_lineno])).rstrip()
    return None


def _codes(thing: Any) -> Iterator[CodeType]:
    if isinstance(thing, FunctionType):
        yield thing.__code__
    for one in vars(thing).values() if inspect.isclass(thing) else ():
        plain = inspect.unwrap(one) if callable(one) else one
        if isinstance(plain, FunctionType) and plain.__qualname__.startswith(f"{thing.__qualname__}."):
            yield plain.__code__


def _named_in(source: str, thing: Any) -> Iterator[tuple[str, object]]:
    """Iterate over names in a function's or class's source that are defined outside of it, with their values."""
    known: dict[str, object] = {}
    for function in _functions(thing):
        known |= function.__globals__
    for function in _functions(thing):
        for name, cell in zip(function.__code__.co_freevars, function.__closure__ or (), strict=True):
            try:
                known[name] = cell.cell_contents
            except ValueError:  # it has no value yet
                continue
    for name in sorted(_free_names(symtable.symtable(source, "<function>", "exec"))):
        if name in known and name != thing.__name__ and known[name] is not getattr(builtins, name, known):
            yield name, known[name]


def _functions(thing: Any) -> Iterator[FunctionType]:
    if isinstance(thing, FunctionType):
        yield thing
    for one in vars(thing).values() if inspect.isclass(thing) else ():
        plain = inspect.unwrap(one) if callable(one) else one
        if isinstance(plain, FunctionType):
            yield plain


def _free_names(table: symtable.SymbolTable) -> set[str]:
    outermost = table.get_type() == "module"
    found = {
        one.get_name()
        for one in table.get_symbols()
        if one.is_referenced() and (one.is_global() or (outermost and not one.is_assigned()))
    }
    return found.union(*(_free_names(inner) for inner in table.get_children()))


def _is_installed(module: ModuleType) -> bool:
    """Whether another process finds it by its name alone: of Python itself, or in a folder of installed modules."""
    if module.__name__ == "__main__":
        return False
    file = getattr(module, "__file__", None)
    return not file or any(folder in Path(file).resolve().parents for folder in FOLDERS)
