"""What an audit has on record of classes alone: images whose class changes, and images that hardly have one."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from assay.numerics.classification.measured import margin
from assay.records.base import Record

MOST_PICTURES = 200
MOST_NARROW = 32


class FlippedImage(Record):
    """An image whose class is not the reference's in some subject.

    Attributes:
        image: its place in the set of inputs; `split_image` its place in the stored split, None for made images.
        label: its true class, None where there is none.
        classes: by subject, the class that it gives; `margins` its two best logits' difference.
        picture: the image as the subjects saw it, a PNG as a data URI.
    """

    inputs: str
    image: int
    split_image: int | None
    label: int | None
    reference_class: int
    reference_margin: float
    classes: dict[str, int]
    margins: dict[str, float]
    picture: str


class NarrowImage(Record):
    """An image of the test split for which the reference hardly decides between its two best classes.

    Attributes:
        image: its place in the stored split.
        margin: the reference's largest logit less its second largest.
    """

    image: int
    label: int
    reference_class: int
    margin: float = Field(ge=0)


class WholeSplit(Record):
    """The reference on the whole test split, where what computes in fp32 was compared on a part of it.

    Attributes:
        images: of the split; `right` of them have their true class in the reference.
        narrow: the images with the least margins, ascending, at most `MOST_NARROW`. On all others a subject whose
            logits agree with the reference's has its class.
    """

    images: int = Field(ge=1)
    right: int = Field(ge=0)
    narrow: list[NarrowImage]


def whole_split(logits: NDArray[np.float64], labels: NDArray[np.int64]) -> WholeSplit:
    """What the reference's logits (images, classes) on a whole split say of its classes."""
    classes, margins = logits.argmax(axis=1), np.array([margin(row) for row in logits])
    narrow = [
        NarrowImage(
            image=int(place),
            label=int(labels[place]),
            reference_class=int(classes[place]),
            margin=float(margins[place]),
        )
        for place in np.argsort(margins, kind="stable")[:MOST_NARROW]
    ]
    return WholeSplit(images=len(labels), right=int((classes == labels).sum()), narrow=narrow)
