"""Data sets as plain arrays, by name: the one place where the rest of Assay gets images.

A data set name is one of `assay.registry.DATASETS`, with its argument after a colon where it takes one:
"bloodmnist", "medmnist:pathmnist", "pbc:<folder or zip>", "synthetic", "auto".

A registered data set is a function `load(request, argument, progress) -> Source`. A source says cheaply what
it is, so that a stored copy is found again without decoding anything, and gives its images in pieces, so that
storing them never needs them all in memory.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, cast

import numpy as np
from numpy.typing import NDArray
from pydantic import JsonValue, ValidationError

from assay.errors import ArtifactError, DataError
from assay.registry import DATASETS
from assay.store import (
    MANIFEST,
    Artifact,
    Manifest,
    artifact_key,
    file_sha256,
    find_artifact,
    write_artifact,
    write_atomically,
)

SPLITS = ("train", "validation", "test")

Progress = Callable[[str, int, int], None]
"""Called with a label, the amount done and the total (0 when unknown)."""

Positions = NDArray[np.intp]
Digests = dict[str, str]


@dataclass(frozen=True)
class Split:
    """Images and labels of one split.

    Attributes:
        images: uint8, (count, height, width, channels); channels is 3 or 1.
        labels: int64, (count,), each in 0 .. classes - 1.
    """

    images: NDArray[np.uint8]
    labels: NDArray[np.int64]


@dataclass(frozen=True)
class DataRequest:
    """Which images are wanted.

    Attributes:
        name: data set name, see above.
        size: height and width in pixels.
        root: folder of MedMNIST .npz files, or a PBC zip or folder for "auto".
        limit: at most this many images of each split, stratified; 0 for all.
        seed: seed of the split ("pbc") or of the drawing ("synthetic").
        cache: folder for decoded images and downloads.
    """

    name: str
    size: int
    root: Path | None = None
    limit: int = 0
    seed: int = 0
    cache: Path = Path("artifacts/data")


@dataclass(frozen=True)
class Dataset:
    """A classification data set at one resolution.

    Attributes:
        name: what it is, "pbc", "bloodmnist" or "synthetic", never "auto".
        classes: class names in label order.
        attribution: who made it; shown wherever its images or results appear.
        licence: its licence.
        notice: what a reader of any result must know (unofficial split, synthetic), or "".
        content_hash: sha256 over images and labels of all splits.
    """

    name: str
    size: int
    train: Split
    validation: Split
    test: Split
    classes: tuple[str, ...]
    attribution: str
    licence: str
    notice: str
    synthetic: bool
    content_hash: str


@dataclass(frozen=True)
class Records:
    """One split of a source, before its images are read.

    Attributes:
        labels: int64, (count,).
        read: gives the images at ascending positions, in pieces: uint8, (some, height, width, channels).
    """

    labels: NDArray[np.int64]
    read: Callable[[Positions], Iterator[NDArray[np.uint8]]]


@dataclass(frozen=True)
class Source:
    """What a registered data set gives for a request: a description, and the images once opened.

    Attributes:
        name, classes, attribution, licence, notice, synthetic: as in `Dataset`.
        channels: 3 or 1.
        identity: all that determines the images: hash of the file they come from, seed, size.
        open: does the costly part and gives the records of each of `SPLITS`.
    """

    name: str
    classes: tuple[str, ...]
    attribution: str
    licence: str
    notice: str
    synthetic: bool
    channels: int
    identity: Mapping[str, JsonValue]
    open: Callable[[], Mapping[str, Records]]


def silent(label: str, done: int, total: int) -> None:
    """The progress of a caller who wants none."""


def load_dataset(request: DataRequest, progress: Progress | None = None) -> Dataset:
    """Load a data set into memory.

    Raises:
        InputError: the name is not registered.
        DataError: the files are missing, damaged or not what they say they are.
        NotInstalledError: a package that the data set needs is missing.
    """
    source = find_source(request, progress)
    digest = hashlib.sha256()
    splits = {}
    for name, (records, chosen) in _chosen_records(source, request.limit).items():
        images = np.empty((len(chosen), request.size, request.size, source.channels), np.uint8)
        filled = 0
        for piece in _checked_pieces(source, request.size, name, records, chosen):
            images[filled : filled + len(piece)] = piece
            filled += len(piece)
            digest.update(piece.data)
        splits[name] = Split(images, records.labels[chosen])
        digest.update(splits[name].labels.astype("<i8").tobytes())
    return _dataset(_facts(source, request.size, digest.hexdigest()), splits)


def store_dataset(request: DataRequest, progress: Progress | None = None) -> Artifact:
    """Store a data set as an artifact in `request.cache`, or find the one already there.

    The images pass through memory in pieces. A stored one is verified, and found without decoding anything.

    Returns:
        A "dataset" artifact: `<split>_images.npy`, `<split>_labels.npy`, and facts that carry name, size,
        classes, attribution, licence, notice, synthetic, content_hash and counts (images by split and class).

    Raises:
        InputError, DataError, NotInstalledError: as `load_dataset`; also when the cache cannot be written.
        ArtifactError: the stored one is damaged.
    """
    source = find_source(request, progress)
    inputs = {**source.identity, "name": source.name, "size": request.size, "limit": request.limit}
    folder = request.cache / f"{source.name}-{request.size}-{artifact_key('dataset', inputs)[:12]}"
    found = find_artifact(folder, "dataset", inputs)
    if found:
        return found
    splits = _chosen_records(source, request.limit)

    def fill(work: Path) -> dict[str, JsonValue]:
        digest = hashlib.sha256()
        for name, (records, chosen) in splits.items():
            shape = (len(chosen), request.size, request.size, source.channels)
            pieces = _checked_pieces(source, request.size, name, records, chosen)
            write_array(work / f"{name}_images.npy", shape, pieces, digest.update)
            labels = records.labels[chosen].astype("<i8")
            np.save(work / f"{name}_labels.npy", labels)
            digest.update(labels.tobytes())
        counts = {
            name: np.bincount(records.labels[chosen], minlength=len(source.classes)).tolist()
            for name, (records, chosen) in splits.items()
        }
        return {**_facts(source, request.size, digest.hexdigest()), "counts": counts}

    return write_artifact(folder, "dataset", inputs, made_by={"numpy": np.__version__}, fill=fill)


def open_dataset(folder: Path) -> Dataset:
    """Open a stored data set, its images memory-mapped: what worker processes use.

    Shapes, types and counts are held against the manifest. The images' hashes are not: `store_dataset` has
    verified them, and reading gigabytes again in every worker would cost more than the measurement.

    Raises:
        ArtifactError: the folder is not a stored data set, or a file is missing or damaged.
    """
    facts = _read_manifest(folder).facts
    counts = cast(dict[str, list[int]], facts["counts"])
    splits = {}
    for name in SPLITS:
        images = _read_array(folder / f"{name}_images.npy", "r")
        labels = _read_array(folder / f"{name}_labels.npy", None)
        found = np.bincount(labels, minlength=len(counts[name])).tolist() if len(labels) else []
        if found != counts[name] or len(images) != len(labels) or images.dtype != np.uint8:
            raise ArtifactError(
                f"{folder}, split {name}, is not what was written",
                expected=f"uint8 images, {counts[name]} of each class",
                found=f"{len(images)} images of type {images.dtype}, {found} labels of each class",
                remedy="Delete the folder to have it made again",
            )
        splits[name] = Split(images, labels)
    return _dataset(facts, splits)


def find_source(request: DataRequest, progress: Progress | None = None) -> Source:
    """The source behind a request's name; raises as `load_dataset`, but reads no images."""
    name, _, argument = request.name.partition(":")
    load = cast(Callable[[DataRequest, str, Progress], Source], DATASETS[name].load())
    source = load(request, argument, progress or silent)
    if len(source.classes) < 2:
        raise DataError(
            f"{request.name} has too few classes", expected="two or more", found=str(source.classes)
        )
    return source


