"""A folder or zip of images, with one folder for each class: its content, and the reading of single files.

Nothing is ever extracted to disk, so a path inside a zip can lead nowhere.
"""

from __future__ import annotations

import lzma
import os
import zipfile
import zlib
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from assay.errors import DataError
from assay.files.mistakes import mistake_in

LARGEST_FILE = 64 << 20
"""The most bytes of an image; one that claims to be larger is refused before it is unpacked."""

JUNK = {"__MACOSX", "Thumbs.db", "desktop.ini"}

Read = Callable[[str], bytes]


@dataclass(frozen=True)
class Member:
    """One image of an archive.

    Attributes:
        path: where it is in the archive.
        name: "class/file", the same in every copy of the data set.
        label: position of its class.
    """

    path: str
    name: str
    label: int


def list_members(archive: Path, classes: Sequence[str]) -> list[Member]:
    """List the images of an archive, sorted by path.

    The class folders are at the top or inside one top folder. Hidden files, left-overs of desktop systems and files
    beside the class folders are ignored; every other file has to be an image in the folder of a known class.

    Raises:
        DataError: the archive is damaged, a class is missing, or a file is in an unknown place.
    """
    known = ", ".join(classes)
    paths = sorted(path for path in _list_paths(archive) if not _is_junk(path))
    base = _find_base(archive, paths, classes)
    members = []
    for path in paths:
        inside = path.parts[len(base) :]
        if path.parts[: len(base)] != base or len(inside) < 2:
            continue
        if inside[0] not in classes or len(inside) > 2:
            raise DataError(
                f"{archive} has a file in an unexpected place, {path}",
                expected=f"<class>/<file>, class one of {known}",
                remedy="Remove the file from the archive",
            )
        members.append(Member(str(path), "/".join(inside), classes.index(inside[0])))
    absent = set(range(len(classes))) - {member.label for member in members}
    if absent:
        missing = ", ".join(classes[label] for label in sorted(absent))
        raise DataError(f"{archive} lacks images", expected=f"images in folders {known}", found=f"none of {missing}")
    return members


@contextmanager
def reading(archive: Path) -> Iterator[Read]:
    """Yield a function that returns the bytes of the file at a path of the archive; threads may share it."""
    if archive.is_dir():
        yield lambda path: _read_file(archive / path)
        return
    with zipfile.ZipFile(archive) as bundle:
        yield bundle.read


def _read_file(path: Path) -> bytes:
    """
    Raises:
        DataError: it is a pipe or device, which never ends, or larger than an image may be.
    """
    if not path.is_file() or path.stat().st_size > LARGEST_FILE:
        raise DataError(
            f"{path} is not a cell image",
            expected=f"a file of at most {LARGEST_FILE >> 20} MiB",
            found=f"{path.stat().st_size >> 20} MiB" if path.is_file() else "not a plain file",
        )
    return path.read_bytes()


@contextmanager
def reporting_damage(what: object, expected: str, remedy: str) -> Iterator[None]:
    """Turn any error of reading and decompressing a damaged file into one that names it."""
    try:
        yield
    except (
        OSError,  # also Pillow's for a truncated or unknown image
        zipfile.BadZipFile,
        zlib.error,
        lzma.LZMAError,
        EOFError,
        RuntimeError,  # an encrypted zip, an unknown compression, Pillow's warning of an enormous image
        ValueError,
        SyntaxError,  # Pillow's for a broken PNG
    ) as error:
        raise DataError(f"{what} cannot be read", expected=expected, found=mistake_in(error), remedy=remedy) from error


def _find_base(archive: Path, paths: Sequence[PurePosixPath], classes: Sequence[str]) -> tuple[str, ...]:
    """Return the path to the class folders: the top, or the one folder there, as in the original archive."""
    tops = {path.parts[0] for path in paths if len(path.parts) > 1}
    if tops & set(classes):
        return ()
    if len(tops) == 1 and any(len(path.parts) > 2 and path.parts[1] in classes for path in paths):
        return (tops.pop(),)
    raise DataError(
        f"{archive} holds no folders of images",
        expected=f"folders {', '.join(classes)}",
        found=", ".join(sorted(tops)[:5]) or "no folder with files",
    )


def _is_junk(path: PurePosixPath) -> bool:
    """Return whether a file was left by a desktop system: hidden files, macOS resource forks, thumbnails."""
    return any(part in JUNK or (part.startswith(".") and part != "..") for part in path.parts)


def _list_paths(archive: Path) -> list[PurePosixPath]:
    """List all files of a zip or folder, to the depth where images are."""
    if archive.is_dir():
        return list(_walk(archive))
    with (
        reporting_damage(archive, "an intact zip file", "Download the file again"),
        zipfile.ZipFile(archive) as bundle,
    ):
        files = [info for info in bundle.infolist() if not info.is_dir()]
    copies = Counter(info.filename for info in files)
    for info in files:
        if info.file_size > LARGEST_FILE or copies[info.filename] > 1:
            raise DataError(
                f"{archive} has an unusable entry, {info.filename}",
                expected=f"one file of that name, of at most {LARGEST_FILE >> 20} MiB",
                found=f"{copies[info.filename]} of {info.file_size >> 20} MiB",
            )
    return [PurePosixPath(info.filename) for info in files]


def _walk(folder: Path) -> Iterator[PurePosixPath]:
    """Iterate over the files of a folder, three folders deep at most: links may lead in a circle."""
    for place, folders, files in os.walk(folder, followlinks=True):
        relative = PurePosixPath(Path(place).relative_to(folder).as_posix())
        if len(relative.parts) >= 3:
            folders.clear()
        yield from (relative / file for file in files)
