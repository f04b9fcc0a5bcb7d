"""Classification by logits compared with a reference's: classes that change, and how right both sides are."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from assay.errors import InputError
from assay.numerics.classification.significance import Accuracy, CalibrationBins, CalibrationShift, compare_accuracy
from assay.numerics.distributions import log_softmax
from assay.records.base import Record

Float64 = NDArray[np.float64]
Labels = NDArray[np.int64]

FLIPS_LISTED = 1000


class Flip(Record):
    """An image whose predicted class differs from the reference's.

    Attributes:
        image: its place in the set of inputs.
        label: its true class, or None where it has none.
        reference_margin: the reference's largest logit less its second largest.
        candidate_margin: the same of the candidate.
        reference_class, candidate_class: class that each predicts.
    """

    image: int
    label: int | None
    reference_class: int
    candidate_class: int
    reference_margin: float
    candidate_margin: float


class MeasuredClasses(Record):
    """One candidate's classes compared with the reference's on one set of images.

    Attributes:
        max_total_variation, mean_total_variation: half the sum of |p - q| over the classes' probabilities.
        max_divergence: largest Kullback-Leibler divergence of the candidate's probabilities from the reference's, nats.
        agreement: share of images with the reference's class.
        flips: the images with another class, at most the first 1000 of `flip_count`.
        flipped_margin: the reference's margin on the flipped image that it is surest of, listed or not; 0 for none.
        accuracy, calibration: compared with the reference's; None where the images have no labels.
        flip_count: number of images with another class.
    """

    max_total_variation: float
    mean_total_variation: float
    max_divergence: float
    agreement: float
    flip_count: int
    flips: list[Flip] = Field(default_factory=list)
    flipped_margin: float = 0.0
    accuracy: Accuracy | None = None
    calibration: CalibrationShift | None = None


@dataclass
class ClassCounts:
    """Counts gathered chunk by chunk; memory use depends on the number of classes and of listed flips, not of
    images.
    """

    images: int = 0
    compared: int = 0
    max_variation: float = 0.0
    sum_variation: float = 0.0
    max_divergence: float = 0.0
    flip_count: int = 0
    flips: list[Flip] = field(default_factory=list)
    flipped_margin: float = 0.0
    labelled: int = 0
    reference_right: int = 0
    lost: int = 0
    gained: int = 0
    reference_bins: CalibrationBins = field(default_factory=CalibrationBins)
    candidate_bins: CalibrationBins = field(default_factory=CalibrationBins)

    def add(
        self, reference: Float64, candidate: NDArray[np.floating], rows: NDArray[np.bool_], labels: Labels | None
    ) -> None:
        """Take in one chunk.

        Args:
            reference: float64 logits (images, classes), finite.
            candidate: logits of the same images.
            rows: (images,), true for the images that are compared, where the candidate is finite.
            labels: true classes (images,), where there are any.

        Raises:
            InputError: only some chunks have labels.
        """
        if (labels is not None) != (self.labelled > 0) and self.images > 0:
            raise InputError("Some chunks have labels and others have none", expected="all or none")
        places = self.images + np.flatnonzero(rows)
        self.images += len(reference)
        self.labelled += len(reference) if labels is not None else 0
        if not len(places):
            return
        self.compared += len(places)
        exact, found = reference[rows], candidate[rows].astype(np.float64)
        variation, divergence = probability_distances(exact, found)
        self.max_variation = max(self.max_variation, float(variation.max()))
        self.sum_variation += float(variation.sum())
        self.max_divergence = max(self.max_divergence, float(divergence.max()))
        self._add_classes(places, exact, found, None if labels is None else labels[rows])

    def _add_classes(
        self, places: NDArray[np.intp], reference: Float64, candidate: Float64, labels: Labels | None
    ) -> None:
        expected, found = reference.argmax(axis=1), candidate.argmax(axis=1)
        flipped = np.flatnonzero(expected != found)
        self.flip_count += len(flipped)
        surest = max((margin(row) for row in reference[flipped]), default=0.0)
        self.flipped_margin = max(self.flipped_margin, surest)
        for row in flipped[: max(FLIPS_LISTED - len(self.flips), 0)]:
            self.flips.append(
                Flip(
                    image=int(places[row]),
                    label=None if labels is None else int(labels[row]),
                    reference_class=int(expected[row]),
                    candidate_class=int(found[row]),
                    reference_margin=margin(reference[row]),
                    candidate_margin=margin(candidate[row]),
                )
            )
        if labels is None:
            return
        before, after = expected == labels, found == labels
        self.reference_right += int(before.sum())
        self.lost += int((before & ~after).sum())
        self.gained += int((~before & after).sum())
        self.reference_bins.add(reference, labels)
        self.candidate_bins.add(candidate, labels)

    def result(self) -> MeasuredClasses:
        """Return the measures over all chunks together."""
        labelled = self.labelled > 0 and self.compared > 0
        return MeasuredClasses(
            max_total_variation=self.max_variation,
            mean_total_variation=self.sum_variation / max(self.compared, 1),
            max_divergence=self.max_divergence,
            agreement=(self.compared - self.flip_count) / max(self.images, 1),
            flip_count=self.flip_count,
            flips=list(self.flips),
            flipped_margin=self.flipped_margin,
            accuracy=compare_accuracy(self.compared, self.reference_right, self.lost, self.gained)
            if labelled
            else None,
            calibration=CalibrationShift.of(self.reference_bins, self.candidate_bins) if labelled else None,
        )


def probability_distances(reference: Float64, candidate: Float64) -> tuple[Float64, Float64]:
    """Return the total variation and the Kullback-Leibler divergence (nats, from the reference's) of the softmax, each
    (images,).
    """
    left, right = log_softmax(reference), log_softmax(candidate)
    variation = np.abs(np.exp(left) - np.exp(right)).sum(axis=1) / 2
    divergence = (np.exp(left) * (left - right)).sum(axis=1)
    return variation, np.maximum(divergence, 0)


def margin(logits: Float64) -> float:
    """Return the largest logit less the second largest; 0 for a single class, where infinity would mean nothing."""
    if len(logits) < 2:
        return 0.0
    second, first = np.sort(logits)[-2:]
    return float(first - second)
