"""One class for each record: the largest of its numbers, or, where it has one alone, the side of a threshold.

It has accuracy and images that change their class, and an audit needs for it: labels, images that are hard for
arithmetic and images at the decision boundary. The measures of classes are in `assay.numerics.classification`, since
exports are checked by them too.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from assay.bench.report.page.blocks import Column, Value
from assay.bench.tasks.classification.accuracy import accuracy_of
from assay.bench.tasks.classification.flipped import flipped_images
from assay.bench.tasks.decisions import (
    MOST_CLASSES,
    THRESHOLD,
    check_labels,
    decides_itself,
    decisions_of,
    flips_in_words,
    most_flipped,
    scores_of,
    shown,
    sure_flips,
    the_only,
    told_of_cells,
)
from assay.bench.tasks.task import (
    Answers,
    Array,
    ColumnOfSubject,
    KnownQuality,
    ServedAnswers,
    Shape,
    Task,
    labelled_sections,
)
from assay.bench.words.numbers import count, counted, scientific, significant
from assay.errors import InputError
from assay.export.served.contract import LABEL, PROBABILITIES
from assay.numerics.classification.measured import MeasuredClasses
from assay.numerics.classification.pictured import FlippedImage, WholeSplit, whole_split
from assay.numerics.classification.significance import Accuracy, accuracy_difference, mcnemar
from assay.numerics.judgement import Judgement, Quality
from assay.numerics.served import ServedTensor
from assay.records.audit import Comparison, ModelAudit
from assay.records.base import Interval
from assay.records.deployment import ServedTolerance
from assay.records.results import Agreement, Results
from assay.train.brought.model import Tensor
from assay.train.metrics import share

if TYPE_CHECKING:
    from assay.bench.auditing.hard_inputs import NamedImages
    from assay.bench.auditing.runs import Inputs
    from assay.bench.report.evidence import Evidence
    from assay.bench.report.page.blocks import Section
    from assay.bench.run import Run, TrainedModel
    from assay.jobs.pace import Pace

UNIT = "record"
ACCURACY = "accuracy"
WILSON = "Wilson's score interval (1927), record by record"
MCNEMAR = "McNemar's exact test (1947), record by record"


class Classification(Task):
    """A task in which the largest of a record's numbers is its class."""

    name = "classification"
    quality = ACCURACY
    changed_heading = "Classes changed"
    chart_note = "classes changed"

    def output_of(self, outputs: Sequence[Tensor], labels: Array | None, threshold: float | None = None) -> Tensor:
        one_number = [one for one in outputs if one.size == 1 and not decides_itself(one)]
        told = [shown(one) for one in outputs]
        if threshold is None:
            fitting, remedy = [one for one in outputs if _fits(one)], THRESHOLD if one_number else ""
            found = the_only(fitting, told, "a number for each of two classes or more a record", remedy)
        else:
            found = the_only(one_number, told, "one number a record, which --threshold is for")
        if labels is not None:
            if labels.ndim != 1:
                raise InputError("--labels does not fit", expected="(records,)", found=str(labels.shape))
            check_labels(labels, MOST_CLASSES if decides_itself(found) else max(found.size, 2))
        return found

    def judge(self, answers: Answers) -> Judgement:
        by_itself = answers.threshold is not None or decides_itself(answers.output)
        axis = None if by_itself else _axis(answers.output)
        decisions = decisions_of(answers, axis)
        qualities = []
        if answers.labels is not None:
            right = answers.labels[: len(answers.found)].astype(np.int64)
            hits, before = (side[:, 0] == right for side in (decisions.found, decisions.base))
            lost, gained = int((before & ~hits).sum()), int((hits & ~before).sum())
            value, base = (share(int(one.sum()), len(right)) for one in (hits, before))
            difference, p_value = accuracy_difference(len(right), lost, gained), mcnemar(lost, gained)
            qualities.append(
                Quality(
                    name=ACCURACY,
                    value=value,
                    base=base,
                    method=WILSON,
                    difference=difference,
                    p_value=p_value,
                    test=MCNEMAR,
                )
            )
        return Judgement(
            task=self.name,
            output=answers.output.name,
            against=answers.against,
            records=len(answers.found),
            flips=decisions.flips(),
            qualities=qualities,
            threshold=answers.threshold,
            scores=scores_of(answers, axis),
        )

    def reason_against_reduced(self, answers: Answers, found: Judgement) -> str:
        """Give the reason, as for a study's images: none changes its class where the reference is sure."""
        flips = sure_flips(self, answers, found.scores)
        if not flips.flipped:
            return ""
        return f"{flips.flipped} of {flips.decisions} decisions change that {answers.against} is sure of"

    def made_inputs(self, shape: Shape) -> Mapping[str, NamedImages]:
        from assay.bench.auditing.hard_inputs import extreme_inputs, hard_inputs  # noqa: PLC0415
        from assay.bench.auditing.runs import EXTREME, HARD  # noqa: PLC0415

        return {HARD: hard_inputs(shape), EXTREME: extreme_inputs(shape)}

    def whole_split(self, logits: NDArray[np.float64], labels: NDArray[np.int64]) -> WholeSplit:
        return whole_split(logits, labels)

    def changed_images(
        self, comparisons: Sequence[Comparison], sets: Sequence[Inputs], places: Mapping[str, NDArray[np.int64]]
    ) -> list[FlippedImage]:
        return flipped_images(comparisons, sets, places)

    def known_quality(self, model: ModelAudit, comparisons: Sequence[Comparison]) -> KnownQuality:
        """Return the accuracy by the user's labels, or of a study's images, on as many of the split as can be known."""
        if any(one.judgement for one in comparisons):
            return super().known_quality(model, comparisons)
        return accuracy_of(model, comparisons)

    def searched_inputs(
        self,
        run: Run,
        subject: TrainedModel,
        images: NDArray[np.float32],
        pace: Callable[[], Pace | None],
        work: Path,
    ) -> Sequence[Inputs]:
        from assay.bench.tasks.classification.boundary import at_the_boundary  # noqa: PLC0415

        return [at_the_boundary(run, subject, images, pace(), work)]

    def served_outputs(self, width: int) -> list[ServedTensor]:
        return [
            ServedTensor(name=PROBABILITIES, datatype="FP32", shape=[width]),
            ServedTensor(name=LABEL, datatype="INT64", shape=[], index_of=PROBABILITIES),
        ]

    def judge_served(self, answers: ServedAnswers) -> tuple[dict[str, ServedTolerance], Interval]:
        from assay.bench.tasks.classification.served import judge_answers  # noqa: PLC0415

        found, labels = answers.found, answers.labels
        tolerance = judge_answers(
            found[PROBABILITIES],
            answers.reference,
            labels,
            answers.audit,
            answers.precision,
            answers.spread[PROBABILITIES],
            in_fp32=answers.in_fp32,
        )
        return {PROBABILITIES: tolerance}, share(int((found[LABEL] == labels).sum()), len(labels))

    def most_served_tolerance(self, audited: float, classes: int, precision: str) -> float:
        from assay.bench.tasks.classification.served import most_of_a_probability  # noqa: PLC0415

        return most_of_a_probability(audited, classes, precision)

    def changed_in_all(self, flips: int) -> str:
        return f"; {counted(flips, 'prediction')} changed class" if flips else "; no predicted class changed"

    def agrees_though(self, worst: Agreement) -> str:
        return f"{worst.largest_moved} of {counted(worst.images, 'image')} changed class"

    def told(self, results: Results) -> list[str]:
        return told_of_cells(results, UNIT)

    def sections(self) -> Sequence[Callable[[Evidence], Section | None]]:
        return labelled_sections()

    def details(self) -> Sequence[Callable[[Evidence], Section | None]]:
        from assay.bench.tasks.classification.defaults import defaults  # noqa: PLC0415  they draw
        from assay.bench.tasks.classification.learning import curves, parity  # noqa: PLC0415
        from assay.bench.tasks.classification.trained import accuracy, classes  # noqa: PLC0415

        return (accuracy, classes, curves, defaults, parity)

    def subject_columns(self) -> Sequence[ColumnOfSubject]:
        return (
            ColumnOfSubject(Column(self.changed_heading), "flips", _flips),
            ColumnOfSubject(Column("Accuracy, reference to subject"), "accuracy", _accuracy),
            ColumnOfSubject(Column("McNemar p", numeric=True), "", _p_value),
        )

    def comparison_columns(self) -> Sequence[ColumnOfSubject]:
        return (
            ColumnOfSubject(Column("Probability distance", numeric=True), "", _variation),
            ColumnOfSubject(Column("Calibration shift", numeric=True), "", _shift),
            ColumnOfSubject(Column(self.changed_heading, numeric=True), "", _flip_count),
        )

    def changed_in_audit(self, models: Sequence[ModelAudit]) -> str:
        from assay.bench.tasks.classification.audit_page import flips_in_words as in_words  # noqa: PLC0415

        return in_words([image for model in models for image in model.flipped])

    def audit_section(self, model: ModelAudit, said: str, identifier: str) -> Section | None:
        from assay.bench.tasks.classification.audit_page import flips_section  # noqa: PLC0415

        return flips_section(model, said, identifier) if model.flipped else None