def stratified(labels: NDArray[np.int64], limit: int) -> Positions:
    """Ascending positions of at most `limit` images (all for 0) in which every class keeps its share.

    Seats are given by Adams' method, which gives every class one before any has two; a larger limit only
    adds images to those of a smaller one.
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
    pieces: Iterator[NDArray[np.uint8]],
    watch: Callable[[memoryview], None] = lambda piece: None,
) -> None:
    """Write a uint8 .npy file from pieces along its first axis; `watch` sees each piece."""
    header = {"descr": "|u1", "fortran_order": False, "shape": shape}
    with path.open("wb") as stream:
        np.lib.format.write_array_header_1_0(stream, header)
        for piece in pieces:
            stream.write(piece.data)
            watch(piece.data)


def remembered_sha256(cache: Path, files: Sequence[Path]) -> str:
    """sha256 over the content of files, remembered in `cache` for as long as sizes and times stay the same.

    Hashing 129 MB takes a third of a second, and 17,000 single files some seconds: too long for each start.
    """
    stats = [(str(file.resolve()), file.stat().st_size, file.stat().st_mtime_ns) for file in files]
    fingerprint = hashlib.sha256(json.dumps(stats).encode()).hexdigest()
    memory = cache / "digests.json"
    known = _read_digests(memory)
    if fingerprint not in known:
        hashes = [file_sha256(file) for file in files]
        together = hashlib.sha256("".join(hashes).encode()).hexdigest()
        known[fingerprint] = hashes[0] if len(files) == 1 else together
        write_atomically(memory, json.dumps(known, indent=1).encode())
    return known[fingerprint]


def _read_digests(memory: Path) -> Digests:
    """The remembered digests; a damaged memory is an empty one."""
    try:
        known = json.loads(memory.read_bytes())
    except (OSError, ValueError):
        return {}
    return {str(key): str(value) for key, value in known.items()} if isinstance(known, dict) else {}


def _chosen_records(source: Source, limit: int) -> dict[str, tuple[Records, Positions]]:
    """Open the source, check its labels, and choose positions from each split."""
    opened = source.open()
    chosen = {}
    for name in SPLITS:
        labels = opened[name].labels
        where = f"{source.name}, split {name},"
        if len(labels) == 0:
            raise DataError(f"{where} is empty", expected="at least one image")
        if labels.min() < 0 or labels.max() >= len(source.classes):
            raise DataError(
                f"{where} has a label out of range",
                expected=f"0 to {len(source.classes) - 1} ({len(source.classes)} classes)",
                found=f"{labels.min()} to {labels.max()}",
            )
        chosen[name] = (opened[name], stratified(labels, limit))
    absent = set(range(len(source.classes))) - set(np.unique(opened["train"].labels).tolist())
    if absent:
        missing = ", ".join(source.classes[label] for label in sorted(absent))
        raise DataError(
            f"{source.name}, split train, lacks a class", expected="every class", found=f"no {missing}"
        )
    return chosen


def _checked_pieces(
    source: Source, size: int, split: str, records: Records, chosen: Positions
) -> Iterator[NDArray[np.uint8]]:
    """The chosen images in pieces, each of the right type and shape, and in all as many as promised."""
    total = 0
    for piece in records.read(chosen):
        if piece.dtype != np.uint8 or piece.shape[1:] != (size, size, source.channels):
            raise DataError(
                f"{source.name}, split {split}, has images that cannot be used",
                expected=f"uint8, {size} x {size} x {source.channels}",
                found=f"{piece.dtype}, {' x '.join(map(str, piece.shape[1:]))}",
            )
        total += len(piece)
        yield np.ascontiguousarray(piece)
    if total != len(chosen):
        raise DataError(
            f"{source.name}, split {split}, is incomplete", expected=f"{len(chosen)} images", found=str(total)
        )


def _facts(source: Source, size: int, content_hash: str) -> dict[str, JsonValue]:
    """What a manifest says of a data set, and what `_dataset` rebuilds it from."""
    return {
        "name": source.name,
        "size": size,
        "classes": list(source.classes),
        "attribution": source.attribution,
        "licence": source.licence,
        "notice": source.notice,
        "synthetic": source.synthetic,
        "content_hash": content_hash,
    }


def _dataset(facts: Mapping[str, JsonValue], splits: Mapping[str, Split]) -> Dataset:
    """The data set that facts describe."""
    return Dataset(
        name=str(facts["name"]),
        size=int(cast(int, facts["size"])),
        train=splits["train"],
        validation=splits["validation"],
        test=splits["test"],
        classes=tuple(cast(list[str], facts["classes"])),
        attribution=str(facts["attribution"]),
        licence=str(facts["licence"]),
        notice=str(facts["notice"]),
        synthetic=bool(facts["synthetic"]),
        content_hash=str(facts["content_hash"]),
    )


def _read_manifest(folder: Path) -> Manifest:
    """The manifest of a stored data set."""
    try:
        manifest = Manifest.model_validate_json((folder / MANIFEST).read_bytes())
    except (OSError, ValidationError) as error:
        raise ArtifactError(
            f"{folder} is not a stored data set",
            expected=f"a readable {MANIFEST}",
            found=type(error).__name__,
        ) from error
    if manifest.kind != "dataset":
        raise ArtifactError(f"{folder} is of another kind", expected="dataset", found=manifest.kind)
    return manifest


def _read_array(path: Path, mode: Literal["r"] | None) -> np.ndarray:
    """One array of a stored data set, memory-mapped for mode "r"."""
    try:
        return cast(np.ndarray, np.load(path, mmap_mode=mode, allow_pickle=False))
    except (OSError, ValueError, EOFError) as error:
        raise ArtifactError(
            f"{path} cannot be read",
            expected="an array written by Assay",
            found=str(error),
            remedy="Delete the folder to have it made again",
        ) from error
