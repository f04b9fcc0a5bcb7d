"""Tool environments: separate Python environments for packages that cannot share ours.

Each is made by uv from wheels alone, which a fully pinned list names with their hashes. It is kept in a cache folder
under a hash of that list and of the Python version, and used through subprocesses and files. Making one needs the
package index once. Or it differs from ours in the versions of a few packages alone, which shows what these change.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import sys
import sysconfig
from collections.abc import Callable, Sequence
from importlib.metadata import distributions
from pathlib import Path

from packaging.utils import canonicalize_name

from assay.boxed.platform import user_caches
from assay.errors import NotInstalledError, installed_by
from assay.files.disk import disk_error_in
from assay.files.locks import in_turn
from assay.jobs.programs import run_program
from assay.jobs.running import LateError
from assay.pins import Pin, read_pins
from assay.store import reporting_disk_errors, write_atomically

Progress = Callable[[str, int, int], None]
"""Called with a label, the amount done and the total (0 when unknown)."""

CACHE_VARIABLE = "ASSAY_CACHE"
COMPLETE = "assay-complete.txt"
LIST, EXCLUDED = "assay-packages.txt", "assay-excluded.txt"
UV_LINES_SHOWN = 6
VENV_SECONDS, SYNC_SECONDS = 180.0, 1800.0
"""Limits for uv, far longer than a slow network needs; a uv that would wait for ever is stopped."""


def cache_folder() -> Path:
    """Return the folder for things that can be made again: $ASSAY_CACHE, or the platform's cache folder."""
    chosen = os.environ.get(CACHE_VARIABLE)
    if chosen:
        return Path(chosen).expanduser()
    return user_caches() / "assay"


def environment_folder(name: str, requirements: Path, *, hashed: bool = True) -> Path:
    """Return the folder of an environment, whether or not it exists yet.

    Raises:
        InputError: the list cannot be used.
    """
    key = f"{requirements_hash(requirements, hashed=hashed)}:{sys.implementation.cache_tag}"
    return cache_folder() / "environments" / f"{name}-{hashlib.sha256(key.encode()).hexdigest()[:16]}"


def requirements_hash(requirements: Path, *, hashed: bool = True) -> str:
    """Return the sha256 (hex) of what a pinned list says, whatever its comments.

    Raises:
        InputError: the list cannot be read, pins nothing, or has a line that is not pinned or, if `hashed`, has no
            hash.
    """
    return hashlib.sha256(_list_of(read_pins(requirements, hashed=hashed)).encode()).hexdigest()


def ensure(name: str, requirements: Path, progress: Progress, *, hashed: bool = True) -> Path:
    """Return the Python of a tool environment, which is made first if it does not exist.

    If two processes ask at once, it is made once; an environment left incomplete by an interruption is made again. Only
    wheels are installed, and only those whose hashes the list has: a source archive would run its own code.

    Args:
        name: name for people, such as "jax2tf".
        requirements: the fully pinned list, in pip's format.
        progress: called when it has to be made, which takes up to a few minutes.
        hashed: whether the list must have hashes; a list that a user made may have none.

    Raises:
        InputError: the list or the cache folder cannot be used.
        NotInstalledError: uv is missing, or the packages cannot be obtained.
    """
    folder = environment_folder(name, requirements, hashed=hashed)
    return _made(name, folder, lambda: _sync(folder, read_pins(requirements, hashed=hashed)), progress)


def ensure_beside(pins: Sequence[Pin], progress: Progress) -> Path:
    """Return the Python of an environment with other versions of some packages, and with all others as they are here.

    Packages that they need are only installed if they are missing here. That Python finds all others here, behind its
    own, in whatever versions they are.

    Args:
        pins: packages without hashes.
        progress: see `ensure`.

    Raises:
        InputError, NotInstalledError: as of `ensure`.
    """
    here = sorted({(one.metadata["Name"] or "", one.version) for one in distributions()})
    others = [name for name, _ in here if name and canonicalize_name(name) not in {one.name for one in pins}]
    key = repr((_list_of(pins), here, sys.prefix, sys.implementation.cache_tag))
    name = "-".join(f"{one.name}-{one.version}" for one in pins)
    folder = cache_folder() / "environments" / f"{name}-{hashlib.sha256(key.encode()).hexdigest()[:16]}"
    return _made(name, folder, lambda: _add(folder, pins, others), progress)