def _fits(output: Tensor) -> bool:
    """Check whether it has one number per class, or is the class itself."""
    long = [size for size in output.shape if size > 1]
    return output.size == 1 if decides_itself(output) else len(long) == 1


def _axis(output: Tensor) -> int:
    return next(place for place, size in enumerate(output.shape) if size > 1)


def _flips(comparisons: Sequence[Comparison]) -> Value:
    """Show the most flips of one comparison, set by set."""
    if judged := most_flipped(comparisons):
        return Value(flips_in_words(judged.flips, UNIT))
    most: dict[str, int] = {}
    for one in comparisons:
        if (found := _of_classes(one)) and found.flip_count:
            most[one.inputs] = max(most.get(one.inputs, 0), found.flip_count)
    return Value(", ".join(f"{number} of {name}" for name, number in most.items()) or "0")


def _accuracy(comparisons: Sequence[Comparison]) -> Value:
    """Show the accuracy of the reference and of the subject, on the most images."""
    found = [one.judgement.quality(ACCURACY) for one in comparisons if one.judgement]
    for one in found:
        if one:
            return Value(f"{one.base.value:.2%} to {one.value.value:.2%} ({one.value.low:.2%} to {one.value.high:.2%})")
    whole = _on_most_images(comparisons)
    return Value(f"{whole.reference:.2%} to {whole.candidate:.2%}" if whole else "")


