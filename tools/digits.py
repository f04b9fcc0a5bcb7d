"""Handwritten digits as a data set in MedMNIST's format, to run a study on images of another kind.

`python -m tools.digits FOLDER` writes FOLDER/bloodmnist.npz, a file that says of itself what it is. A study then takes
it with one line changed: `--set data.name=bloodmnist --data-root FOLDER`. The 1,797 images come with scikit-learn
(Alpaydin & Kaynak 1998, "Optical Recognition of Handwritten Digits", UCI Machine Learning Repository, CC BY 4.0); they
have 8x8 grey pixels, and are enlarged to 28x28 and repeated in three channels.
"""

from __future__ import annotations

import hashlib
import sys
from pathlib import Path

import numpy as np
from PIL import Image
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

from assay.train.datasets.data import Dataset, Split
from assay.train.datasets.npz import write_medmnist_npz

SIZE, SEED = 28, 0
SHARES = (0.7, 0.1, 0.2)
FILE = "bloodmnist.npz"


def digits() -> Dataset:
    """Return the digits, split 7:1:2 by class."""
    found = load_digits()
    pictures = [Image.fromarray((one * (255 / 16)).astype(np.uint8)) for one in found.images]
    grey = np.stack([np.asarray(one.resize((SIZE, SIZE), Image.Resampling.BICUBIC)) for one in pictures])
    images, labels = np.repeat(grey[..., None], 3, axis=3), found.target.astype(np.int64)
    train, others = train_test_split(np.arange(len(labels)), train_size=SHARES[0], stratify=labels, random_state=SEED)
    share = SHARES[1] / (SHARES[1] + SHARES[2])
    validation, test = train_test_split(others, train_size=share, stratify=labels[others], random_state=SEED)
    splits = [Split(images[np.sort(one)], labels[np.sort(one)]) for one in (train, validation, test)]
    content = b"".join(part.tobytes() for one in splits for part in (one.images, one.labels))
    return Dataset(
        name="digits",
        size=SIZE,
        train=splits[0],
        validation=splits[1],
        test=splits[2],
        classes=tuple(map(str, range(10))),
        attribution="Alpaydin & Kaynak, Optical Recognition of Handwritten Digits, UCI Repository 1998",
        licence="CC BY 4.0",
        notice="Handwritten digits, enlarged from 8x8 pixels; the split is Assay's own.",
        synthetic=False,
        content_hash=hashlib.sha256(content).hexdigest(),
    )


if __name__ == "__main__":
    write_medmnist_npz(digits(), Path(sys.argv[1]) / FILE)
