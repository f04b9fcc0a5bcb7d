"""Data sets as plain arrays, by name: the one place where the rest of Assay gets images.

A data set name is one of `assay.registry.DATASETS`, with its argument after a colon where it takes one:
"bloodmnist", "medmnist:pathmnist", "pbc:<folder or zip>", "synthetic", "auto".

A registered data set is a function `load(request, argument, progress) -> assay.train.datasets.sources.Source`.
"""

from __future__ import annotations

import hashlib
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, JsonValue, ValidationError

from assay.errors import ArtifactError, DataError, NotInstalledError
from assay.files.arrays import load_array, map_array
from assay.files.mistakes import mistake_in
from assay.files.texts import read_bytes
from assay.records.results import DataSummary
from assay.registry import DATASETS
from assay.store import MANIFEST, Artifact, Manifest, Store
from assay.texts import printable
from assay.train.datasets.sources import Source, UnavailableError, choose, write_array

SPLITS = ("train", "validation", "test")

Progress = Callable[[str, int, int], None]
"""Called with a label, the amount done and the total (0 when unknown)."""


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
    """A request for images.

    Attributes:
        name: data set name, see above.
        size: height and width in pixels.
        root: folder of MedMNIST .npz files, or a PBC zip or folder for "auto".
        limit: largest number of images of each split, stratified; 0 for all.
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
        name: its name, "pbc", "bloodmnist" or "synthetic", never "auto".
        classes: class names in label order.
        attribution: its makers; shown wherever its images or results appear.
        licence: its licence.
        notice: remark for readers of any result (unofficial split, synthetic), or "".
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

    @property
    def summary(self) -> DataSummary:
        """The summary of it for results."""
        splits = {"train": self.train, "validation": self.validation, "test": self.test}
        return DataSummary(
            name=self.name,
            content_hash=self.content_hash,
            counts={name: len(split.labels) for name, split in splits.items()},
            classes=list(self.classes),
            attribution=self.attribution,
            licence=self.licence,
            notice=self.notice,
            synthetic=self.synthetic,
        )


class Facts(BaseModel):
    """The facts about a stored data set in its manifest; the fields are those of `Dataset`.

    Attributes:
        counts: number of images of each class, by split.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str
    size: int
    classes: tuple[str, ...]
    attribution: str
    licence: str
    notice: str
    synthetic: bool
    content_hash: str
    counts: dict[str, list[int]]

    @classmethod
    def of(cls, source: Source | Dataset, content_hash: str, labels: Mapping[str, NDArray[np.int64]]) -> Self:
        """Return the facts of a source whose images have been read."""
        return cls(
            name=source.name,
            size=source.size,
            classes=source.classes,
            attribution=source.attribution,
            licence=source.licence,
            notice=source.notice,
            synthetic=source.synthetic,
            content_hash=content_hash,
            counts={name: _count(some, len(source.classes)) for name, some in labels.items()},
        )

    def dataset(self, splits: Mapping[str, Split]) -> Dataset:
        """Return the data set with these facts and these images."""
        train, validation, test = (splits[name] for name in SPLITS)
        described = self.model_dump(exclude={"counts"})
        return Dataset(train=train, validation=validation, test=test, **described)


def load_dataset(request: DataRequest, progress: Progress | None = None) -> Dataset:
    """Load a data set into memory.

    Raises:
        InputError: the name is not registered.
        DataError: the files are missing, damaged or not what they say they are.
        NotInstalledError: a package that the data set needs is missing.
    """
    source = _find_source(request, progress)
    digest = hashlib.sha256()
    splits = {}
    for name, chosen in choose(source, request.limit).items():
        images = np.empty(chosen.shape, np.uint8)
        filled = 0
        for piece in chosen.pieces():
            images[filled : filled + len(piece)] = piece
            filled += len(piece)
            digest.update(piece.data)
        digest.update(chosen.labels.astype("<i8").tobytes())
        splits[name] = Split(images, chosen.labels)
    labels = {name: split.labels for name, split in splits.items()}
    return Facts.of(source, digest.hexdigest(), labels).dataset(splits)


def store_dataset(request: DataRequest, progress: Progress | None = None) -> Artifact:
    """Store a data set as an artifact in `request.cache`, or find the one that exists.

    The images pass through memory in pieces. A stored one is verified, and found without decoding anything.

    Returns:
        A "dataset" artifact: `<split>_images.npy`, `<split>_labels.npy`, and `Facts` in its manifest.

    Raises:
        InputError, DataError, NotInstalledError: as for `load_dataset`; also when the cache cannot be written.
        ArtifactError: the stored one is damaged.
    """
    source = _find_source(request, progress)
    inputs = {**source.identity, "name": source.name, "size": request.size, "limit": request.limit}

    def fill(work: Path) -> dict[str, JsonValue]:
        splits = choose(source, request.limit)
        digest = hashlib.sha256()
        for name, chosen in splits.items():
            write_array(work / f"{name}_images.npy", chosen.shape, chosen.pieces(), digest.update)
            labels = chosen.labels.astype("<i8")
            np.save(work / f"{name}_labels.npy", labels)
            digest.update(labels.tobytes())
        labels_of = {name: chosen.labels for name, chosen in splits.items()}
        return Facts.of(source, digest.hexdigest(), labels_of).model_dump(mode="json")

    name, made_by = f"{source.name}-{request.size}", {"numpy": np.__version__}
    return Store(request.cache, shared=True).kept("dataset", inputs, fill, name=name, made_by=made_by)


