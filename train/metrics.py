"""How well a classifier does on a split, with confidence intervals."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri

from assay.records.base import Interval
from assay.records.results import Metrics

Z95 = float(ndtri(0.975))
RESAMPLES = 500


def classification_metrics(logits: NDArray[np.float32], labels: NDArray[np.int64], classes: tuple[str, ...]) -> Metrics:
    """Metrics from logits (count, classes) and labels (count,); see `assay.records.results.Metrics`."""
    predicted = logits.argmax(axis=1)
    confusion = np.zeros((len(classes), len(classes)), dtype=int)
    np.add.at(confusion, (labels, predicted), 1)
    right = confusion.diagonal()
    return Metrics(
        count=len(labels),
        accuracy=share(int(right.sum()), len(labels)),
        macro_auc=macro_auc(logits, labels),
        recall={name: share(int(right[i]), int(confusion[i].sum())) for i, name in enumerate(classes)},
        confusion=confusion.tolist(),
    )


def share(hits: int, count: int) -> Interval:
    """A proportion with its 95 % Wilson score interval (Wilson 1927); of nothing, 0 to 1."""
    if count == 0:
        return Interval(value=math.nan, low=0, high=1)
    rate, z = hits / count, Z95
    centre = (rate + z**2 / (2 * count)) / (1 + z**2 / count)
    half = z * math.sqrt(rate * (1 - rate) / count + z**2 / (4 * count**2)) / (1 + z**2 / count)
    low, high = max(centre - half, 0), min(centre + half, 1)
    return Interval(value=rate, low=min(low, rate), high=max(high, rate))


def macro_auc(logits: NDArray[np.float32], labels: NDArray[np.int64], seed: int = 0) -> Interval:
    """Mean over classes of the one-against-rest area under the ROC curve, with a bootstrap interval.

    The area is the Mann-Whitney statistic (Hanley & McNeil 1982). Scores are softmax probabilities. The interval is
    the 2.5 to 97.5 percentile over resamples of the images.
    """
    shifted = logits.astype(np.float64) - logits.max(axis=1, keepdims=True)
    scores = np.exp(shifted) / np.exp(shifted).sum(axis=1, keepdims=True)
    random = np.random.default_rng(seed)
    draws = random.integers(0, len(labels), (RESAMPLES, len(labels)))
    resampled = [_macro_auc(scores[draw], labels[draw]) for draw in draws]
    low, high = np.nanpercentile(resampled, [2.5, 97.5])
    value = _macro_auc(scores, labels)
    return Interval(value=value, low=min(float(low), value), high=max(float(high), value))


def _macro_auc(scores: NDArray[np.float64], labels: NDArray[np.int64]) -> float:
    """Classes that are absent, or alone, have no area and are left out."""
    present = np.arange(scores.shape[1])[None, :] == labels[:, None]
    positive, negative = present.sum(axis=0), (~present).sum(axis=0)
    from scipy.stats import rankdata  # noqa: PLC0415  0.3 s that every job would pay for

    rank_sums = (rankdata(scores, axis=0) * present).sum(axis=0)
    usable = (positive > 0) & (negative > 0)
    if not usable.any():
        return math.nan
    areas = (rank_sums - positive * (positive + 1) / 2)[usable] / (positive * negative)[usable]
    return float(areas.mean())
