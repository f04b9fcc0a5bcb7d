"""Temporary folders that nobody can guess or read, and that do not outlive what made them by more than one run.

A folder is held by a lock on a file in it, which the operating system gives back when its process ends, however it
ends. One whose lock can be had is a left-over.
"""

from __future__ import annotations

import contextlib
import shutil
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from assay.boxed.platform import lock, user_number

OWNER_FILE = ".owner"
PREFIX = "assay-run-"
UNFINISHED_SECONDS = 60.0
"""The age at which a folder without its lock file counts as left over: a moment passes between making the two."""


@contextlib.contextmanager
def private_temporary_folder() -> Iterator[Path]:
    """Everything temporary that this process makes lies in one folder of mode 0700 that is gone afterwards.

    Left-overs of processes that were killed are removed first. Where no folder can be made everything stays as it was:
    what needs none works, and what does says why it cannot have it.
    """
    before, place = tempfile.tempdir, Path(tempfile.gettempdir())
    with contextlib.ExitStack() as stack:
        try:
            folder = stack.enter_context(held_folder(place, PREFIX))
        except OSError:
            yield place
            return
        tempfile.tempdir = str(folder)
        try:
            yield folder
        finally:
            tempfile.tempdir = before


@contextlib.contextmanager
def held_folder(place: Path, prefix: str) -> Iterator[Path]:
    """A new folder of mode 0700 with a name that begins so, gone afterwards; left-overs of that name go first.

    Args:
        prefix: that no finished thing in `place` begins with.

    Raises:
        OSError: the place cannot be written.
    """
    remove_leftovers(place, prefix)
    folder = Path(tempfile.mkdtemp(prefix=prefix, dir=place)).resolve()
    try:
        with (folder / OWNER_FILE).open("w", encoding="utf-8") as owner:
            lock(owner.fileno())
            yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def remove_leftovers(place: Path, prefix: str) -> None:
    """Remove the folders of that name whose process has ended; those of other users stay."""
    with contextlib.suppress(OSError):
        found = [path for path in place.iterdir() if path.name.startswith(prefix)]
        for folder in found:
            if _is_left_over(folder):
                shutil.rmtree(folder, ignore_errors=True)


def _is_left_over(folder: Path) -> bool:
    try:
        status = folder.lstat()
        if folder.is_symlink() or not folder.is_dir() or status.st_uid != user_number():
            return False
        with (folder / OWNER_FILE).open("r", encoding="utf-8") as owner:
            lock(owner.fileno())
            return True
    except FileNotFoundError:
        return time.time() - status.st_mtime > UNFINISHED_SECONDS
    except OSError:
        return False
