"""Temporary folders that nobody can guess or read, each removed by the next run at the latest.

A folder is held by a lock on a file in it, which the operating system releases when its process ends, however it ends.
A folder whose lock is free is a left-over.
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
"""The age at which a folder without a lock file counts as left over: a moment passes between creating the two."""


@contextlib.contextmanager
def private_temporary_folder() -> Iterator[Path]:
    """Keep all temporary files of this process in one folder of mode 0700 that is removed afterwards.

    Left-overs of killed processes are removed first. Where no folder can be made, nothing changes: code that needs one
    will say why there is none.
    """
    before, place = tempfile.tempdir, Path(tempfile.gettempdir())
    with contextlib.ExitStack() as stack:
        try:
            folder = stack.enter_context(_held_folder(place, PREFIX))
        except OSError:
            yield place
            return
        tempfile.tempdir = str(folder)
        try:
            yield folder
        finally:
            tempfile.tempdir = before


@contextlib.contextmanager
def _held_folder(place: Path, prefix: str) -> Iterator[Path]:
    """Yield a new folder of mode 0700 whose name has a prefix; it is removed afterwards, and left-overs of that name
    before.

    Args:
        prefix: prefix that no finished thing in `place` has.

    Raises:
        OSError: the place cannot be written.
    """
    _remove_leftovers(place, prefix)
    folder = Path(tempfile.mkdtemp(prefix=prefix, dir=place)).resolve()
    try:
        with (folder / OWNER_FILE).open("w", encoding="utf-8") as owner:
            lock(owner.fileno())
            yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _remove_leftovers(place: Path, prefix: str) -> None:
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
