"""Only one command at a time may measure times on a machine: two would disturb each other.

The lock is a file of this user on this machine, not one in the folder of results. The operating system releases it when
its holder ends, however that happens. Commands of another user or in another container have locks of their own: they
show as a busy machine, and where they take processor time away, times become INVALID.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from assay.boxed.platform import user_number
from assay.errors import DiskError
from assay.files.locks import in_turn

FOLDER_VARIABLE = "ASSAY_RUNTIME_DIR"
"""Names another folder for the lock, such as one that several containers of a machine share."""
TIMING_LOCK = "timing.lock"
PLACES = ("/run/lock", "/tmp", "/var/tmp")  # noqa: S108  a folder of one's own in them, and checked
"""Folders in which every user may write, in memory first, and the code of a model in its box may not. Home folders are
not used: they may be on another machine, or read-only.
"""


@contextmanager
def timing_alone(waiting: Callable[[str], None]) -> Iterator[None]:
    """Be the only command of this user that measures times on this machine; wait until that is so.

    Where no place for a lock can be found, timing goes ahead without one.

    Args:
        waiting: called with the holder of the lock, each time that the holder changes: "process 7, `assay run ...`,
            since ...".
    """
    folder = runtime_folder()
    with ExitStack() as turn:
        if folder:
            with suppress(DiskError):  # a full disk, or something else under that name
                turn.enter_context(in_turn(folder / TIMING_LOCK, waiting))
        yield


def runtime_folder() -> Path | None:
    """Return this user's folder on this machine for short-lived files, of mode 0700; None where there can be none."""
    named = os.environ.get(FOLDER_VARIABLE)
    places = [Path(named)] if named else [Path(place) / f"assay-{user_number()}" for place in PLACES]
    return next((place for place in places if _is_ours(place)), None)


def _is_ours(folder: Path) -> bool:
    """Return whether a folder is, or could be made, this user's own, so that nobody else can put a link or a lock in
    it.
    """
    try:
        folder.mkdir(mode=stat.S_IRWXU, exist_ok=True)
        found = folder.lstat()
    except OSError:
        return False
    own = stat.S_ISDIR(found.st_mode) and found.st_uid == user_number()
    shut = not found.st_mode & (stat.S_IWGRP | stat.S_IWOTH)
    return own and shut and os.access(folder, os.W_OK)
