"""Failures that the disk caused, how to recognise them, and how one folder takes another's place.

A full disk is reported by whatever library wrote to it: as an OSError, as the text of a RuntimeError, or only by a
process that ended. This module tells it from a failure of the model, so that it is never taken for one.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import hashlib
import os
import re
import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from assay.errors import AssayError, DiskError, FailedError

OF_THE_DISK = (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO)
"""Error numbers that the operating system gives for the disk alone, never for the content."""
SAID = (
    *map(os.strerror, OF_THE_DISK),
    *(f"os error {number}" for number in OF_THE_DISK),
    "No usable temporary directory found",  # Python's, when no folder takes four bytes
    "PytorchStreamWriter failed writing",  # PyTorch keeps the system's reason to itself
)
"""The words in which libraries quote such an error in their own."""
SHORT_WRITE = r"\d+ requested and \d+ written"
REMEDY = "Free some space, or choose another folder (--out, TMPDIR, ASSAY_CACHE); finished work is kept"
MOST_NAME_BYTES = 160
PROBE_BYTES = 64 * 1024
TEMPORARY = ".assay-new-"
"""The prefix of everything that is being written and does not have its own name yet."""
AT_FDCWD, RENAME_EXCHANGE = -100, 2
"""Arguments of Linux's renameat2."""


def disk_error(path: Path, error: OSError) -> DiskError:
    """Return the error for a place that the system refuses to write."""
    return DiskError(f"Cannot write {path}", found=_reason(error), remedy=REMEDY)


def disk_error_in(error: BaseException) -> DiskError | None:
    """Return the disk's error behind an exception, in it or in one that caused it; None if there is none."""
    seen: set[int] = set()
    one: BaseException | None = error
    while one is not None and id(one) not in seen:
        seen.add(id(one))
        if isinstance(one, DiskError):
            return one
        if isinstance(one, OSError) and (one.errno in OF_THE_DISK or re.fullmatch(SHORT_WRITE, str(one))):
            if one.filename is not None:
                return disk_error(Path(os.fsdecode(one.filename)), one)
            return DiskError("Cannot write to the disk", found=_reason(one), remedy=REMEDY)
        said = next((words for words in SAID if words in str(one)), None)
        if said:
            before, _, after = str(one).partition(said)
            return DiskError("Cannot write to the disk", found=f"{before[-300:]}{said}{after[:100]}", remedy=REMEDY)
        one = one.__cause__ or one.__context__
    return None


def _reason(error: OSError) -> str:
    """Return the system's words; for a file that was written in part, NumPy has only its own."""
    if re.fullmatch(SHORT_WRITE, str(error)):
        return f"{os.strerror(errno.ENOSPC)} ({error})"
    return error.strerror or str(error)


def instead_of(error: AssayError, folder: Path) -> AssayError:
    """Return the disk's error where it caused a failure, else the failure itself.

    The text of the failure is searched. Since a library may keep the reason to itself, so is the disk: whether a few
    kilobytes can still be written to the folder and to the one for temporary files.
    """
    if not isinstance(error, FailedError):
        return error
    found = disk_error_in(error)
    if found is not None:
        return found
    for place in (folder, Path(tempfile.gettempdir())):
        trouble = refusal_of(place)
        if trouble is not None:
            return DiskError(f"Cannot write {place}", found=f"{trouble}; this also failed: {error}", remedy=REMEDY)
    return error


def refusal_of(folder: Path) -> str | None:
    """Return why a folder does not take even 64 KiB, in the system's words, or that it was removed; None if it does."""
    try:
        handle, name = tempfile.mkstemp(dir=folder, prefix=TEMPORARY)
    except OSError as error:
        return error.strerror or str(error)
    try:
        content = bytes(PROBE_BYTES)
        while content:
            content = content[os.write(handle, content) :]
        os.fsync(handle)
    except OSError as error:
        return error.strerror or str(error)
    finally:
        os.close(handle)
        Path(name).unlink(missing_ok=True)
    return None


def short_name(text: str) -> str:
    """Make a file name from a text, with room for a prefix and a suffix: file systems take 255 bytes.

    A long text is cut; a hash of the whole tells it from others with the same beginning.
    """
    whole = text.encode()
    if len(whole) <= MOST_NAME_BYTES:
        return text
    return f"{whole[: MOST_NAME_BYTES - 20].decode(errors='ignore')}-{hashlib.sha256(whole).hexdigest()[:12]}"


def temporary_prefix(path: Path) -> str:
    """Return the beginning of the names under which new content of `path` is written beside it.

    The name itself is not in it: a name of 250 characters leaves no room for more.
    """
    return f"{TEMPORARY}{hashlib.sha256(os.fsencode(path.name)).hexdigest()[:8]}-"


@contextlib.contextmanager
def folder_beside(folder: Path) -> Iterator[Path]:
    """Yield an empty folder beside another, on the same disk; it is removed afterwards with all its content."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    work = Path(tempfile.mkdtemp(dir=folder.parent, prefix=temporary_prefix(folder)))
    work.chmod(0o755)
    try:
        yield work
    finally:
        shutil.rmtree(work, ignore_errors=True)


def put_in_place(work: Path, folder: Path) -> None:
    """Give a finished folder its name in one step: a reader finds either the old content or the new, each of it whole.

    The old content is at `work` afterwards.

    Raises:
        OSError: the content did not reach the disk, or the name cannot be taken; the old content is untouched.
    """
    for path in work.rglob("*"):
        _on_disk(path)
    if folder.exists():
        _exchange(work, folder)
    else:
        work.rename(folder)
    _on_disk(folder.parent)


def _on_disk(path: Path) -> None:
    """Wait until a file or folder is on disk; a system that cannot sync folders is left alone."""
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    except OSError:
        return
    try:
        os.fsync(handle)
    except OSError as error:
        if error.errno in OF_THE_DISK or not path.is_dir():
            raise
    finally:
        os.close(handle)


def remove_left_overs(folder: Path, prefix: str) -> None:
    """Remove what a killed process was writing, under a prefix of `temporary_prefix`; only for the holder of its
    lock.
    """
    for path in sorted(folder.glob(f"{prefix}*")):
        remove(path)


def remove(path: Path) -> None:
    """Remove a file or folder as far as possible; the rest stays for the next attempt."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        with contextlib.suppress(OSError):
            path.unlink()


def _exchange(new: Path, old: Path) -> None:
    """Let two folders change places: on Linux in one step, elsewhere in two, with the old one put aside meanwhile."""
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
