"""The result of loading a registered data set: a description at once, and its images in pieces once opened.

A description is cheap, so that a stored copy is found again without decoding anything; pieces keep memory
small whatever the resolution. `assay.train.datasets.data` turns sources into data sets; `assay.train.datasets.pbc`,
`assay.train.datasets.medmnist_sets` and `assay.train.datasets.synthetic` make them.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from pydantic import JsonValue

from assay.errors import DataError
from assay.files.texts import read_json
from assay.store import write_atomically

Positions = NDArray[np.intp]
Pieces = Iterator[NDArray[np.uint8]]


class UnavailableError(DataError):
    """A real data set is not available here (no download, or not at this size); only "auto" may go without it."""


@dataclass(frozen=True)
class Records:
    """One split of a source, before its images are read.

    Attributes:
        labels: int64, (count,).
        read: returns the images at ascending positions, in pieces: uint8, (some, height, width, channels).
    """

    labels: NDArray[np.int64]
    read: Callable[[Positions], Pieces]


@dataclass(frozen=True)
class Source:
    """A data set that can be read.

    Attributes:
        name, classes, attribution, licence, notice, synthetic: as in `assay.train.datasets.data.Dataset`.
        origin: the file or folder the images come from, for messages.
        size, channels: size and number of channels of every image.
        identity: all that determines the images: hash of the file they come from, seed.
        open: does the costly part and returns the records of train, validation and test, in this order.
    """

    name: str
    classes: tuple[str, ...]
    attribution: str
    licence: str
    notice: str
    synthetic: bool
    origin: str
    size: int
    channels: int
    identity: Mapping[str, JsonValue]
    open: Callable[[], Mapping[str, Records]]


@dataclass(frozen=True)
class Chosen:
    """The part of one split that is wanted; its images come checked, in contiguous pieces.

    Attributes:
        labels: int64, (count,).
        shape: shape of all images together, (count, height, width, channels).
        pieces: reads the images.
    """

    labels: NDArray[np.int64]
    shape: tuple[int, int, int, int]
    pieces: Callable[[], Pieces]


def choose(source: Source, limit: int) -> dict[str, Chosen]:
    """Open a source, check its labels, and choose at most `limit` images of each split (0 for all).

    Raises:
        DataError: a split is empty, a label is out of range, or train lacks a class.
    """
    opened = source.open()
    for name, records in opened.items():
        _check_labels(f"{source.origin}, split {name},", records.labels, source.classes)
    absent = set(range(len(source.classes))) - set(np.unique(opened["train"].labels).tolist())
    if absent:
        missing = ", ".join(source.classes[label] for label in sorted(absent))
        raise DataError(f"{source.origin}, split train, lacks a class", expected="every class", found=f"no {missing}")
    return {name: _choose_split(source, name, records, limit) for name, records in opened.items()}


def stratified(labels: NDArray[np.int64], limit: int) -> Positions:
    """Return ascending positions of at most `limit` images (all for 0) in which every class keeps its share.

    Places are allotted by Adams' method of apportionment, in which no class gets two before every class has one; a
    larger limit only adds images to those of a smaller one.
    """
    if limit == 0 or limit >= len(labels):
        return np.arange(len(labels))
    priority = np.empty(len(labels))
    for label in np.unique(labels):
        members = np.flatnonzero(labels == label)
        priority[members] = np.arange(len(members)) / len(members)
    return np.sort(np.argsort(priority, kind="stable")[:limit])


def write_array(
    path: Path,
    shape: tuple[int, ...],
    pieces: Iterable[NDArray[np.generic]],
    watch: Callable[[memoryview], None] = lambda piece: None,
    kind: str = "|u1",
) -> None:
    """Write an .npy file, uint8 or of another kind, from contiguous pieces along its first axis; `watch` sees each one.

    The file is not mapped into memory: a full disk would silently end the process when a page is written.
    """
    with path.open("wb") as stream:
        np.lib.format.write_array_header_1_0(stream, array_header(shape, kind))
        for piece in pieces:
            stream.write(piece.data)
            watch(piece.data)


def array_header(shape: tuple[int, ...], kind: str) -> dict[str, object]:
    """Return the header of an .npy file in C order, for `numpy.lib.format`."""
    return {"descr": kind, "fortran_order": False, "shape": shape}


def remembered_digest(cache: Path, files: Sequence[Path], algorithm: str = "sha256") -> str:
    """Return the hash (hex) of the content of files, remembered in `cache` while sizes and times stay the same.

    Hashing 129 MB takes a third of a second, and 17,000 single files some seconds: too long for each start.

    Raises:
        DataError: a file cannot be read.
        InputError: the cache cannot be written.
    """
    try:
        stats = [(str(file.resolve()), file.stat().st_size, file.stat().st_mtime_ns) for file in files]
        fingerprint = hashlib.sha256(json.dumps([algorithm, stats]).encode()).hexdigest()
        memory = cache / "digests.json"
        known = _read_digests(memory)
        if fingerprint in known:
            return known[fingerprint]
        hashes = [_file_digest(file, algorithm) for file in files]
    except OSError as error:
        raise DataError(
            f"{error.filename} cannot be read", found=error.strerror, remedy="Make the file readable"
        ) from error
    together = hashlib.sha256("".join(hashes).encode()).hexdigest()
    known[fingerprint] = hashes[0] if len(files) == 1 else together
    write_atomically(memory, json.dumps(known, indent=1).encode())
    return known[fingerprint]


def _file_digest(path: Path, algorithm: str) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, algorithm).hexdigest()


def _read_digests(memory: Path) -> dict[str, str]:
    """Read the remembered digests; a damaged file counts as an empty one."""
    try:
        known = read_json(memory)
    except (OSError, ValueError):
        return {}
    return {str(key): str(value) for key, value in known.items()} if isinstance(known, dict) else {}


def _check_labels(where: str, labels: NDArray[np.int64], classes: Sequence[str]) -> None:
    """Refuse a split that is empty or has labels without a class."""
    if len(labels) == 0:
        raise DataError(f"{where} is empty", expected="at least one image")
    if labels.min() < 0 or labels.max() >= len(classes):
        raise DataError(
            f"{where} has a label out of range",
            expected=f"0 to {len(classes) - 1} ({len(classes)} classes)",
            found=f"{labels.min()} to {labels.max()}",
        )


def _choose_split(source: Source, name: str, records: Records, limit: int) -> Chosen:
    """Return the wanted part of one split."""
    positions = stratified(records.labels, limit)
    shape = (len(positions), source.size, source.size, source.channels)
    where = f"{source.origin}, split {name},"
    return Chosen(records.labels[positions], shape, lambda: _checked(where, shape, records.read(positions)))


def _checked(where: str, shape: tuple[int, int, int, int], pieces: Pieces) -> Pieces:
    """Iterate over the pieces, checking that each has the right type and shape, and that there are as many images as
    promised.
    """
    total = 0
    for piece in pieces:
        if piece.dtype != np.uint8 or piece.shape[1:] != shape[1:]:
            raise DataError(
                f"{where} has images that cannot be used",
                expected=f"uint8, {' x '.join(map(str, shape[1:]))}",
                found=f"{piece.dtype}, {' x '.join(map(str, piece.shape[1:]))}",
            )
        total += len(piece)
        yield np.ascontiguousarray(piece)
    if total != shape[0]:
        raise DataError(f"{where} is incomplete", expected=f"{shape[0]} images", found=str(total))
