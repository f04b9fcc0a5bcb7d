"""Small data sets on disk, made for tests: cell archives like PBC's and files in MedMNIST's format."""

from __future__ import annotations

import zipfile
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from assay.train.datasets.pbc import CLASSES

TOP = "PBC_dataset_normal_DIB"
COUNTS = {"train": 32, "val": 8, "test": 16}


def isolate(monkeypatch: pytest.MonkeyPatch, home: Path) -> None:
    """Hide this machine's own data from the code under test."""
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.delenv("ASSAY_PBC", raising=False)
    monkeypatch.delenv("ASSAY_DATA_ROOT", raising=False)


def cell_image(seed: int, width: int = 200, height: int = 203) -> NDArray[np.uint8]:
    """A smooth random picture, uint8 (height, width, 3), different for every seed."""
    coarse = np.random.default_rng(seed).integers(0, 256, (8, 8, 3), dtype=np.uint8)
    return np.asarray(Image.fromarray(coarse).resize((width, height), Image.Resampling.BILINEAR))


def write_cells(folder: Path, per_class: int = 6) -> Path:
    """A PBC-like folder of JPEG files, one folder for each class."""
    for label, name in enumerate(CLASSES):
        place = folder / TOP / name
        place.mkdir(parents=True)
        for number in range(per_class):
            picture = Image.fromarray(cell_image(1000 * label + number))
            picture.save(place / f"{name[:2].upper()}_{number:03}.jpg", quality=85)
    return folder


def zip_folder(folder: Path, path: Path) -> Path:
    """All files of a folder as a zip, as PBC is published."""
    with zipfile.ZipFile(path, "w") as bundle:
        for file in sorted(folder.rglob("*")):
            if file.is_file():
                bundle.write(file, file.relative_to(folder).as_posix())
    return path


def npz_arrays(size: int = 28, channels: int = 3, classes: int = 8) -> dict[str, NDArray[np.generic]]:
    """The arrays of a file in MedMNIST's format; grey images have no channel axis there."""
    random = np.random.default_rng(size)
    arrays: dict[str, NDArray[np.generic]] = {}
    for split, count in COUNTS.items():
        shape = (count, size, size, channels) if channels > 1 else (count, size, size)
        arrays[f"{split}_images"] = random.integers(0, 256, shape, dtype=np.uint8)
        arrays[f"{split}_labels"] = (np.arange(count) % classes).astype(np.uint8)[:, None]
    return arrays


def write_npz(path: Path, arrays: dict[str, NDArray[np.generic]]) -> Path:
    """The same file on disk."""
    path.parent.mkdir(parents=True, exist_ok=True)
    np.savez(path, **arrays)  # type: ignore[arg-type]
    return path
