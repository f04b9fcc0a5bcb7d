"""A user's own Python file, run in a job or worker, never in the conductor.

It needs nothing but the standard library, since it also runs in tool environments. The file's imports are the user's,
and hide nothing of ours or of a library (`assay.train.brought.imports`). Random numbers have the same seed in every
process, so that random weights are the same wherever the model is built.
"""

from __future__ import annotations

import ast
import functools
import hashlib
import importlib
import inspect
import random
import sys
import traceback
import warnings
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Literal

from assay.errors import InputError, NotInstalledError, meant_by, missing
from assay.foreign import said_by
from assay.train.brought.binding import described, parameters_of
from assay.train.brought.imports import import_file, is_users, package_of

LONGEST = 300
SEEDED = {
    "numpy": "random.seed",
    "torch": "manual_seed",
    "keras": "utils.set_random_seed",
    "tensorflow": "keras.utils.set_random_seed",
}
"""The function that seeds the random numbers of a library, by the library's name."""
FRAMEWORKS: dict[str, Literal["torch", "tf", "jax"]] = {"jax": "jax", "tensorflow": "tf", "torch": "torch"}
"""The frameworks whose functions are models, by the package that is imported for them."""


@functools.cache
def built(path: Path, function: str, module: str = "") -> object:
    """Return what the file's function stands for: the function itself if it needs arguments, else its result.

    Args:
        module: dotted name that the user imports the file by; "" if unknown.

    Raises:
        InputError: the file or the function raises, or there is no such name; the message has file and line.
        NotInstalledError: the file imports something that is not installed.
    """
    imported = _imported(path, module)
    if not hasattr(imported, function):
        names = [name for name, value in vars(imported).items() if callable(value) and not name.startswith("_")]
        raise InputError(
            f"{path.name} has no '{function}'",
            found=", ".join(names) or "no functions",
            remedy=meant_by(function, names),
        )
    found = getattr(imported, function)
    if not _is_builder(found):
        return found
    _seed(name for name in SEEDED if name in sys.modules)
    with explained(path, f"{function}()"):
        return found()


def _is_builder(found: object) -> bool:
    """Return whether it is a function or class that needs no arguments; an instance is already a model."""
    if not (inspect.isroutine(found) or inspect.isclass(found)):
        return False
    try:
        parameters = inspect.signature(found).parameters.values()
    except ValueError:  # written in C, without a signature
        return False
    needed = {inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD}
    return not any(one.default is one.empty and one.kind in needed for one in parameters)


def _imported(path: Path, module: str) -> ModuleType:
    with explained(path, "while it is imported"), _as_a_program(path):
        _seed(_named_in(path) & set(SEEDED))
        return import_file(path, module)


@contextmanager
def _as_a_program(path: Path) -> Iterator[None]:
    """Let a file be imported as a program without arguments, and put back what it changes for all code in the process:
    filters of warnings, and what numpy does about infinities.
    """
    arguments, numpy = sys.argv, sys.modules.get("numpy")
    errors = numpy.geterr() if numpy else {}
    sys.argv = [str(path)]
    try:
        with warnings.catch_warnings():
            yield
    finally:
        sys.argv = arguments
        if numpy:
            numpy.seterr(**errors)


def _named_in(path: Path) -> set[str]:
    """Return the libraries that a file imports by name."""
    nodes = list(ast.walk(ast.parse(path.read_text(encoding="utf-8"), str(path))))
    names = [alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names]
    names += [node.module or "" for node in nodes if isinstance(node, ast.ImportFrom)]
    return {name.partition(".")[0] for name in names}


def forget(path: Path) -> None:
    """Make the next build of a file's model run the file again, and every module of its package or below its folder."""
    built.cache_clear()
    for name, module in list(sys.modules.items()):
        file = getattr(module, "__file__", None)
        if name != "__main__" and file and _belongs_to(path, file):
            del sys.modules[name]


def seed_all(number: int) -> None:
    """Seed the random numbers of Python and of the loaded frameworks with a number."""
    _seed((name for name in SEEDED if name in sys.modules), number)


