"""One class for each pixel: pixel accuracy and mean intersection over union against labels, flips counted per pixel.

The pixels of one image resemble each other, so that images are the sample, not pixels. Both measures are ratios
of sums over images, and both have the bootstrap's interval and a paired test over images
(`assay.bench.statistics.resampling`). A measure that does not vary over images, as when every one is right throughout,
has no spread to draw from: Wilson's interval for this many images is then used instead.

The mean is over the classes that are labelled or answered somewhere (Everingham and others 2010, "The PASCAL Visual
Object Classes Challenge"), whose label for no class, 255, and negative labels are left out of both measures.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from assay.bench.report.page.blocks import Column, Value
from assay.bench.statistics.resampling import RESAMPLES, SEED, exchanged_p_value, interval_over
from assay.bench.tasks.decisions import (
    MOST_CLASSES,
    THRESHOLD,
    Classes,
    check_labels,
    decides_itself,
    decisions_of,
    flip_count,
    flips_in_words,
    flips_shown,
    most_flipped,
    scores_of,
    shown,
    sure_flips,
    the_only,
    told_of_cells,
)
from assay.bench.tasks.labels import NOBODYS
from assay.bench.tasks.task import Answers, Array, ColumnOfSubject, Task, labelled_sections
from assay.bench.words.numbers import counted
from assay.errors import InputError
from assay.numerics.judgement import Judgement, Quality
from assay.numerics.segmentation import MOST_LOST, MOST_SURE_PIXELS, PIXELS_POLICY
from assay.records.audit import Comparison
from assay.records.base import Interval
from assay.records.results import Agreement, Results
from assay.train.brought.model import Tensor
from assay.train.metrics import share

if TYPE_CHECKING:
    from assay.bench.report.evidence import Evidence
    from assay.bench.report.page.blocks import Section

UNIT = "pixel"
PIXEL_ACCURACY, MEAN_IOU = "pixel accuracy", "mean IoU"
METHOD = f"bootstrap over images, {RESAMPLES:,} draws, expanded percentiles (Hesterberg 2015)"
TEST = f"approximate randomisation over images, {RESAMPLES:,} exchanges (Noreen 1989)"

Counts = NDArray[np.int64]


@dataclass(frozen=True)
class Sums:
    """The sums whose ratios both measures are, for each image or each draw of images; all (images, classes).

    Attributes:
        right: pixels of a class that are answered with it.
        labelled, answered: pixels that have the class, and that are answered with it, where there is a label.
    """

    right: Counts
    labelled: Counts
    answered: Counts

    def drawn(self, weights: Counts) -> Sums:
        """Return the sums over draws, from the count of each image, (draws, images)."""
        return Sums(*(weights @ side for side in (self.right, self.labelled, self.answered)))

    def exchanged(self, other: Sums, which: NDArray[np.bool_]) -> Sums:
        """Return the sums over all images, where those in `which`, (draws, images), are the other side's."""
        mine, theirs = self.drawn((~which).astype(np.int64)), other.drawn(which.astype(np.int64))
        return Sums(mine.right + theirs.right, mine.labelled + theirs.labelled, mine.answered + theirs.answered)


Measure = Callable[[Sums], NDArray[np.float64]]