def open_dataset(folder: Path) -> Dataset:
    """Open a stored data set with its images memory-mapped, as worker processes do.

    Shapes, types and counts are checked against the manifest. The images' hashes are not: `store_dataset` has
    verified them, and reading gigabytes again in every worker would cost more than the measurement.

    Raises:
        ArtifactError: the folder is not a stored data set, or a file is missing or damaged.
    """
    facts = _read_facts(folder)
    splits = {}
    for name in SPLITS:
        images = _read_array(folder / f"{name}_images.npy", "r")
        labels = _read_array(folder / f"{name}_labels.npy", None)
        found = _count(labels, len(facts.classes))
        if found != facts.counts.get(name) or images.shape[:1] != labels.shape or images.dtype != np.uint8:
            raise ArtifactError(
                f"{folder}, split {name}, differs from what was written",
                expected=f"uint8 images, by class {facts.counts.get(name)}",
                found=f"{len(images)} images of type {images.dtype}, labels by class {found}",
                remedy="Delete the folder to have it made again",
            )
        splits[name] = Split(images, labels)
    return facts.dataset(splits)


def _find_source(request: DataRequest, progress: Progress | None = None) -> Source:
    """Return the source behind a request's name, reading no images; errors are those of `load_dataset`."""
    name, _, argument = request.name.partition(":")
    load: Callable[[DataRequest, str, Progress], Source] = DATASETS[name].load()
    return load(request, argument, progress or _silent)


def load_auto(request: DataRequest, argument: str, progress: Progress) -> Source:
    """Return the source behind "auto": whatever `resolve_auto` finds for this one size."""
    return _find_source(resolve_auto(request, (request.size,), progress), progress)


def resolve_auto(request: DataRequest, sizes: Sequence[int], progress: Progress | None = None) -> DataRequest:
    """Return the request with "auto" replaced by a data set that is available at all of `sizes`.

    The order is: the data that `request.root`, $ASSAY_PBC or $ASSAY_DATA_ROOT names; BloodMNIST from medmnist's own
    folder or by download; synthetic images, with a banner on stderr that says why. A study resolves once, for
    all its sizes, so that real and drawn images never mix. A request with another name is returned as it is.

    Raises:
        DataError: the named data does not exist or cannot be used; nothing takes its place.
    """
    if request.name != "auto":
        return request
    named = request.root.expanduser() if request.root else None
    root = named or _path_in_environment("ASSAY_PBC") or _path_in_environment("ASSAY_DATA_ROOT")
    if root:
        return _resolve_root(request, root)
    real = replace(request, name="bloodmnist")
    try:
        for size in sizes:
            source = _find_source(replace(real, size=size), progress)
            source.open()
    except (UnavailableError, NotInstalledError) as error:
        sys.stderr.write(_banner(printable(str(error))))
        return replace(request, name="synthetic")
    return real


def _resolve_root(request: DataRequest, root: Path) -> DataRequest:
    """Return a request for the data in a folder or file that the user named."""
    if not root.exists():
        raise DataError(
            f"No data at {root}",
            expected="a PBC zip or folder, or a folder of MedMNIST .npz files",
            remedy="Correct the path (--data-root, ASSAY_PBC or ASSAY_DATA_ROOT)",
        )
    if root.is_dir() and any(root.glob("bloodmnist*.npz")):
        return replace(request, name="bloodmnist", root=root)
    return replace(request, name=f"pbc:{root}", root=None)


def _path_in_environment(name: str) -> Path | None:
    value = os.environ.get(name)
    return Path(value).expanduser() if value else None


def _banner(reason: str) -> str:
    """Return the banner that is shown when no real images are available."""
    line = "=" * 78
    return (
        f"{line}\nSYNTHETIC IMAGES: no real data was available, so drawn cells replace it.\n{reason}\n"
        "Name real data with --data-root, ASSAY_PBC or ASSAY_DATA_ROOT. Results are labelled synthetic.\n"
        f"{line}\n"
    )


def _silent(label: str, done: int, total: int) -> None:
    """Ignore progress, for a caller who wants none."""


def _count(labels: NDArray[np.int64], classes: int) -> list[int]:
    """Count the images of each class."""
    return [int((labels == label).sum()) for label in range(classes)]


def _read_facts(folder: Path) -> Facts:
    """Read the facts of a stored data set."""
    try:
        manifest = Manifest.model_validate_json(read_bytes(folder / MANIFEST))
        if manifest.kind != "dataset":
            raise ArtifactError(f"{folder} is of another kind", expected="dataset", found=manifest.kind)
        return Facts.model_validate(manifest.facts)
    except (OSError, ValidationError) as error:
        raise ArtifactError(
            f"{folder} is not a stored data set",
            expected=f"a readable {MANIFEST}",
            found=mistake_in(error),
            remedy="Delete the folder to have it made again",
        ) from error


def _read_array(path: Path, mode: Literal["r"] | None) -> np.ndarray:
    """Read one array of a stored data set, memory-mapped for mode "r"."""
    try:
        return map_array(path) if mode else load_array(path)
    except ArtifactError as error:
        raise ArtifactError(
            f"{path} cannot be read",
            expected="an array written by Assay",
            found=error.found or error.what,
            remedy="Delete the folder to have it made again",
        ) from error
