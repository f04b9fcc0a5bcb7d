"""Data sets as plain arrays, by name: the one place where the rest of Assay gets images.

A data set name is one of `assay.registry.DATASETS`, with its argument after a colon where it takes one:
"bloodmnist", "medmnist:pathmnist", "pbc:<folder or zip>", "synthetic", "auto".
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

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