class Segmentation(Task):
    """A task in which the largest number along one axis of an output is a pixel's class."""

    name = "segmentation"
    quality = PIXEL_ACCURACY
    changed_heading = "Pixels changed"
    chart_note = "pixels changed"
    judges_images = False
    is_counted_in_agreement = False

    def output_of(self, outputs: Sequence[Tensor], labels: Array | None, threshold: float | None = None) -> Tensor:
        if labels is None:
            raise InputError(
                f"The task '{self.name}' needs the labels of the inputs: they show which axis of the output has the "
                "classes",
                remedy="Give a class for each pixel with --labels FILE.npy, shape (records, height, width)",
            )
        pixels, told = labels.shape[1:], [shown(one) for one in outputs]
        one_number = [one for one in outputs if _is_map(one, pixels) and not decides_itself(one)]
        if threshold is not None:
            found = the_only(one_number, told, f"one number for each of the labels, {pixels}")
            check_labels(labels, 2, NOBODYS)
            return found
        fitting = [one for one in outputs if _axes(one, pixels) or (_is_map(one, pixels) and one not in one_number)]
        wanted = f"the shape of a record's labels, {pixels}, and one axis more for the classes"
        found = the_only(fitting, told, wanted, THRESHOLD if one_number else "")
        axes = _axes(found, pixels)
        if len(axes) > 1:
            raise InputError(
                f"The axis of the classes of '{found.name}' is ambiguous",
                expected="another number of classes than of pixels along a side",
                found=shown(found),
                remedy="Let the model itself output the class of each pixel",
            )
        check_labels(labels, found.shape[axes[0]] if axes else MOST_CLASSES, NOBODYS)
        return found

    def judge(self, answers: Answers) -> Judgement:
        assert answers.labels is not None, "without labels there is no output"
        labels = answers.labels[: len(answers.found)].astype(np.int64)
        axes = [] if answers.threshold is not None else _axes(answers.output, labels.shape[1:])
        axis = axes[0] if axes else None
        decisions = decisions_of(answers, axis)
        labels = labels.reshape(len(labels), -1)
        classes = answers.output.shape[axes[0]] if axes else int(max(decisions.base.max(), labels.max(), 0)) + 1
        sides = [sums_of(one, labels, classes) for one in (decisions.found, decisions.base)]
        return Judgement(
            task=self.name,
            output=answers.output.name,
            against=answers.against,
            records=len(answers.found),
            flips=decisions.flips(),
            qualities=qualities_of(*sides),
            left_out=int((~_has_class(labels)).sum()),
            threshold=answers.threshold,
            scores=scores_of(answers, axis),
        )

    def reason_against_reduced(self, answers: Answers, found: Judgement) -> str:
        """Give the reason by the policy in `assay.numerics.segmentation`."""
        for one in found.qualities:
            if one.value.value < one.base.value * (1 - MOST_LOST):
                return f"{one.name} is {one.value.value:.2%}, against {one.base.value:.2%}: {PIXELS_POLICY}"
        sure = sure_flips(self, answers, found.scores)
        if sure.flipped <= MOST_SURE_PIXELS * sure.decisions:
            return ""
        return f"{flips_in_words(sure, UNIT)} change that {answers.against} is sure of: {PIXELS_POLICY}"

    def agrees_though(self, worst: Agreement) -> str:
        return f"another number is the largest in {worst.largest_moved} of {counted(worst.images, 'record')}"

    def sections(self) -> Sequence[Callable[[Evidence], Section | None]]:
        return labelled_sections()

    def told(self, results: Results) -> list[str]:
        return told_of_cells(results, UNIT)

    def subject_columns(self) -> Sequence[ColumnOfSubject]:
        return (
            ColumnOfSubject(Column(self.changed_heading), "pixels changed", flips_shown(UNIT)),
            ColumnOfSubject(Column("Pixel accuracy, reference to subject"), PIXEL_ACCURACY, _quality(PIXEL_ACCURACY)),
            ColumnOfSubject(Column("Mean IoU, reference to subject"), MEAN_IOU, _quality(MEAN_IOU)),
        )

    def comparison_columns(self) -> Sequence[ColumnOfSubject]:
        return (ColumnOfSubject(Column(self.changed_heading, numeric=True), "", flip_count),)


def _axes(output: Tensor, pixels: tuple[int, ...]) -> list[int]:
    """Return the axes along which the classes may lie: without one of them the output has the labels' shape."""
    if decides_itself(output):
        return []
    shape = output.shape
    return [
        axis
        for axis, size in enumerate(shape)
        if size > 1 and pixels in {(*shape[:axis], *shape[axis + 1 :]), (*shape[:axis], 1, *shape[axis + 1 :])}
    ]


def _is_map(output: Tensor, pixels: tuple[int, ...]) -> bool:
    """Check whether the output has one number per pixel, its class or its score; axes of one do not count."""
    return [n for n in output.shape if n > 1] == [n for n in pixels if n > 1]


