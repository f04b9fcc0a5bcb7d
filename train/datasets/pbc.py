"""The original peripheral blood cell images (PBC), at any resolution: "pbc:<folder or zip>".

Acevedo et al., "A dataset of microscopic peripheral blood cell images for development of automatic
recognition systems", Data in Brief 30 (2020), doi 10.17632/snkd93bnjr.1. BloodMNIST is made from it: the
centre 200 x 200 pixels of each image (the originals are 360 x 363), resized with cubic interpolation
(Yang et al., "MedMNIST v2", Scientific Data 2023). Which image is in which split of BloodMNIST is not
published, so every split made here is unofficial and its notice says so.

The crops are decoded once and kept in the cache (2 GB for the complete set); each resolution is made from
them with Pillow's bicubic filter, which is anti-aliased when it shrinks.
"""

from __future__ import annotations

import hashlib
import io
import os
from collections import defaultdict
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import numpy as np
import PIL
from numpy.typing import NDArray
from PIL import Image
from pydantic import JsonValue

from assay.errors import DataError
from assay.files.arrays import load_array
from assay.store import Artifact, Store
from assay.train.datasets.archive import Member, Read, list_members, reading, reporting_damage
from assay.train.datasets.data import SPLITS, DataRequest, Progress
from assay.train.datasets.sources import Pieces, Positions, Records, Source, remembered_digest, write_array

OFFICIAL_COUNTS = {
    "basophil": (852, 122, 244),
    "eosinophil": (2181, 312, 624),
    "erythroblast": (1085, 155, 311),
    "ig": (2026, 290, 579),
    "lymphocyte": (849, 122, 243),
    "monocyte": (993, 143, 284),
    "neutrophil": (2330, 333, 666),
    "platelet": (1643, 235, 470),
}
"""BloodMNIST's images of each class in train, validation and test; the order is its label order."""

CLASSES = tuple(OFFICIAL_COUNTS)
CROP = 200
BATCH = 256
LARGEST_SIDE = 4096
ATTRIBUTION = (
    "Acevedo et al., A dataset of microscopic peripheral blood cell images for development of automatic "
    "recognition systems, Data in Brief 2020, doi 10.17632/snkd93bnjr.1"
)
NOTICE = (
    "Unofficial split: drawn by Assay from the original PBC images, 7:1:2 by class. BloodMNIST's own split of "
    "them is not published, so accuracies compare with published ones only roughly."
)
REMEDY = "Restore the file from the original archive, or leave the image out"


def load(request: DataRequest, argument: str, progress: Progress) -> Source:
    """Return the PBC images behind `argument`, a zip file or a folder with one folder for each class.

    Without an argument they are where `request.root` or $ASSAY_PBC says.

    Raises:
        DataError: nothing usable is there; the message names the file.
    """
    named = argument or request.root or os.environ.get("ASSAY_PBC", "")
    archive = Path(named).expanduser()
    if not named or not archive.exists():
        raise DataError(
            f"No PBC images at '{named}'",
            expected="pbc:<folder or zip>, --data-root or ASSAY_PBC with an existing path",
            remedy="The images are published at https://data.mendeley.com/datasets/snkd93bnjr/1",
        )
    members = list_members(archive, CLASSES)
    content = _identify(archive, members, request.cache)

    def open_records() -> dict[str, Records]:
        crops = _store_crops(archive, members, content, request.cache, progress)
        digests = [bytes(row) for row in load_array(crops.file("digests.npy"))]
        splits = split_by_content(members, digests, request.seed)
        labels = np.array([member.label for member in members], np.int64)
        return {
            name: Records(labels[chosen], partial(_resized, crops, request.size, chosen, progress))
            for name, chosen in splits.items()
        }

    return Source(
        name="pbc",
        classes=CLASSES,
        attribution=ATTRIBUTION,
        licence="CC BY 4.0",
        notice=NOTICE,
        synthetic=False,
        origin=str(archive),
        size=request.size,
        channels=3,
        identity={**content, "seed": request.seed, "recipe": 1},
        open=open_records,
    )


def _identify(archive: Path, members: Sequence[Member], cache: Path) -> dict[str, JsonValue]:
    """Return the hash of a zip, or of a folder's images and their names."""
    if archive.is_file():
        return {"sha256": remembered_digest(cache, [archive])}
    names = hashlib.sha256(repr(members).encode()).hexdigest()
    return {"sha256": remembered_digest(cache, [archive / member.path for member in members]), "names": names}


