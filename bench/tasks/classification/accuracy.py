"""How many test images a cell classifies correctly, on as many as can be known: one accuracy, on one set of images.

An audit gives each subject's own outputs: those computed in fp32 on a sample of the test split where images are large,
those computed in reduced precision on all of it. Accuracies of different images cannot be compared. But the classes of
an fp32 subject on the other images are known: its logits agreed with the reference to within a tolerance, so that it
has the reference's class wherever the reference's two best logits are further apart than both together can be off. The
other images are counted one by one as right and as wrong, and widen the interval. Pure functions.

Older audits did not keep those margins. Where they have a subject of reduced precision on the whole split, it is used
instead: its errors are many times as large, so that an image on the edge changes its class about every second time, and
few changes mean few such images.
"""

from __future__ import annotations

from collections.abc import Sequence

from assay.bench.auditing.runs import TEST, WHOLE
from assay.bench.tasks.task import KnownQuality
from assay.errors import FailedError
from assay.numerics.distributions import binomial
from assay.records.audit import Comparison, ModelAudit
from assay.records.base import Interval
from assay.train.metrics import share

LOGITS_THAT_MAY_BE_OFF = 4
"""Two of the subject and two of the fp32 reference on the whole split: each by a tolerance at most."""
SHARE_THAT_FLIPS = 1 / 3
"""Half of the images on the edge change their class under errors many times as large as their margins; a smaller share
is taken, to be safe.
"""
MANY_TIMES = 10
DOUBT = 0.05


def accuracy_of(model: ModelAudit, comparisons: Sequence[Comparison]) -> KnownQuality:
    """Return the accuracy of a subject that passed, from all its comparisons in an audit.

    Raises:
        FailedError: the audit has none.
    """
    own = _own(comparisons)
    if own is None:
        raise FailedError("the audit has no accuracy of it")
    whole = _reference_on_whole(model)
    if whole is None or own.images >= whole[0]:
        return own
    on_edge = _open(model, comparisons)
    return own if on_edge is None else _inferred(*whole, *on_edge)


def _own(comparisons: Sequence[Comparison]) -> KnownQuality | None:
    """Return the accuracy of a subject's own outputs, on the most images."""
    found = [
        one.measured.classes.accuracy
        for one in comparisons
        if one.inputs in {TEST, WHOLE} and one.measured and one.measured.classes
    ]
    best = max((one for one in found if one), key=lambda one: one.images, default=None)
    return KnownQuality(share(round(best.candidate * best.images), best.images), best.images) if best else None


def _reference_on_whole(model: ModelAudit) -> tuple[int, int] | None:
    """Return the number of images of the whole split, and how many the reference has right."""
    if model.split:
        return model.split.images, model.split.right
    for one in model.comparisons:
        known = one.measured.classes.accuracy if one.measured and one.measured.classes else None
        if one.inputs == WHOLE and known:
            return known.images, round(known.reference * known.images)
    return None


def _open(model: ModelAudit, comparisons: Sequence[Comparison]) -> tuple[int, int, int] | None:
    """Return how many images may have another class than the reference's: those that may be lost, may be gained, and
    all.

        None where it is unknown: the subject is not judged by rounding, or nobody knows the margins.
    """
    if not comparisons or any(one.precision != "fp32" or not one.passed for one in comparisons):
        return None
    tolerances = [one.tolerance for one in comparisons if one.inputs == TEST]
    if not tolerances:
        return None
    edge = LOGITS_THAT_MAY_BE_OFF * max(tolerances)
    if model.split is None:
        return _open_by_flips(model, edge)
    if model.split.narrow and model.split.narrow[-1].margin <= edge:
        return None  # there may be more of them than the audit lists
    narrow = [one for one in model.split.narrow if one.margin <= edge]
    right = sum(one.reference_class == one.label for one in narrow)
    return right, len(narrow) - right, len(narrow)


def _open_by_flips(model: ModelAudit, edge: float) -> tuple[int, int, int] | None:
    """Return the same where margins are not known: at most so many images on the edge, with 95 % confidence."""
    coarse = [
        one.measured.classes
        for one in model.comparisons
        if one.inputs == WHOLE and one.measured and one.measured.max_absolute >= MANY_TIMES * edge
    ]
    found = [one for one in coarse if one and len(one.flips) == one.flip_count]
    if not found:
        return None
    seen = min(sum(flip.reference_margin <= edge for flip in one.flips) for one in found)
    most = seen
    while binomial(seen, most + 1, SHARE_THAT_FLIPS) > DOUBT:
        most += 1
    return most, most, most


def _inferred(images: int, right: int, lost: int, gained: int, on_edge: int) -> KnownQuality:
    fewest, most = share(max(right - lost, 0), images), share(min(right + gained, images), images)
    interval = Interval(value=right / images, low=fewest.low, high=most.high)
    return KnownQuality(interval, images, on_edge, inferred=True)
