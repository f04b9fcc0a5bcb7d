"""A lock that says who works in a folder; the operating system releases it when its holder ends, however it ends.

A small file that names its holder is locked. It lies inside the folder, or beside one to which nothing may be added,
and is removed when the work is done; a file that a killed process left is taken over.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import shlex
import socket
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

from assay.boxed.platform import NO_FOLLOWING, lock
from assay.errors import InputError
from assay.files.disk import TEMPORARY, disk_error, remove, remove_left_overs, temporary_prefix

LOCK_FILE = ".assay-lock"
MOST_BYTES = 10_000
NO_LOCKS = (errno.ENOLCK, errno.ENOTSUP, errno.EOPNOTSUPP, errno.EINVAL, errno.ENOSYS)
"""The errors of a file system that has no locks."""


@contextmanager
def working_in(folder: Path) -> Iterator[None]:
    """Be the only one to work in a folder, which is created; left-overs of a killed run are removed.

    Raises:
        InputError: somebody works there already (the error says who), or the folder cannot be written.
    """
    _make(folder)
    with _held(folder / LOCK_FILE, str(folder), refuse=True):
        _remove_all_left_overs(folder)
        yield


@contextmanager
def replacing(folder: Path) -> Iterator[None]:
    """Be the only one to replace a folder as a whole: the lock lies beside it, and nothing is added to its content.

    Raises:
        InputError: as `working_in`.
    """
    folder = folder.absolute()
    _make(folder.parent)
    with _held(lock_beside(folder), str(folder), refuse=True):
        remove_left_overs(folder.parent, temporary_prefix(folder))
        yield


@contextmanager
def using(folder: Path) -> Iterator[None]:
    """Keep others from working in a folder while it is read; nobody works in one that cannot be written.

    Raises:
        InputError: somebody works there.
    """
    if not folder.is_dir() or not os.access(folder, os.W_OK):
        yield
        return
    with _held(folder / LOCK_FILE, str(folder), refuse=True, shared=True):
        yield


@contextmanager
def in_turn(path: Path, waiting: Callable[[str], None] = lambda _: None) -> Iterator[None]:
    """Wait until nobody else has the lock file `path`, then hold it: for things made once and used by many.

    Args:
        waiting: called once with the holder, where there is one to wait for.
    """
    _make(path.parent)
    with _held(path, str(path), refuse=False, waiting=waiting):
        yield


def lock_beside(path: Path) -> Path:
    """Return the lock file of something that is replaced as a whole."""
    return path.parent / temporary_prefix(path).replace(TEMPORARY, f"{LOCK_FILE}-").rstrip("-")


def holder_of(path: Path) -> str:
    """Return who wrote a lock file, in words."""
    try:
        with path.open("rb") as stream:
            said = json.loads(stream.read(MOST_BYTES))
        words = f"process {int(said['process'])}, `{said['command']}`, since {said['since']}"
        elsewhere = said["machine"] != socket.gethostname()
        return f"{words}, on {said['machine']}" if elsewhere else words
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return "another process"  # it is about to write its name, or has just gone


@contextmanager
def _held(
    path: Path,
    what: str,
    *,
    refuse: bool,
    shared: bool = False,
    waiting: Callable[[str], None] = lambda _: None,
) -> Iterator[None]:
    handle = _opened(path, what, refuse=refuse, shared=shared, waiting=waiting)
    if handle is None:
        yield
        return
    try:
        _sign(handle, path)
        yield
    finally:
        _release(handle, path)


def _opened(path: Path, what: str, *, refuse: bool, shared: bool, waiting: Callable[[str], None]) -> int | None:
    """Return a locked handle; None where the file system has no locks."""
    while True:
        try:
            handle = os.open(path, os.O_RDWR | os.O_CREAT | NO_FOLLOWING, 0o644)
        except OSError as error:
            raise disk_error(path, error) from error
        try:
            lock(handle, shared=shared)
        except BlockingIOError:
            who = holder_of(path)
            if refuse:
                os.close(handle)
                raise InputError(
                    f"{what} is in use",
                    expected="one command at a time in each folder",
                    found=who,
                    remedy="Wait until it has ended, or name another folder with --out",
                ) from None
            waiting(who)
            lock(handle, shared=shared, waiting=True)
        except OSError as error:
            os.close(handle)
            if error.errno in NO_LOCKS:
                return None
            raise disk_error(path, error) from error
        if _is_at(handle, path):
            return handle
        os.close(handle)  # its last holder has removed it meanwhile: the next attempt makes another file


def _is_at(handle: int, path: Path) -> bool:
    """Return whether an open file is still the one under its name."""
    try:
        return os.path.samestat(os.fstat(handle), os.stat(path, follow_symlinks=False))
    except FileNotFoundError:
        return False


def _sign(handle: int, path: Path) -> None:
    """Write down who has the lock."""
    command = shlex.join(["assay", *sys.argv[1:]])[:1000]
    since = datetime.now().astimezone().isoformat(sep=" ", timespec="seconds")
    said = {"process": os.getpid(), "command": command, "since": since, "machine": socket.gethostname()}
    try:
        os.ftruncate(handle, 0)
        os.pwrite(handle, json.dumps(said).encode(), 0)
    except OSError as error:
        raise disk_error(path, error) from error


def _release(handle: int, path: Path) -> None:
    """Remove the lock file, unless somebody else shares it, and let go of it."""
    with contextlib.suppress(OSError):  # somebody shares it, or the folder is gone: then the file is theirs, or gone
        lock(handle)
        if _is_at(handle, path):
            path.unlink()
    os.close(handle)


def _remove_all_left_overs(folder: Path) -> None:
    """Remove left-overs of killed runs anywhere below a folder, except in folders where somebody else may be
    working.
    """
    for place, folders, files in os.walk(folder):
        here = Path(place)
        if here != folder and any(name.startswith(LOCK_FILE) for name in files):
            folders.clear()
            continue
        for name in [one for one in (*folders, *files) if one.startswith(TEMPORARY)]:
            remove(here / name)
        folders[:] = [name for name in folders if not name.startswith(TEMPORARY)]


def _make(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise disk_error(folder, error) from error