def _has_class(labels: Classes) -> NDArray[np.bool_]:
    """Return which pixels belong to some class."""
    known: NDArray[np.bool_] = (labels >= 0) & (labels != NOBODYS)
    return known


def sums_of(answered: Classes, labels: Classes, classes: int) -> Sums:
    """
    Args:
        answered, labels: (images, pixels).
    """
    found = np.zeros((3, len(labels), classes), np.int64)
    for image, (answer, label) in enumerate(zip(answered, labels, strict=True)):
        known = _has_class(label)
        mine, right = answer[known], label[known]
        of_some_class = mine[(mine >= 0) & (mine < classes)]
        for place, some in enumerate((right[mine == right], right, of_some_class)):
            found[place, image] = np.bincount(some, minlength=classes)
    return Sums(*found)


def qualities_of(found: Sums, base: Sums) -> list[Quality]:
    """Return both measures of both sides; images are drawn again, and exchanged, alike for both."""
    images = len(found.right)
    random = np.random.default_rng(SEED)
    draws = random.multinomial(images, np.full(images, 1 / images), RESAMPLES)
    which = random.random((RESAMPLES, images)) < 0.5
    measures = ((PIXEL_ACCURACY, pixel_accuracy), (MEAN_IOU, mean_iou))
    return [_quality_of(name, measure, found, base, draws, which) for name, measure in measures]


def _quality_of(
    name: str, measure: Measure, found: Sums, base: Sums, draws: Counts, which: NDArray[np.bool_]
) -> Quality:
    value, before = (interval_over_images(measure, side, draws) for side in (found, base))
    by, images = value.value - before.value, draws.shape[1]
    exchanged = measure(found.exchanged(base, which)) - measure(base.exchanged(found, which))
    return Quality(
        name=name,
        value=value,
        base=before,
        method=METHOD,
        difference=_with_spread(by, measure(found.drawn(draws)) - measure(base.drawn(draws)), images, -1.0),
        p_value=exchanged_p_value(by, exchanged),
        test=TEST,
    )


def pixel_accuracy(sums: Sums) -> NDArray[np.float64]:
    """Return the share of the labelled pixels that are right, (draws,)."""
    found: NDArray[np.float64] = sums.right.sum(axis=1) / np.maximum(sums.labelled.sum(axis=1), 1)
    return found


def mean_iou(sums: Sums) -> NDArray[np.float64]:
    """Return the mean intersection over union over the classes that occur, (draws,)."""
    union = sums.labelled + sums.answered - sums.right
    shares = sums.right / np.maximum(union, 1)
    found: NDArray[np.float64] = shares.sum(axis=1) / np.maximum((union > 0).sum(axis=1), 1)
    return found


def interval_over_images(measure: Measure, sums: Sums, draws: Counts) -> Interval:
    """Return a measure with its 95 % interval; for one image anything between none and all."""
    value = float(measure(sums.drawn(np.ones((1, draws.shape[1]), np.int64)))[0])
    return _with_spread(value, measure(sums.drawn(draws)), draws.shape[1], 0.0)


def _with_spread(value: float, drawn: NDArray[np.float64], images: int, least: float) -> Interval:
    """Return the interval of draws, between `least` and 1; Wilson's where nothing varies."""
    if images < 2:
        return Interval(value=value, low=least, high=1.0)
    found = interval_over(value, drawn, images)
    if found.low < found.high:
        return found
    slack = 1 - share(images, images).low
    return Interval(value=value, low=max(value - slack, least), high=min(value + slack, 1.0))


def _quality(name: str) -> Callable[[Sequence[Comparison]], Value]:
    """Return the column of one measure."""

    def of(comparisons: Sequence[Comparison]) -> Value:
        judged = most_flipped(comparisons)
        one = judged.quality(name) if judged else None
        if one is None:
            return Value("")
        said = f"{one.base.value:.2%} to {one.value.value:.2%} ({one.value.low:.2%} to {one.value.high:.2%})"
        return Value(said, one.value.value)

    return of


TASK = Segmentation()
