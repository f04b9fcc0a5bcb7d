"""The part of an audit's record that is about classes alone: images whose class changes, and images near a change."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from assay.numerics.classification.measured import margin
from assay.records.base import Record

MOST_PICTURES = 200
MOST_NARROW = 32


class FlippedImage(Record):
    """An image whose class differs from the reference's in some subject.

    Attributes:
        image: its place in the set of inputs; `split_image` is its place in the stored split, None for generated
            images.
        label: its true class, or None where it has none.
        classes: predicted class by subject; `margins` has the difference of each subject's two best logits.
        picture: the image as the subjects saw it, a PNG as a data URI.
        inputs: name of the set of inputs.
        split_image: its place in the stored split; None for generated images.
        reference_class: class that the reference predicts.
        reference_margin: the reference's largest logit less its second largest.
        margins: the same of each subject.
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
    """An image of the test split for which the reference's two best classes are nearly tied.

    Attributes:
        image: its place in the stored split.
        margin: the reference's largest logit less its second largest.
        label: its true class, or None where it has none.
        reference_class: class that the reference predicts.
    """

    image: int
    label: int
    reference_class: int
    margin: float = Field(ge=0)


class WholeSplit(Record):
    """The reference's classes on the whole test split, for subjects in fp32 that were compared on a part of it.

    Attributes:
        images: number of images in the split; the reference is right on `right` of them.
        narrow: the images with the least margins, ascending, at most `MOST_NARROW`. On all others, a subject whose
            logits agree with the reference's predicts the same class.
        right: number of images on which the reference is right.
    """

    images: int = Field(ge=1)
    right: int = Field(ge=0)
    narrow: list[NarrowImage]


def whole_split(logits: NDArray[np.float64], labels: NDArray[np.int64]) -> WholeSplit:
    """Summarise the classes that the reference's logits (images, classes) predict on a whole split."""
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