def split_by_content(members: Sequence[Member], digests: Sequence[bytes], seed: int) -> dict[str, Positions]:
    """Split images 7:1:2 by class, with BloodMNIST's own counts where the class has as many images.

    Images with the same content stay together. If they have different labels, they all go to train, where a wrong label
    is noise, and not to a test in which nobody could be right about both. The other images are taken in an order drawn
    from seed and name (the same on every machine, whatever the archive), single images first, for test, then
    validation, then train: so images that occur twice are in train as well, unless a class has too few others.

    Returns:
        For each of `SPLITS` the positions of its images, in drawn order.

    Raises:
        DataError: a class has too few different images for three splits.
    """
    groups = defaultdict(list)
    for position, digest in enumerate(digests):
        groups[digest].append(position)
    drawn = [hashlib.sha256(f"{seed}/{member.name}".encode()).digest() for member in members]
    by_class: dict[int, list[list[int]]] = defaultdict(list)
    splits: dict[str, list[int]] = {name: [] for name in SPLITS}
    for group in groups.values():
        labels = {members[position].label for position in group}
        if len(labels) > 1:
            splits["train"] += group
        else:
            by_class[labels.pop()].append(group)
    for label, name in enumerate(CLASSES):
        total = sum(member.label == label for member in members)
        ordered = sorted(by_class[label], key=lambda group: (len(group), min(drawn[i] for i in group)))
        _deal(ordered, split_counts(name, total), splits)
        for split in SPLITS:
            if not any(members[position].label == label for position in splits[split]):
                raise DataError(
                    f"Too few different images of class '{name}'",
                    expected="at least one for each of train, validation and test",
                    found=f"{total} images, {len(ordered)} different ones",
                )
    return {
        name: np.array(sorted(positions, key=lambda position: drawn[position]), np.intp)
        for name, positions in splits.items()
    }


def split_counts(name: str, total: int) -> tuple[int, int, int]:
    """Return how many images of a class are for train, validation and test: BloodMNIST's counts if the total is the
    same, else 7:1:2.
    """
    official = OFFICIAL_COUNTS[name]
    if sum(official) == total:
        return official
    validation, test = max(1, round(total / 10)), max(1, round(total / 5))
    return total - validation - test, validation, test


def _deal(groups: list[list[int]], counts: tuple[int, int, int], splits: dict[str, list[int]]) -> None:
    """Deal groups in order: each to test while it fits there, else to validation, else to train."""
    room = {"test": counts[2], "validation": counts[1]}
    for group in groups:
        split = next((name for name in room if len(group) <= room[name]), "train")
        splits[split] += group
        if split in room:
            room[split] -= len(group)


def _store_crops(
    archive: Path,
    members: Sequence[Member],
    content: Mapping[str, JsonValue],
    cache: Path,
    progress: Progress,
) -> Artifact:
    """Return the decoded centre crops of all images, in the order of the members, from the cache or made now."""
    inputs = {**content, "crop": CROP, "members": hashlib.sha256(repr(members).encode()).hexdigest()}
    digests: list[bytes] = []

    def decoded() -> Pieces:
        with reading(archive) as read, ThreadPoolExecutor(os.cpu_count()) as pool:
            for start in range(0, len(members), BATCH):
                batch = members[start : start + BATCH]
                crops = list(pool.map(partial(_decode, archive, read), batch))
                digests.extend(pool.map(lambda crop: hashlib.sha256(crop.data).digest(), crops))
                progress("decoding cell images", start + len(batch), len(members))
                yield np.stack(crops)

    def fill(work: Path) -> dict[str, JsonValue]:
        write_array(work / "crops.npy", (len(members), CROP, CROP, 3), decoded())
        np.save(work / "digests.npy", np.frombuffer(b"".join(digests), np.uint8).reshape(-1, 32))
        return {"images": len(members)}

    made_by = {"pillow": PIL.__version__}
    return Store(cache, shared=True).kept("crops", inputs, fill, name="pbc-crops", made_by=made_by)


def _decode(archive: Path, read: Read, member: Member) -> NDArray[np.uint8]:
    """Return the centre crop of one image: uint8, (200, 200, 3)."""
    where = f"{archive}, {member.path}"
    with reporting_damage(where, "an intact RGB image (JPEG, PNG or BMP)", REMEDY):
        content = read(member.path)
        with Image.open(io.BytesIO(content), formats=("JPEG", "PNG", "BMP")) as image:
            width, height = image.size
            fits = min(width, height) >= CROP and max(width, height) <= LARGEST_SIDE
            if not fits or image.mode != "RGB":
                raise DataError(
                    f"{where} is not a cell image",
                    expected=f"RGB, at least {CROP} x {CROP} pixels",
                    found=f"{image.mode}, {width} x {height}",
                    remedy=REMEDY,
                )
            left, top = (width - CROP) // 2, (height - CROP) // 2
            return np.asarray(image.crop((left, top, left + CROP, top + CROP)))


def _resized(crops: Artifact, size: int, chosen: Positions, progress: Progress, wanted: Positions) -> Pieces:
    """Iterate over crops at positions `chosen[wanted]`, resized, in pieces.

    They are read with plain file reads: pages of a memory map would count as this process's memory.
    """
    stride = CROP * CROP * 3
    path = crops.file("crops.npy")
    header = path.stat().st_size - stride * int(str(crops.manifest.facts["images"]))
    with path.open("rb") as stream, ThreadPoolExecutor(os.cpu_count()) as pool:
        for start in range(0, len(wanted), BATCH):
            batch = []
            for position in chosen[wanted[start : start + BATCH]].tolist():
                stream.seek(header + position * stride)
                batch.append(stream.read(stride))
            progress(f"resizing to {size} x {size}", start + len(batch), len(wanted))
            yield np.stack(list(pool.map(partial(_resize, size), batch)))


def _resize(size: int, crop: bytes) -> NDArray[np.uint8]:
    """Return one crop at another size: uint8, (size, size, 3)."""
    image = Image.frombytes("RGB", (CROP, CROP), crop)
    return np.asarray(image if size == CROP else image.resize((size, size), Image.Resampling.BICUBIC))
