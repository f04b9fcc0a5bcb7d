"""Files in MedMNIST's format: an .npz with {train,val,test}_images, uint8 (count, size, size[, 3]), and
{train,val,test}_labels, integers (count, 1).

A file written by Assay has one more member, "assay.json", which says where the images come from; medmnist's own reader
ignores it. A file is read in pieces, with its zip checksums, and never needs to fit in memory.
"""

from __future__ import annotations

import os
import tempfile
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import IO

import numpy as np
from numpy.typing import NDArray
from pydantic import ValidationError

from assay.errors import ArtifactError, DataError
from assay.files.arrays import read_member
from assay.files.disk import temporary_prefix
from assay.store import reporting_disk_errors
from assay.train.datasets.archive import reporting_damage
from assay.train.datasets.data import SPLITS, Dataset, Facts, Split
from assay.train.datasets.sources import Pieces, Positions, Records, array_header

MEMBERS = dict(zip(SPLITS, ("train", "val", "test"), strict=True))
"""MedMNIST's name for each split."""

ORIGIN = "assay.json"
PIECE_BYTES = 8 << 20
LARGEST_ORIGIN = 16 << 20
EXPECTED = "an intact .npz in MedMNIST's format"
REMEDY = "Download the file again; this one was not changed"


def write_medmnist_npz(dataset: Dataset, path: Path) -> None:
    """Write a data set in MedMNIST's format; the same data set gives the same bytes.

    Raises:
        InputError: the place cannot be written; a file already there is untouched.
    """
    with reporting_disk_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=temporary_prefix(path))
        try:
            with os.fdopen(handle, "wb") as stream, zipfile.ZipFile(stream, "w") as bundle:
                for split, member in MEMBERS.items():
                    _write_split(bundle, member, getattr(dataset, split))
                with _writing(bundle, ORIGIN) as entry:
                    entry.write(_describe(dataset))
            Path(name).chmod(0o644)
            Path(name).replace(path)
        finally:
            Path(name).unlink(missing_ok=True)


def read_origin(path: Path) -> Facts | None:
    """Return the facts that Assay stored with the images when it made the file, or None if it did not make it.

    Raises:
        DataError: the file is damaged.
    """
    with _opening(path) as bundle:
        if ORIGIN not in bundle.namelist():
            return None
        try:
            return Facts.model_validate_json(_bounded(path, bundle, ORIGIN))
        except ValidationError as error:
            raise DataError(
                f"{path} has a damaged {ORIGIN}", expected="a description by Assay", remedy=REMEDY
            ) from error


def read_records(path: Path, size: int, channels: int) -> dict[str, Records]:
    """Return the splits of a file; labels are read and checked now, images when they are asked for.

    Raises:
        DataError: the file is damaged, or not of MedMNIST's format, size and number of channels; labels out of
            range are found later, by `assay.train.datasets.sources.choose`.
    """
    return {split: _read_split(path, member, size, channels) for split, member in MEMBERS.items()}


def _read_split(path: Path, split: str, size: int, channels: int) -> Records:
    images, labels = f"{split}_images.npy", f"{split}_labels.npy"
    with _opening(path) as bundle:
        absent = {images, labels} - set(bundle.namelist())
        if absent:
            raise DataError(
                f"{path} is not in MedMNIST's format",
                expected=f"arrays {', '.join(sorted(absent))}",
                found=", ".join(bundle.namelist()[:8]) or "an empty file",
            )
        with bundle.open(images) as stream:
            shape, kind = _read_header(path, images, stream)
        found = read_member(path, bundle, labels)
    plain = (size, size) if channels == 1 else (size, size, channels)
    if kind != np.uint8 or shape[1:] not in {plain, (size, size, channels)}:
        raise DataError(
            f"{path}, {images}, has images that cannot be used",
            expected=f"uint8, count x {' x '.join(map(str, plain))}",
            found=f"{kind}, {' x '.join(map(str, shape))}",
        )
    if found.dtype.kind not in "iu" or found.shape not in {(shape[0],), (shape[0], 1)}:
        raise DataError(
            f"{path}, {labels}, has labels that cannot be used",
            expected=f"integers, {shape[0]} x 1, one for each image",
            found=f"{found.dtype}, {' x '.join(map(str, found.shape))}",
        )
    read = partial(_read_images, path, images, (size, size, channels))
    return Records(found.reshape(-1).astype(np.int64), read)


