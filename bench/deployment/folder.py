"""The writing of a deployment folder: it is built beside the old one, checked, and put in its place in one step.
If a full disk or a kill stops the work, the old folder is still there and whole.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

from assay.files.disk import folder_beside, put_in_place
from assay.records.deployment import CHECKSUMS_FILE, SIGNATURE_FILE
from assay.store import file_sha256, reporting_disk_errors


def write_whole(folder: Path, fill: Callable[[Path], None], sign: Callable[[Path], None] | None = None) -> None:
    """Fill a copy of a folder, or an empty one if it is new, and put it in its place.

    The checksums are written after `fill`, then signed if asked for; an old signature belongs to the old content and is
    removed. The content is on disk before the folder takes its name.

    Raises:
        DiskError: the place cannot be written; the old folder is untouched.
    """
    folder = folder.absolute()
    with reporting_disk_errors(folder), folder_beside(folder) as work:
        if folder.exists():
            shutil.copytree(folder, work, symlinks=True, dirs_exist_ok=True)
        fill(work)
        write_checksums(work)
        (work / SIGNATURE_FILE).unlink(missing_ok=True)
        if sign:
            sign(work)
        put_in_place(work, folder)


def write_checksums(folder: Path) -> None:
    """Write checksums.sha256 of every file except itself, as `sha256sum --check` reads it."""
    lines = [f"{file_sha256(path)}  {path.relative_to(folder).as_posix()}\n" for path in files_of(folder)]
    (folder / CHECKSUMS_FILE).write_text("".join(lines), encoding="utf-8")


def files_of(folder: Path) -> Iterator[Path]:
    """Iterate over every file below a folder except its checksums and their signature, in order."""
    for path in sorted(folder.rglob("*")):
        if not path.is_dir() and path not in {folder / CHECKSUMS_FILE, folder / SIGNATURE_FILE}:
            yield path
