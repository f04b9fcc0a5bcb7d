"""Predictions and scores of classes, as a library's metric takes them, from the numbers of an output and the labels.

The labels' own shape says what the output is: whole numbers in the shape of the output without one axis are classes,
whose scores lie along that axis; numbers in the output's own shape are what it predicts.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from assay.bench.tasks.labels import NOBODYS
from assay.errors import InputError
from assay.numerics.values import is_whole

Array = NDArray[Any]
OFF_ONE = 1e-3
"""Greatest deviation of a sum of probabilities from one, as in `assay.bench.tasks.decisions`."""


@dataclass(frozen=True)
class Predictions:
    """Predictions for labels, both with one entry for each label that counts.

    Attributes:
        labels, predicted: (entries,), or (entries, columns) where a record has several of different meaning.
        scores: numbers that decide between classes, (entries, classes); where one number decides between two, how far
            it is above the threshold, in the shape of the labels; None where nothing is decided, or the output is the
            classes themselves.
        classes: number of classes; 0 where nothing is decided.
    """

    labels: Array
    predicted: Array
    scores: Array | None = None
    classes: int = 0

    @property
    def is_multilabel(self) -> bool:
        """Whether a record has several labels, each of which is yes or no."""
        return bool(self.classes) and self.labels.ndim == 2


def _class_axis(shape: tuple[int, ...], labels: tuple[int, ...]) -> int | None:
    """Return the axis of the classes of a record's output, by the shape of a record's labels; None where there is none.

    Raises:
        InputError: several axes may be it.
    """
    axes = [
        axis
        for axis, size in enumerate(shape)
        if size > 1 and [n for n in (*shape[:axis], *shape[axis + 1 :]) if n > 1] == [n for n in labels if n > 1]
    ]
    if len(axes) > 1:
        raise InputError(
            "The axis of the classes is ambiguous",
            expected="another number of classes than of labels along a side",
            found=f"an output of shape {shape} and labels of shape {labels}",
        )
    return axes[0] if axes else None


def predictions_of(output: Array, labels: Array, threshold: float | None) -> Predictions:
    """Return predictions from one output and its labels, both of the same records.

    Args:
        output: (records, ...).
        labels: (records, ...).
        threshold: number above which a single number means class 1; None where it is not given.

    Raises:
        InputError: they do not fit.
    """
    shape, inner = output.shape[1:], labels.shape[1:]
    same = [n for n in shape if n > 1] == [n for n in inner if n > 1]
    if same and (not is_whole(labels.dtype) or is_whole(output.dtype)):
        return _kept(labels, output.reshape(labels.shape))
    if same and threshold is not None:
        scores = output.reshape(labels.shape).astype(np.float64) - threshold
        several = len(inner) == 1 and inner[0] > 1
        right = labels.astype(np.int64)
        if not several:
            right, scores = right.reshape(-1), scores.reshape(-1)
        return Predictions(right, (scores > 0).astype(np.int64), scores, classes=2)
    if same and _class_axis(shape, inner) is None:
        raise InputError(
            "The output has one number for each label, and nothing says which numbers mean class 1",
            remedy="Say it with --threshold 0 for logits, --threshold 0.5 for probabilities",
        )
    axis = _class_axis(shape, inner)
    if axis is None or not is_whole(labels.dtype):
        raise InputError(
            "The output does not fit the labels",
            expected=f"the shape of a record's labels, {inner}, or one axis more for the classes",
            found=f"{shape}",
        )
    scores = np.moveaxis(output, axis + 1, -1).reshape(-1, shape[axis]).astype(np.float64)
    right = labels.reshape(-1).astype(np.int64)
    known = (right >= 0) & ((right != NOBODYS) | (shape[axis] > NOBODYS))
    scores = scores[known]
    return Predictions(right[known], scores.argmax(axis=1), scores, classes=shape[axis])


def _kept(labels: Array, found: Array) -> Predictions:
    """Return labels and predictions of the same shape; negative whole labels belong to nothing and are left out."""
    if labels.ndim == 2 and not is_whole(labels.dtype):
        return Predictions(labels, found)
    inner, labels, found = labels.ndim - 1, labels.reshape(-1), found.reshape(-1)
    if not is_whole(labels.dtype):
        return Predictions(labels, found)
    known = labels >= 0 if inner < 2 else (labels >= 0) & (labels != NOBODYS)
    labels, found = labels[known].astype(np.int64), found[known].astype(np.int64)
    classes = int(max(labels.max(initial=1), found.max(initial=1))) + 1
    return Predictions(labels, found, classes=classes)


def are_probabilities(scores: Array) -> bool:
    """Check whether the scores of classes, (entries, classes), are none below zero and add up to one."""
    return bool((scores >= 0).all()) and bool(np.allclose(scores.sum(axis=1), 1, rtol=0, atol=OFF_ONE))
