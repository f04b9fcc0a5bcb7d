"""One command at a time may time on a machine: two would measure each other.

The lock is a file of the machine, not of the folder that results go to: of this user. The operating system gives it
back when its holder ends, however that ends. Another user's commands, and those in another container, have locks of
their own: they are seen as a busy machine, and where they take the processor away, times become INVALID.
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
"""Where every user may write, the first one in memory, and no model's code in its box may: homes may be on another
machine, or read-only.
"""


@contextmanager
def timing_alone(waiting: Callable[[str], None]) -> Iterator[None]:
    """Be the only command of this user that times on this machine; wait until that is so.

    A machine that has no place for a lock has none: that keeps nobody from timing.

    Args:
        waiting: told who is waited for, each time that it is somebody else: "process 7, `assay run ...`, since ...".
    """
    folder = runtime_folder()
    with ExitStack() as turn:
        if folder:
            with suppress(DiskError):  # a full disk, or something else under that name
                turn.enter_context(in_turn(folder / TIMING_LOCK, waiting))
        yield


def runtime_folder() -> Path | None:
    """This user's folder on this machine for what ends with it, of mode 0700; None where none can be had."""
    named = os.environ.get(FOLDER_VARIABLE)
    places = [Path(named)] if named else [Path(place) / f"assay-{user_number()}" for place in PLACES]
    return next((place for place in places if _is_ours(place)), None)


def _is_ours(folder: Path) -> bool:
    """Whether a folder is, or could be made, this user's own, in which nobody else can put a link or a lock."""
    try:
        folder.mkdir(mode=stat.S_IRWXU, exist_ok=True)
        found = folder.lstat()
    except OSError:
        return False
    own = stat.S_ISDIR(found.st_mode) and found.st_uid == user_number()
    shut = not found.st_mode & (stat.S_IWGRP | stat.S_IWOTH)
    return own and shut and os.access(folder, os.W_OK)