def _seed(frameworks: Iterable[str], number: int = 0) -> None:
    """Seed the random numbers of Python and of these frameworks; JAX has only its explicit keys."""
    random.seed(number)
    for name in frameworks:
        module = importlib.import_module(name)
        seed = module
        for part in SEEDED[name].split("."):
            seed = getattr(seed, part)
        seed(number)  # type: ignore[operator]  # a function by its path


@contextmanager
def explained(path: Path, doing: str) -> Iterator[None]:
    """Turn exceptions of a user's code into one message with its file and line.

    Raises:
        InputError: anything was raised.
        NotInstalledError: a module was not found.
    """
    try:
        yield
    except (InputError, NotInstalledError):
        raise
    except ModuleNotFoundError as error:
        raise missing(path.name, error, otherwise="Install it in Assay's environment") from error
    except (Exception, SystemExit) as error:  # not our code: it may raise anything
        text = said_by(error)
        raise InputError(
            f"{path.name} fails {doing}" if doing.startswith("while") else f"{path.name} fails in {doing}",
            found=f"{type(error).__name__}: {text}" + _place(path, error),
        ) from error


def _place(path: Path, error: BaseException) -> str:
    """Return " (model.py, line 12)": the innermost line below the file's folder."""
    if isinstance(error, SyntaxError) and error.lineno:
        return f" ({Path(error.filename or path).name}, line {error.lineno})"
    frames = [one for one in traceback.extract_tb(error.__traceback__) if _belongs_to(path, one.filename)]
    return f" ({Path(frames[-1].filename).name}, line {frames[-1].lineno})" if frames else ""


def _belongs_to(path: Path, file: str) -> bool:
    """Return whether another file comes with the user's file: it is in its package, or below its folder."""
    return is_users(file, (str(package_of(path)),))


def kind_of(found: object, path: Path) -> Literal["torch", "tf", "jax"]:
    """Return the framework of the object that a file gave: "torch", "tf" or "jax".

    Raises:
        InputError: it is not a model of any of them.
    """
    torch, keras, tensorflow = (sys.modules.get(name) for name in ("torch", "keras", "tensorflow"))
    if torch is not None and isinstance(found, torch.nn.Module):
        return "torch"
    if keras is not None and isinstance(found, keras.Model):
        return "tf"
    if tensorflow is not None and (isinstance(found, tensorflow.Module) or hasattr(found, "get_concrete_function")):
        return "tf"
    if inspect.isclass(found):
        raise InputError(
            f"{found.__name__} of {path.name} is a class that cannot be made without arguments",
            expected="a model, or a class or function that needs no arguments",
            found=f"{found.__name__}({described(parameters_of(found) or [])})",
            remedy=f"Write a function that returns one: def build(): return {found.__name__}(...)",
        )
    if callable(found) and (frameworks := _of_functions(path)):
        return frameworks[0]
    raise InputError(
        f"{path.name} does not give a model",
        expected="a torch.nn.Module, a Keras model, a tf.function, or a function of arrays or tensors",
        found=type(found).__name__,
        remedy="If it is a function of one framework, name it with --framework",
    )


def _of_functions(path: Path) -> list[Literal["torch", "tf", "jax"]]:
    """Return the frameworks that a function may be of: those that are imported, first those that its file names."""
    loaded = [name for name in FRAMEWORKS if name in sys.modules]
    named = _named_in(path) if path.is_file() else set()
    return [FRAMEWORKS[name] for name in sorted(loaded, key=lambda one: one not in named)]


def source_hash(path: Path) -> str:
    """Return the sha256 of a file, and of every module below its folder that has been imported so far."""
    named = [getattr(module, "__file__", None) for module in list(sys.modules.values())]
    chosen = {Path(name) for name in named if name and _belongs_to(path, name) and Path(name).is_file()}
    digest = hashlib.sha256()
    for file in sorted(chosen | {path}):
        digest.update(file.name.encode())
        digest.update(file.read_bytes())
    return digest.hexdigest()