def _made(name: str, folder: Path, fill: Callable[[], str], progress: Progress) -> Path:
    """Return the Python of an environment, which is made first if it is not complete.

    Args:
        fill: installs everything, and returns the list that it installed.
    """
    if (folder / COMPLETE).is_file():
        return python_in(folder)
    label = f"installing the tool environment {name}"
    progress(label, 0, 1)
    with in_turn(folder.with_suffix(".lock"), lambda who: progress(f"{label}: waiting for {who}", 0, 1)):
        if not (folder / COMPLETE).is_file():
            _make(folder, fill)
    progress(label, 1, 1)
    return python_in(folder)


def python_in(folder: Path) -> Path:
    """Return the interpreter of an environment."""
    return folder / "bin" / "python"


def find_uv() -> Path:
    """Find the uv program: beside this interpreter, where its package put it, or on the PATH.

    Raises:
        NotInstalledError: it is in none of these places.
    """
    beside = Path(sys.executable).parent / "uv"
    if beside.is_file():
        return beside
    try:
        import uv  # noqa: PLC0415  only needed if uv is not beside the interpreter

        return Path(uv.find_uv_bin())
    except (ImportError, FileNotFoundError):
        on_path = shutil.which("uv")
    if on_path:
        return Path(on_path)
    raise NotInstalledError(
        "The program 'uv', which creates tool environments, is not installed",
        remedy=installed_by("tools"),
    )


def _list_of(pins: Sequence[Pin]) -> str:
    return "".join(f"{pin.line()}\n" for pin in pins)


def _make(folder: Path, fill: Callable[[], str]) -> None:
    """Install everything and mark the folder as complete last; a folder without the mark does not count."""
    uv = str(find_uv())
    with reporting_disk_errors(folder):
        shutil.rmtree(folder, ignore_errors=True)
    try:
        _run([uv, "venv", "--quiet", "--no-project", "--python", sys.executable, str(folder)], VENV_SECONDS)
        write_atomically(folder / COMPLETE, fill().encode())
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise


def _sync(folder: Path, pins: list[Pin]) -> str:
    hashes = ["--require-hashes"] if pins[0].hashes else []
    return _installed(folder, pins, ["sync", *hashes, str(folder / LIST)])


def _add(folder: Path, pins: Sequence[Pin], others: Sequence[str]) -> str:
    """Install packages, and put those of this environment behind them."""
    write_atomically(folder / EXCLUDED, "".join(f"{name}\n" for name in others).encode())
    wanted = _installed(folder, pins, ["install", "--excludes", str(folder / EXCLUDED), "-r", str(folder / LIST)])
    here = dict.fromkeys(sysconfig.get_path(name) for name in ("purelib", "platlib"))
    behind = next(folder.glob("lib/python*/site-packages")) / "assay-behind.pth"
    write_atomically(behind, "".join(f"{one}\n" for one in here).encode())
    return wanted


def _installed(folder: Path, pins: Sequence[Pin], how: list[str]) -> str:
    """Install packages, from wheels alone, and return their list."""
    wanted = _list_of(pins)
    write_atomically(folder / LIST, wanted.encode())
    command, *options = how
    uv, python = str(find_uv()), str(python_in(folder))
    _run([uv, "pip", command, "--quiet", "--only-binary", ":all:", "--python", python, *options], SYNC_SECONDS)
    return wanted


def _run(command: list[str], limit_seconds: float) -> None:
    """Run uv, away from any project's settings, and turn its failure into an error a person can use."""
    try:
        done = run_program(command, limit_seconds, folder=Path(command[0]).parent)
    except LateError as error:
        raise _failure(command, error.what.partition(" ")[2], "") from None
    if done.status != 0:
        failure = _failure(command, f"ended with status {done.status}", done.errors)
        raise disk_error_in(failure) or failure


def _failure(command: list[str], how: str, said: str) -> NotInstalledError:
    lines = [line.strip() for line in said.splitlines() if line.strip()]
    return NotInstalledError(
        f"Cannot create a tool environment: uv {command[1]} {how}",
        found=" | ".join(lines[-UV_LINES_SHOWN:]) or "no message",
        remedy=(
            "It needs the Python package index (or UV_DEFAULT_INDEX), space in the cache folder "
            f"(or {CACHE_VARIABLE}), and will be tried again next time"
        ),
    )
