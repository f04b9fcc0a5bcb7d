"""Failures that the disk caused: what a full, read-only or failing one says, and how one folder takes another's place.

A disk that takes no more speaks through whatever library wrote to it, as an OSError, as the text of a RuntimeError, or
by nothing but a process that ended. It is told from a failure of the model's here, so that it never becomes one.
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
"""What the operating system answers for the disk alone, never for what is written to it."""
SAID = (
    *map(os.strerror, OF_THE_DISK),
    *(f"os error {number}" for number in OF_THE_DISK),
    "No usable temporary directory found",  # Python's, when no folder takes four bytes
    "PytorchStreamWriter failed writing",  # it keeps the system's reason to itself
)
"""How libraries quote it in their own errors."""
SHORT_WRITE = r"\d+ requested and \d+ written"
REMEDY = "Make room, or choose another folder (--out, TMPDIR, ASSAY_CACHE); what was finished is kept"
MOST_NAME_BYTES = 160
PROBE_BYTES = 64 * 1024
TEMPORARY = ".assay-new-"
"""The prefix of everything that is being written and has not taken its own name yet."""
AT_FDCWD, RENAME_EXCHANGE = -100, 2
"""Arguments of Linux's renameat2."""


def disk_error(path: Path, error: OSError) -> DiskError:
    """The error for a place that the system refuses to write."""
    return DiskError(f"Cannot write {path}", found=_reason(error), remedy=REMEDY)


def disk_error_in(error: BaseException) -> DiskError | None:
    """The disk's trouble behind an exception, in it or in what it came from; None where there is none."""
    seen: set[int] = set()
    one: BaseException | None = error
    while one is not None and id(one) not in seen:
        seen.add(id(one))
        if isinstance(one, DiskError):
            return one
        if isinstance(one, OSError) and (one.errno in OF_THE_DISK or re.fullmatch(SHORT_WRITE, str(one))):
            if one.filename is not None:
                return disk_error(Path(os.fsdecode(one.filename)), one)
            return DiskError("The disk takes no more", found=_reason(one), remedy=REMEDY)
        said = next((words for words in SAID if words in str(one)), None)
        if said:
            before, _, after = str(one).partition(said)
            return DiskError("The disk takes no more", found=f"{before[-300:]}{said}{after[:100]}", remedy=REMEDY)
        one = one.__cause__ or one.__context__
    return None


def _reason(error: OSError) -> str:
    """The system's words; NumPy has only its own for a file that took a part."""
    if re.fullmatch(SHORT_WRITE, str(error)):
        return f"{os.strerror(errno.ENOSPC)} ({error})"
    return error.strerror or str(error)


def instead_of(error: AssayError, folder: Path) -> AssayError:
    """The disk's error where a failure is its doing, else the failure itself.

    Asked are the text of the failure and, since a library may keep the reason to itself, the disk: whether the folder
    and the one for temporary files still take a few kilobytes.
    """
    if not isinstance(error, FailedError):
        return error
    found = disk_error_in(error)
    if found is not None:
        return found
    for place in (folder, Path(tempfile.gettempdir())):
        trouble = refusal_of(place)
        if trouble is not None:
            return DiskError(f"Cannot write {place}", found=f"{trouble}; with it failed: {error}", remedy=REMEDY)
    return error


def refusal_of(folder: Path) -> str | None:
    """Why a folder takes not even 64 KiB, in the system's words, also where it was removed; None where it does."""
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
    """A name from a text, with room for what is put before and behind it: file systems take 255 bytes.

    A long one is cut, and told from another that begins alike by a hash of the whole.
    """
    whole = text.encode()
    if len(whole) <= MOST_NAME_BYTES:
        return text
    return f"{whole[: MOST_NAME_BYTES - 20].decode(errors='ignore')}-{hashlib.sha256(whole).hexdigest()[:12]}"


def temporary_prefix(path: Path) -> str:
    """The beginning of the names under which the new content of `path` is written beside it.

    The name itself is not in it: a name of 250 characters leaves no room for more.
    """
    return f"{TEMPORARY}{hashlib.sha256(os.fsencode(path.name)).hexdigest()[:8]}-"


@contextlib.contextmanager
def folder_beside(folder: Path) -> Iterator[Path]:
    """An empty folder beside another, on the same disk; gone afterwards with whatever is in it."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    work = Path(tempfile.mkdtemp(dir=folder.parent, prefix=temporary_prefix(folder)))
    work.chmod(0o755)
    try:
        yield work
    finally:
        shutil.rmtree(work, ignore_errors=True)


def put_in_place(work: Path, folder: Path) -> None:
    """Let a finished folder take a name, in one step: a reader finds the old content or the new one, and both whole.

    What was there before lies at `work` afterwards.

    Raises:
        OSError: the content did not reach the disk, or the name cannot be taken; what was there before is untouched.
    """
    for path in work.rglob("*"):
        on_disk(path)
    if folder.exists():
        _exchange(work, folder)
    else:
        work.rename(folder)
    on_disk(folder.parent)


def on_disk(path: Path) -> None:
    """Wait until a file or folder is on disk; a system that cannot do it for folders is left alone."""
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
    """Remove what a killed process was writing beside something, under a prefix of `temporary_prefix`; only for who
    holds the lock of that."""
    for path in sorted(folder.glob(f"{prefix}*")):
        remove(path)


def remove(path: Path) -> None:
    """Remove a file or folder as far as it can be; what cannot stays for the next one."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        with contextlib.suppress(OSError):
            path.unlink()


def _exchange(new: Path, old: Path) -> None:
    """Let two folders change places: on Linux in one step, elsewhere in two, with the old one put aside between
    them.
    """
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
