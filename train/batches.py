"""The same batches in the same order with the same augmentation, for every framework.

A batch is a pure function of (data, seed, step): a resumed training goes on with exactly the batch it would have had.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from assay.errors import DataError
from assay.train.datasets.data import Split

Images = NDArray[np.float32]
Labels = NDArray[np.int64]


def normalise(images: NDArray[np.uint8]) -> Images:
    """Convert uint8 0..255 to float32 -1..1, the input of every model; the shape stays."""
    return images.astype(np.float32) / np.float32(127.5) - np.float32(1)


def augment(images: NDArray[np.uint8], random: np.random.Generator) -> NDArray[np.uint8]:
    """Mirror each image left-right, top-bottom and along the diagonal, each with probability 1/2.

    These are the eight symmetries of the square: a cell has no upright. Shape (batch, H, H, C), a new array.
    """
    result = images.copy()
    across, down, diagonal = random.random((3, len(images))) < 0.5
    result[across] = result[across, :, ::-1]
    result[down] = result[down, ::-1]
    result[diagonal] = result[diagonal].transpose(0, 2, 1, 3)
    return result


@dataclass(frozen=True)
class Batches:
    """The training batches of one run.

    Attributes:
        split: the training images.
        size: images in a batch.
        seed: seed of the order and the augmentation.
    """

    split: Split
    size: int
    seed: int

    def __post_init__(self) -> None:
        if len(self.split.labels) < self.size:
            raise DataError(
                "The training split is smaller than one batch",
                expected=f"at least {self.size} images",
                found=str(len(self.split.labels)),
                remedy="Lower train.batch_size or raise data.limit",
            )

    @property
    def in_epoch(self) -> int:
        """The number of batches in one pass over the data; an incomplete last one is left out."""
        return len(self.split.labels) // self.size

    def batch(self, step: int) -> tuple[Images, Labels]:
        """Return augmented, normalised images (size, H, W, C) and their labels (size,) for a step, counted from 0."""
        epoch, place = divmod(step, self.in_epoch)
        order = np.random.default_rng([self.seed, 0, epoch]).permutation(len(self.split.labels))
        chosen = np.sort(order[place * self.size : (place + 1) * self.size])
        random = np.random.default_rng([self.seed, 1, step])
        return normalise(augment(self.split.images[chosen], random)), np.asarray(self.split.labels[chosen])


def in_order(images: NDArray[np.uint8], size: int) -> Iterator[Images]:
    """Iterate over all images, normalised, in order, `size` at a time; the last batch may be smaller."""
    for start in range(0, len(images), size):
        yield normalise(images[start : start + size])