def _p_value(comparisons: Sequence[Comparison]) -> Value:
    whole = _on_most_images(comparisons)
    return Value(significant(whole.p_value, 2), whole.p_value) if whole else Value("")


def _on_most_images(comparisons: Sequence[Comparison]) -> Accuracy | None:
    found = [known.accuracy for one in comparisons if (known := _of_classes(one)) and known.accuracy]
    return max(found, key=lambda one: one.images, default=None)


def _of_classes(comparison: Comparison) -> MeasuredClasses | None:
    return comparison.measured.classes if comparison.measured else None


def _variation(comparisons: Sequence[Comparison]) -> Value:
    found = _of_classes(comparisons[0])
    return Value(scientific(found.max_total_variation), found.max_total_variation) if found else Value("")


def _shift(comparisons: Sequence[Comparison]) -> Value:
    found = _of_classes(comparisons[0])
    shift = found.calibration.shift if found and found.calibration else None
    return Value("" if shift is None else scientific(shift), shift)


def _flip_count(comparisons: Sequence[Comparison]) -> Value:
    one = comparisons[0]
    if one.judgement:
        return Value(count(one.judgement.flips.flipped), one.judgement.flips.flipped)
    found = _of_classes(one)
    return Value(count(found.flip_count), found.flip_count) if found else Value("")


TASK = Classification()