def _read_images(path: Path, member: str, shape: tuple[int, int, int], wanted: Positions) -> Pieces:
    """Iterate over the wanted images, in pieces. The member is read to its end, where zip verifies its checksum."""
    stride = int(np.prod(shape))
    step = max(1, PIECE_BYTES // stride)
    with _opening(path) as bundle, bundle.open(member) as stream:
        (count, *_), _ = _read_header(path, member, stream)
        for start in range(0, count, step):
            block = stream.read(min(step, count - start) * stride)
            images: NDArray[np.uint8] = np.frombuffer(block, np.uint8).reshape(-1, *shape)
            low, high = np.searchsorted(wanted, [start, start + len(images)])
            if high > low:
                yield images[wanted[low:high] - start]
        if stream.read():
            raise ValueError(f"{member} is longer than its header says")


def _read_header(path: Path, member: str, stream: IO[bytes]) -> tuple[tuple[int, ...], np.dtype[np.generic]]:
    """Return shape and type of an array, leaving the stream at its first element."""
    version = np.lib.format.read_magic(stream)
    readers = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}
    if version not in readers:
        raise ValueError(f"{member} is of unknown version {version}")
    shape, fortran_order, kind = readers[version](stream)
    if fortran_order and len(shape) > 1:
        raise DataError(
            f"{path}, {member}, is in Fortran order",
            expected="C order",
            remedy="Convert it with numpy.ascontiguousarray before saving",
        )
    return shape, kind


@contextmanager
def _opening(path: Path) -> Iterator[zipfile.ZipFile]:
    """Open an .npz file as a zip; any damage found while it is open is reported with the file's name."""
    try:
        with reporting_damage(path, EXPECTED, REMEDY), zipfile.ZipFile(path) as bundle:
            yield bundle
    except ArtifactError as error:
        raise DataError(error.what, expected=error.expected, found=error.found, remedy=REMEDY) from error


def _bounded(path: Path, bundle: zipfile.ZipFile, member: str) -> bytes:
    size = bundle.getinfo(member).file_size
    if size > LARGEST_ORIGIN:
        raise DataError(
            f"{path}, {member}, is too large", expected=f"at most {LARGEST_ORIGIN:,} bytes", found=f"{size:,}"
        )
    return bundle.read(member)


def _describe(dataset: Dataset) -> bytes:
    labels = {split: getattr(dataset, split).labels for split in SPLITS}
    return Facts.of(dataset, dataset.content_hash, labels).model_dump_json().encode()


def _write_split(bundle: zipfile.ZipFile, split: str, content: Split) -> None:
    with _writing(bundle, f"{split}_images.npy") as stream:
        np.lib.format.write_array_header_1_0(stream, array_header(content.images.shape, "|u1"))
        step = max(1, PIECE_BYTES // content.images[0].nbytes)
        for start in range(0, len(content.images), step):
            stream.write(np.ascontiguousarray(content.images[start : start + step]).data)
    with _writing(bundle, f"{split}_labels.npy") as stream:
        np.lib.format.write_array(stream, content.labels.astype(np.uint8).reshape(-1, 1))


@contextmanager
def _writing(bundle: zipfile.ZipFile, member: str) -> Iterator[IO[bytes]]:
    """Write a new member, without the time of writing."""
    entry = zipfile.ZipInfo(member)
    with bundle.open(entry, "w", force_zip64=True) as stream:
        yield stream
