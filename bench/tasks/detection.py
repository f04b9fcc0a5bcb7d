"""A set of boxes for each record: which of the reference's boxes a runtime finds too, matched by their overlap.

Two boxes overlap by their intersection over union (IoU). The boxes of a record are matched one to one within a class,
the pair with the largest IoU first, and a pair counts from an IoU of 0.5 on (Everingham and others 2010, "The PASCAL
Visual Object Classes Challenge"). A box without a partner on the other side has changed, unless rounding decides
whether the model selects it (`assay.numerics.ties.selected`). How close the numbers of matched boxes are is judged as
those of any output.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from assay.bench.report.page.blocks import Column
from assay.bench.tasks.decisions import flip_count, flips_in_words, flips_shown, shown, the_only, told_alike
from assay.bench.tasks.task import Answers, Array, ColumnOfSubject, Task
from assay.bench.words.numbers import count, counted
from assay.errors import InputError
from assay.numerics.judgement import Flips, Judgement
from assay.numerics.reduced import BOXES_POLICY, MOST_LOST_BOXES
from assay.numerics.values import is_whole
from assay.records.results import Agreement, Results
from assay.train.brought.model import Tensor

UNIT = "detection"
LEAST_OVERLAP = 0.5
CORNERS, WITH_SCORE, WITH_CLASS = 4, 5, 6
"""The numbers of a box: two corners, in either order of x and y, or a centre and a size; then its score, then its
class.
"""
WANTED = (
    "one whose last dimension has a box: 4 numbers for its corners, or 5 with its score, or 6 with its class too; "
    "score and class may also be outputs of their own"
)
MOST_PAIRS = 4_000_000
"""Where a record has more pairs of boxes than this, each box has the one in the same place for a partner."""
BOXES, CLASSES = re.compile(r"box|det", re.IGNORECASE), re.compile(r"label|class|cls|categor", re.IGNORECASE)

Float64 = NDArray[np.float64]
Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class Found:
    """The boxes of one record.

    Attributes:
        corners: (boxes, 4), the lesser corner first.
        scores: (boxes,), infinite where the model gives none.
        classes: (boxes,), zeros where the model gives none.
        at_a_limit: (boxes,), whether the model selects them in some correct runs only.
    """

    corners: Float64
    scores: Float64
    classes: Float64
    at_a_limit: Mask

    def __len__(self) -> int:
        return len(self.corners)

    def at(self, places: Mask) -> Found:
        """Return some of the boxes."""
        return Found(self.corners[places], self.scores[places], self.classes[places], self.at_a_limit[places])


class Detection(Task):
    """A task in which a record's answer is a set of boxes."""

    name = "detection"
    changed_heading = "Boxes changed"
    chart_note = "boxes changed"
    judges_images = False
    is_counted_in_agreement = False
    not_followed = (
        "boxes, scores and classes follow the reference in their places, which a model that sorts or selects by score "
        "gives to other boxes: compare it without its selection (NMS, top-k) in less than fp32"
    )

    def output_of(self, outputs: Sequence[Tensor], labels: Array | None, threshold: float | None = None) -> Tensor:
        if labels is not None:
            raise InputError(
                f"The task '{self.name}' compares boxes with the reference's, and not with --labels",
                remedy="Give a metric of boxes and labels with --metric FILE.py:FUNCTION, or leave --labels out",
            )
        fitting = [one for one in outputs if len(one.shape) > 1 and CORNERS <= one.shape[-1] <= WITH_CLASS]
        named = [one for one in fitting if BOXES.search(one.name)]
        found = the_only(named if len(named) == 1 else fitting, [shown(one) for one in outputs], WANTED)
        if threshold is not None and found.shape[-1] == CORNERS and _scores_of(found, outputs) is None:
            raise InputError(
                "--threshold sets the least score of a box, and the model has no scores",
                expected=f"an output with one number for each box of '{found.name}'",
                found=", ".join(shown(one) for one in outputs),
            )
        return found

    def judge(self, answers: Answers) -> Judgement:
        sides = zip(_boxes_of(answers, of_base=True), _boxes_of(answers, of_base=False), strict=True)
        boxes = flipped = excused = records = 0
        for base, found in sides:
            ties = np.concatenate([_ties(alone, answers) for alone in _without_partner(base, found)])
            boxes += max(len(base), len(found))
            flipped, excused = flipped + int((~ties).sum()), excused + int(ties.sum())
            records += bool((~ties).any())
        return Judgement(
            task=self.name,
            output=answers.output.name,
            against=answers.against,
            records=len(answers.found),
            flips=Flips(decisions=boxes, flipped=flipped, excused=excused, records=records),
            threshold=answers.threshold,
        )

    def reason_against_reduced(self, answers: Answers, found: Judgement) -> str:
        """Give the reason by the policy in `assay.numerics.reduced`."""
        flips = found.flips
        if flips.flipped <= MOST_LOST_BOXES * flips.decisions:
            return ""
        return f"{flips_in_words(flips, UNIT)} have no partner in {answers.against}: {BOXES_POLICY}"

    def agrees_though(self, worst: Agreement) -> str:
        return f"another number is the largest in {worst.largest_moved} of {counted(worst.images, 'record')}"

    def told(self, results: Results) -> list[str]:
        return told_alike(results, _told)

    def subject_columns(self) -> Sequence[ColumnOfSubject]:
        return (ColumnOfSubject(Column(self.changed_heading), "boxes changed", flips_shown(UNIT)),)

    def comparison_columns(self) -> Sequence[ColumnOfSubject]:
        return (ColumnOfSubject(Column(self.changed_heading, numeric=True), "", flip_count),)


