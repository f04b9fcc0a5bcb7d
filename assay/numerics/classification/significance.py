"""Tests of whether two classifiers differ on the same images: in accuracy, and in calibration."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from assay.numerics.distributions import binomial, crossing, normal_quantile, softmax
from assay.records.base import Interval, Record, Share

BINS = 15


class Accuracy(Record):
    """Accuracy of the reference and of the candidate on the same `images`.

    Attributes:
        lost: number of images on which the reference is right and the candidate wrong; `gained` is the reverse.
        p_value: exact McNemar test of no difference, two-sided.
        images: number of images with labels.
        reference, candidate: share of them that each has right.
        gained: number of images on which the candidate is right and the reference wrong.
    """

    images: int = Field(ge=0)
    reference: Share
    candidate: Share
    lost: int = Field(ge=0)
    gained: int = Field(ge=0)
    p_value: Share


class CalibrationShift(Record):
    """Expected calibration error of the reference and the candidate; `shift` is the second less the first.

    Attributes:
        reference, candidate: expected calibration error of each.
        shift: the second less the first.
    """

    reference: Share
    candidate: Share
    shift: float

    @classmethod
    def of(cls, reference: CalibrationBins, candidate: CalibrationBins) -> CalibrationShift:
        """Return the errors of both sides, and their difference."""
        before, after = reference.error(), candidate.error()
        return cls(reference=before, candidate=after, shift=after - before)


@dataclass
class CalibrationBins:
    """Counts for the expected calibration error over 15 equal bins of confidence (Naeini, Cooper & Hauskrecht 2015,
    "Obtaining Well Calibrated Probabilities Using Bayesian Binning"; Guo et al. 2017, "On Calibration of Modern Neural
    Networks").
    """

    count: NDArray[np.float64] = field(default_factory=lambda: np.zeros(BINS))
    confidence: NDArray[np.float64] = field(default_factory=lambda: np.zeros(BINS))
    right: NDArray[np.float64] = field(default_factory=lambda: np.zeros(BINS))

    def add(self, logits: NDArray[np.float64], labels: NDArray[np.int64]) -> None:
        """Take in logits (images, classes) and labels (images,)."""
        confidence = softmax(logits).max(axis=1)
        which = np.minimum((confidence * BINS).astype(int), BINS - 1)
        self.count += np.bincount(which, minlength=BINS)
        self.confidence += np.bincount(which, confidence, BINS)
        self.right += np.bincount(which, logits.argmax(axis=1) == labels, BINS)

    def error(self) -> float:
        """Return the mean over the images of |accuracy - confidence| of their bin; 0 without images."""
        return float(np.abs(self.right - self.confidence).sum() / max(self.count.sum(), 1))


def compare_accuracy(images: int, reference_right: int, lost: int, gained: int) -> Accuracy:
    """Return the accuracies of two classifiers on the same images, from the counts of images on which they differ."""
    return Accuracy(
        images=images,
        reference=reference_right / images,
        candidate=(reference_right - lost + gained) / images,
        lost=lost,
        gained=gained,
        p_value=mcnemar(lost, gained),
    )


def mcnemar(lost: int, gained: int) -> float:
    """Return the two-sided p-value of the exact McNemar test: under no difference, each image on which two classifiers
    differ is lost or gained with even chances (McNemar 1947, "Note on the sampling error of the difference between
    correlated proportions or percentages"; exact by the binomial distribution, Fagerland, Lydersen & Laake 2013).
    """
    discordant = lost + gained
    return min(1.0, 2 * binomial(min(lost, gained), discordant, 0.5)) if discordant else 1.0


def accuracy_difference(images: int, lost: int, gained: int) -> Interval:
    """Return the accuracy of a candidate less that of a reference on the same images, with its 95 % interval.

    Its ends are where Tango's score (1998, see `most_accuracy_lost`) rejects, which holds where few images or none
    differ. Without images nothing is known: from -1 to 1.
    """
    if not images:
        return Interval(value=0.0, low=-1.0, high=1.0)
    level = 0.975  # on either side
    return Interval(
        value=(gained - lost) / images,
        low=-most_accuracy_lost(images, lost, gained, level),
        high=most_accuracy_lost(images, gained, lost, level),
    )


def most_accuracy_lost(images: int, lost: int, gained: int, confidence: float = 0.95) -> float:
    """Return a one-sided upper confidence bound of the accuracy that a candidate loses against a reference.

    Both classify the same images. The bound is from the score interval for the difference of paired proportions (Tango
    1998, "Equivalence test and confidence interval for the difference in proportions for the paired-sample design",
    Statistics in Medicine 17), which holds where few images or none differ. A candidate is not inferior by more than a
    margin if the bound is below it.

    Returns:
        A share of the images, (lost - gained) / images or more; 1 without images.
    """
    if lost == images:  # without images too
        return 1.0
    quantile = normal_quantile(confidence)
    estimate = (lost - gained) / images

    def excess(difference: float) -> float:
        return _tango_score(images, lost, gained, difference) + quantile

    return crossing(excess, estimate, 1.0 - 1e-12)


def _tango_score(images: int, lost: int, gained: int, difference: float) -> float:
    """Return Tango's statistic for the hypothesis that the true difference is `difference`; for 0 it is McNemar's."""
    linear = -lost - gained + (2 * images - lost + gained) * difference
    constant = -gained * difference * (1 - difference)
    gained_share = (math.sqrt(max(linear**2 - 8 * images * constant, 0.0)) - linear) / (4 * images)
    variance = images * (2 * gained_share + difference * (1 - difference))
    distance = lost - gained - images * difference
    return distance / math.sqrt(variance) if variance > 0 else 0.0
