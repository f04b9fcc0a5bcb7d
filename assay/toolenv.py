"""Tool environments: Python environments of their own for what cannot share ours.

Each is made by uv from a fully pinned list, kept in a cache folder under a hash of that list and of the
Python version, and talked to by subprocess and files. Making one needs the package index once.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from assay.errors import InputError, NotInstalledError
from assay.store import reporting_disk_errors, write_atomically

Progress = Callable[[str, int, int], None]
"""Called with a label, the amount done and the total (0 when unknown)."""

CACHE_VARIABLE = "ASSAY_CACHE"
COMPLETE = "assay-complete.txt"
UV_LINES_SHOWN = 6


def cache_folder() -> Path:
    """Where things that can be made again are kept: $ASSAY_CACHE, or the platform's cache folder."""
    chosen = os.environ.get(CACHE_VARIABLE)
    if chosen:
        return Path(chosen).expanduser()
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Caches" / "assay"
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "assay"


def environment_folder(name: str, requirements: Path) -> Path:
    """The folder of an environment, whether or not it is there yet.

    Raises:
        InputError: the list cannot be read.
    """
    key = f"{requirements_hash(requirements)}:{sys.implementation.cache_tag}"
    return cache_folder() / "environments" / f"{name}-{hashlib.sha256(key.encode()).hexdigest()[:16]}"


def requirements_hash(requirements: Path) -> str:
    """sha256 (hex) of a pinned list without its comments and empty lines.

    Raises:
        InputError: the list cannot be read, pins nothing, or has a line that is not pinned.
    """
    try:
        lines = requirements.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(
            f"Cannot read the list of packages {requirements}",
            found=getattr(error, "strerror", None) or str(error),
        ) from error
    pins = [line.strip() for line in lines if line.strip() and not line.lstrip().startswith("#")]
    loose = [pin for pin in pins if "==" not in pin.partition(";")[0]]
    if loose or not pins:
        raise InputError(
            f"{requirements} is not a pinned list",
            expected="lines like package==1.2.3",
            found=f"'{loose[0]}'" if loose else "no packages",
        )
    return hashlib.sha256("\n".join(pins).encode()).hexdigest()


def ensure(name: str, requirements: Path, progress: Progress) -> Path:
    """The Python of a tool environment, which is made first if it is not there.

    Two processes that ask at once make it once; one that was interrupted while making it is made anew.

    Args:
        name: for people, "jax2tf".
        requirements: the fully pinned list, in pip's format.
        progress: told when it has to be made, which takes up to a few minutes.

    Raises:
        InputError: the list or the cache folder cannot be used.
        NotInstalledError: uv is missing, or the packages cannot be had.
    """
    folder = environment_folder(name, requirements)
    if (folder / COMPLETE).is_file():
        return python_in(folder)
    with reporting_disk_errors(folder):
        folder.parent.mkdir(parents=True, exist_ok=True)
    label = f"installing the tool environment {name}"
    progress(label, 0, 1)
    with _locked(folder.with_suffix(".lock")):
        if not (folder / COMPLETE).is_file():
            _make(folder, requirements)
    progress(label, 1, 1)
    return python_in(folder)


def python_in(folder: Path) -> Path:
    """The interpreter of an environment."""
    return folder / "bin" / "python"


def find_uv() -> Path:
    """The uv program: beside this interpreter, where its package put it, or on the PATH.

    Raises:
        NotInstalledError: it is nowhere.
    """
    beside = Path(sys.executable).parent / "uv"
    if beside.is_file():
        return beside
    try:
        import uv  # noqa: PLC0415  only needed where it is not beside the interpreter

        return Path(uv.find_uv_bin())
    except (ImportError, FileNotFoundError):
        on_path = shutil.which("uv")
    if on_path:
        return Path(on_path)
    raise NotInstalledError(
        "The program 'uv', which makes tool environments, is not installed",
        remedy="Install it with: pip install uv",
    )


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    """Hold a lock that the operating system releases when this process ends, however it ends."""
    with reporting_disk_errors(path):
        stream = path.open("w")
    with stream:
        fcntl.flock(stream, fcntl.LOCK_EX)
        yield


def _make(folder: Path, requirements: Path) -> None:
    """Install everything and mark the folder as complete last; a folder without the mark does not count."""
    uv = find_uv()
    with reporting_disk_errors(folder):
        shutil.rmtree(folder, ignore_errors=True)
    try:
        _run([str(uv), "venv", "--quiet", "--no-project", "--python", sys.executable, str(folder)])
        _run([str(uv), "pip", "sync", "--quiet", "--python", str(python_in(folder)), str(requirements)])
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise
    write_atomically(folder / COMPLETE, requirements.read_bytes())


def _run(command: list[str]) -> None:
    """Run uv, away from any project's settings, and turn its failure into an error a person can use."""
    outcome = subprocess.run(
        command,
        check=False,
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
        cwd=Path(command[0]).parent,
    )
    if outcome.returncode != 0:
        lines = [line.strip() for line in outcome.stderr.splitlines() if line.strip()]
        raise NotInstalledError(
            f"Cannot make a tool environment: uv {command[1]} ended with status {outcome.returncode}",
            found=" | ".join(lines[-UV_LINES_SHOWN:]) or "no message",
            remedy=(
                "It needs the Python package index (or UV_DEFAULT_INDEX), room in the cache folder "
                f"(or {CACHE_VARIABLE}), and is tried again next time"
            ),
        )
