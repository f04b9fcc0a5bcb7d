"""Writing a deployment folder: built beside, checked, and put in its place in one step.

Whatever stops the work, a full disk or a kill, the folder that was there before is still there and whole.
"""

from __future__ import annotations

import ctypes
import os
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from assay.deployment import CHECKSUMS_FILE
from assay.store import file_sha256, reporting_disk_errors

AT_FDCWD, RENAME_EXCHANGE = -100, 2
"""Of Linux's renameat2."""


def write_whole(folder: Path, fill: Callable[[Path], None]) -> None:
    """Fill a copy of a folder, an empty one where there is none, and put it in its place.

    The checksums are written after `fill`, and the content is on disk before the folder takes its name.

    Raises:
        InputError: the place cannot be written; what was there before is untouched.
    """
    with _beside(folder) as work, reporting_disk_errors(folder):
        if folder.exists():
            shutil.copytree(folder, work, symlinks=True, dirs_exist_ok=True)
        fill(work)
        write_checksums(work)
        for path in work.rglob("*"):
            _on_disk(path)
        if folder.exists():
            _exchange(work, folder)
        else:
            work.rename(folder)
        _on_disk(folder.parent)


def write_checksums(folder: Path) -> None:
    """checksums.sha256 of every file but itself, as `sha256sum --check` reads it."""
    lines = [f"{file_sha256(path)}  {path.relative_to(folder).as_posix()}\n" for path in files_of(folder)]
    (folder / CHECKSUMS_FILE).write_text("".join(lines), encoding="utf-8")


def files_of(folder: Path) -> Iterator[Path]:
    """Every file below a folder but its checksums, in order."""
    for path in sorted(folder.rglob("*")):
        if not path.is_dir() and path != folder / CHECKSUMS_FILE:
            yield path


@contextmanager
def _beside(folder: Path) -> Iterator[Path]:
    """An empty folder beside another, gone afterwards with whatever is in it."""
    with reporting_disk_errors(folder):
        folder.parent.mkdir(parents=True, exist_ok=True)
        work = Path(tempfile.mkdtemp(dir=folder.parent, prefix=f".{folder.name}."))
        work.chmod(0o755)
    try:
        yield work
    finally:
        shutil.rmtree(work, ignore_errors=True)


def _exchange(new: Path, old: Path) -> None:
    """Let two folders change places: in one step on Linux, elsewhere in two with the old one kept aside between."""
    if sys.platform == "linux":
        libc = ctypes.CDLL(None, use_errno=True)
        if libc.renameat2(AT_FDCWD, os.fsencode(new), AT_FDCWD, os.fsencode(old), RENAME_EXCHANGE) == 0:
            return
    aside = new.with_name(f"{new.name}.before")
    old.rename(aside)
    try:
        new.rename(old)
    except OSError:
        aside.rename(old)
        raise
    aside.rename(new)


def _on_disk(path: Path) -> None:
    """Wait until a file or folder is on disk; a system that cannot do it for folders is left alone."""
    try:
        handle = os.open(path, os.O_RDONLY)
    except OSError:
        return
    try:
        os.fsync(handle)
    except OSError:
        if not path.is_dir():
            raise
    finally:
        os.close(handle)