def overlaps(left: Float64, right: Float64) -> Float64:
    """Return the intersection over union of every pair of boxes, (left, right).

    Args:
        left, right: corners (boxes, 4), the lesser one first, of boxes with an area.
    """
    least = np.maximum(left[:, None, :2], right[None, :, :2])
    most = np.minimum(left[:, None, 2:], right[None, :, 2:])
    shared = np.prod(np.clip(most - least, 0, None), axis=2)
    found: Float64 = shared / (_areas(left)[:, None] + _areas(right)[None, :] - shared)
    return found


def _areas(corners: Float64) -> Float64:
    found: Float64 = np.prod(corners[:, 2:] - corners[:, :2], axis=1)
    return found


def _without_partner(base: Found, found: Found) -> tuple[Found, Found]:
    """Return the boxes of either side that have no partner."""
    if not len(base) or not len(found):
        return base, found
    if len(base) * len(found) > MOST_PAIRS:
        size = min(len(base), len(found))
        rows = columns = np.arange(size)
        paired = [overlaps(base.corners[[at]], found.corners[[at]])[0, 0] for at in range(size)]
        shared = np.where(base.classes[:size] == found.classes[:size], paired, 0)
    else:
        shares = overlaps(base.corners, found.corners)
        shares = np.where(base.classes[:, None] == found.classes[None, :], shares, 0)
        rows, columns = _matched(shares)
        shared = shares[rows, columns]
    good = shared >= LEAST_OVERLAP
    alone, others = np.ones(len(base), bool), np.ones(len(found), bool)
    alone[rows[good]], others[columns[good]] = False, False
    return base.at(alone), found.at(others)


def _matched(shares: Float64) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Return the places of boxes that belong together, given the overlap of every pair: the largest overlap first."""
    rows, columns = np.nonzero(shares >= LEAST_OVERLAP)
    pairs: dict[int, int] = {}
    taken = set[int]()
    for at in np.argsort(-shares[rows, columns], kind="stable"):
        row, column = int(rows[at]), int(columns[at])
        if row not in pairs and column not in taken:
            pairs[row] = column
            taken.add(column)
    return np.array(list(pairs), np.intp), np.array(list(pairs.values()), np.intp)


def _ties(alone: Found, answers: Answers) -> Mask:
    """Return which boxes have a score so near the threshold that rounding decides whether they count, or are so near a
    limit of the model's own selection.
    """
    if answers.threshold is None:
        return alone.at_a_limit
    ties: Mask = (np.abs(alone.scores - answers.threshold) <= answers.tolerance) | alone.at_a_limit
    return ties


def _boxes_of(answers: Answers, *, of_base: bool) -> list[Found]:
    """Return the boxes of one side, by record, that have an area and a score above the threshold."""
    sides = {answers.output.name: answers.base if of_base else answers.found}
    sides |= {one.output.name: one.base if of_base else one.found for one in answers.others}
    outputs = [answers.output, *(one.output for one in answers.others)]
    wide = answers.output.shape[-1]
    entries = sides[answers.output.name].reshape(len(answers.found), -1, wide)
    numbers, decider = entries.astype(np.float64), answers.decider
    limits = [
        np.zeros(len(one), bool) if decider is None else decider.are_at_a_limit(one, record)
        for record, one in enumerate(entries)
    ]
    of_score, of_class = _scores_of(answers.output, outputs), _classes_of(answers.output, outputs)
    shape = numbers.shape[:2]
    scores, classes = np.full(shape, np.inf), np.zeros(shape)
    if wide > CORNERS:
        scores = numbers[..., CORNERS]
    elif of_score:
        scores = sides[of_score.name].astype(np.float64).reshape(shape)
    if wide == WITH_CLASS:
        classes = numbers[..., WITH_SCORE]
    elif of_class:
        classes = sides[of_class.name].astype(np.float64).reshape(shape)
    corners = numbers[..., :CORNERS]
    if _are_centres(answers):
        middle, half = corners[..., :2], corners[..., 2:] / 2
        corners = np.concatenate([middle - half, middle + half], axis=-1)
    found = (Found(*one) for one in zip(corners, scores, classes, limits, strict=True))
    return [_kept(one, answers.threshold) for one in found]


def _kept(found: Found, threshold: float | None) -> Found:
    corners, scores = found.corners, found.scores
    with np.errstate(invalid="ignore"):
        kept = np.isfinite(corners).all(axis=1) & (corners[:, 2:] > corners[:, :2]).all(axis=1)
        kept &= scores > threshold if threshold is not None else ~np.isnan(scores)
    return replace(found, classes=np.round(found.classes)).at(kept)


def _are_centres(answers: Answers) -> bool:
    """Return whether the reference's boxes are a centre and a size: their second corner is seldom beyond the first."""
    boxes = answers.base.astype(np.float64).reshape(-1, answers.output.shape[-1])[:, :CORNERS]
    boxes = boxes[np.isfinite(boxes).all(axis=1) & boxes.any(axis=1)]
    return len(boxes) > 0 and float((boxes[:, 2:] > boxes[:, :2]).all(axis=1).mean()) < 0.5


def _scores_of(boxes: Tensor, outputs: Sequence[Tensor]) -> Tensor | None:
    """Return the output with a score for each box, if there is one."""
    of_class = _classes_of(boxes, outputs)
    return next((one for one in _beside(boxes, outputs) if one is not of_class and not is_whole(one.dtype)), None)


def _classes_of(boxes: Tensor, outputs: Sequence[Tensor]) -> Tensor | None:
    """Return the output with a class for each box, if there is one: whole numbers, or what has such a name."""
    beside = _beside(boxes, outputs)
    return next((one for one in beside if is_whole(one.dtype)), None) or next(
        (one for one in beside if CLASSES.search(one.name)), None
    )


def _beside(boxes: Tensor, outputs: Sequence[Tensor]) -> list[Tensor]:
    """Return the outputs with one number for each box."""
    entries = [size for size in boxes.shape[:-1] if size > 1]
    return [one for one in outputs if one is not boxes and [size for size in one.shape if size > 1] == entries]


def _told(found: Judgement) -> str:
    flips, of = found.flips, f"with an IoU of {LEAST_OVERLAP:g} or more"
    above = "" if found.threshold is None else f" with a score above {found.threshold:g}"
    if not flips.decisions:
        return f"there is no box{above} in {counted(found.records, 'record')}, neither here nor in {found.against}"
    if flips.flipped:
        return f"{flips_in_words(flips, UNIT)}{above} have no partner {of} in {found.against}"
    every = f"every one of {counted(flips.decisions, UNIT)}{above} in {counted(found.records, 'record')}"
    tie = f" ({count(flips.excused)} but for a tie or a limit of its own selection)" if flips.excused else ""
    return f"{every} has a partner {of} in {found.against}{tie}"


TASK = Detection()
