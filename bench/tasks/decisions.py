"""Common parts of the tasks whose answers are classes: one or many decisions per record, each by a largest number.

A decision that differs is a flip, unless the values that decide it tie: two runs that are both right may then take
another class each, see `assay.numerics.ties`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from assay.bench.report.page.blocks import Value
from assay.bench.tasks.measure import difference_in_words, measured_by
from assay.bench.tasks.task import Answers, Task
from assay.bench.words.numbers import count, counted
from assay.errors import InputError
from assay.numerics.classification.reduced import LARGEST_FLIPPED_MARGIN
from assay.numerics.judgement import Flips, Judgement, Quality, Scores
from assay.numerics.ties.choices import Decider
from assay.numerics.ties.deciding import Deciding
from assay.numerics.values import is_whole
from assay.records.audit import Comparison
from assay.records.results import Results
from assay.train.brought.model import Tensor

NONE = -1
"""The decision of numbers that are not finite: no class, and equal to none."""
LEAST = 1e-7
"""The least probability, and the least distance of one from 1: the last digit of fp32."""
RECORDS_AT_ONCE = 16
"""Images of many classes and pixels are large in float64."""
OFF_ONE = 1e-3
"""Greatest deviation of a sum of probabilities from one: a softmax in fp32 over ten thousand classes has a tenth."""
MOST_CLASSES = 10_000
"""The most classes of an output that is an index itself, which does not say how many there are."""

Classes = NDArray[np.int64]
Numbers = NDArray[np.float64]


@dataclass(frozen=True)
class Decisions:
    """Decisions of two sides on the same records.

    Attributes:
        base, found: decisions of the two sides, (records, decisions).
        excused: places, in the same shape, where `found` differs and the deciding values tie.
    """

    base: Classes
    found: Classes
    excused: NDArray[np.bool_]

    @property
    def flipped(self) -> NDArray[np.bool_]:
        """Where they differ and nothing excuses it."""
        found: NDArray[np.bool_] = (self.base != self.found) & ~self.excused
        return found

    def flips(self) -> Flips:
        """Return the counts of the decisions that changed."""
        flipped = self.flipped
        return Flips(
            decisions=self.base.size,
            flipped=int(flipped.sum()),
            excused=int(self.excused.sum()),
            records=int(flipped.any(axis=1).sum()),
        )


def decisions_of(answers: Answers, axis: int | None) -> Decisions:
    """Return the decisions of both sides, computed piece by piece.

    Args:
        axis: axis of one record of the output, along which the largest number is the class; None where the numbers are
            classes themselves.
    """
    parts = [_decided(answers, rows, axis) for rows in _pieces(len(answers.found))]
    return Decisions(*(np.concatenate(side) for side in zip(*parts, strict=True)))


def sure_flips(judged_by: Task, answers: Answers, scores: str) -> Flips:
    """Return the decisions that change though the side they are compared with is sure of them.

    It is sure of those where nothing comes nearer than `LARGEST_FLIPPED_MARGIN` in the logits; probabilities are
    converted to logits. For classes, the margin is that of the values that decide them, where they are known.

    Args:
        scores: the kind of numbers that decide, as the task has it.
    """
    base, found, threshold = (answers.base.astype(np.float64), answers.found.astype(np.float64), answers.threshold)
    if scores == "probabilities":
        to_logits = _log if threshold is None else _log_odds
        base, found = to_logits(base), to_logits(found)
        threshold = None if threshold is None else float(to_logits(np.asarray(threshold, np.float64)))
    decider = _in_logits(answers.decider) if scores == "classes" and answers.decider else answers.decider
    tolerance = LARGEST_FLIPPED_MARGIN / 2
    sure = replace(answers, base=base, found=found, threshold=threshold, tolerance=tolerance, decider=decider)
    return judged_by.judge(sure).flips


def _log(some: Numbers) -> Numbers:
    return np.log(np.clip(some, LEAST, 1 - LEAST))


def _log_odds(some: Numbers) -> Numbers:
    return _log(some) - _log(1 - some)


def _in_logits(decider: Deciding) -> Deciding | None:
    """Return the values that decide classes, as logits and with the margin of a sure decision. Probabilities are what
    `scores_of` says, with a threshold that the model has in itself: the same number in every comparison. Where only the
    alternatives are known, their scores may be off by what reduced precision allows.
    """
    if not isinstance(decider, Decider):
        return decider.widened()
    values, margin = decider.values, LARGEST_FLIPPED_MARGIN / 2
    between = bool(((values >= 0) & (values <= 1)).all())
    fixed = values[0, 0, np.ptp(values, axis=(0, 1, 3)) == 0, 0]
    if between and values.shape[2] == 2 and ((fixed > 0) & (fixed < 1)).any():
        return Decider(_log_odds(values), margin)
    are = between and np.allclose(values.sum(axis=2), 1, rtol=0, atol=OFF_ONE)
    return Decider(_log(values) if are else values, margin)


def scores_of(answers: Answers, axis: int | None) -> Scores:
    """Return the kind of numbers that decide, by their definition and not by their appearance.

    Several numbers are probabilities where they are none below zero and add up to one for every decision. Where a
    single number decides, the user says it with the threshold: one strictly between 0 and 1 is a probability, where the
    numbers can be.

    Args:
        axis: as for `decisions_of`.
    """
    if answers.threshold is None and axis is None:
        return "classes"
    parts = (answers.base[rows].astype(np.float64) for rows in _pieces(len(answers.base)))
    if answers.threshold is not None:
        are = 0 < answers.threshold < 1 and all(((part >= 0) & (part <= 1)).all() for part in parts)
    else:
        chosen = (_by_choice(part, answers.output.shape, axis or 0) for part in parts)
        are = all((part >= 0).all() and np.allclose(part.sum(axis=2), 1, rtol=0, atol=OFF_ONE) for part in chosen)
    return "probabilities" if are else "logits"


def _pieces(records: int) -> Iterator[slice]:
    for start in range(0, records, RECORDS_AT_ONCE):
        yield slice(start, start + RECORDS_AT_ONCE)


def _decided(answers: Answers, rows: slice, axis: int | None) -> tuple[Classes, Classes, NDArray[np.bool_]]:
    if answers.threshold is not None:
        above = [side[rows].astype(np.float64) - answers.threshold for side in (answers.base, answers.found)]
        base, found = (np.where(np.isfinite(one), one > 0, NONE).astype(np.int64) for one in above)
        excused = (np.abs(above[0]) <= answers.tolerance) & (base != NONE) & (found != NONE)
    elif axis is None:
        base, found = _as_classes(answers.base[rows]), _as_classes(answers.found[rows])
        decider, places = answers.decider, np.arange(rows.start, rows.start + len(base))
        excused = decider.excuses(base, found, places) if decider else np.zeros(base.shape, bool)
    else:
        values, other = (_by_choice(side[rows], answers.output.shape, axis) for side in (answers.base, answers.found))
        base, found = _largest(values), _largest(other)
        excused = Decider(np.nan_to_num(values), answers.tolerance).excuses(base, found)
        excused &= (base != NONE) & (found != NONE)
    return base, found, excused & (base != found)


def _by_choice(rows: NDArray[np.generic], shape: tuple[int, ...], axis: int) -> NDArray[np.float64]:
    """Return the numbers as (records, outer, choices, inner)."""
    outer, inner = int(np.prod(shape[:axis])), int(np.prod(shape[axis + 1 :]))
    found: NDArray[np.float64] = rows.reshape(len(rows), outer, shape[axis], inner).astype(np.float64)
    return found


def _largest(values: NDArray[np.float64]) -> Classes:
    chosen = np.where(np.isfinite(values).all(axis=2), values.argmax(axis=2), NONE)
    return chosen.reshape(len(values), -1).astype(np.int64)


def _as_classes(rows: NDArray[np.generic]) -> Classes:
    """Return whole numbers as they are, whatever type they are written in."""
    exact = rows.astype(np.float64)
    whole = np.isfinite(exact) & (exact == np.floor(exact))
    return np.where(whole, exact, NONE).astype(np.int64)


def decides_itself(output: Tensor) -> bool:
    """Check whether the numbers of an output are classes themselves, instead of deciding between them."""
    return is_whole(output.dtype)


THRESHOLD = (
    "Say with --threshold which numbers mean class 1, those above it: --threshold 0 of logits, --threshold 0.5 of "
    "probabilities"
)
"""Request to a user whose model answers with one number: its numbers alone do not say which they are."""


def check_labels(labels: NDArray[np.generic], classes: int, nobodys: int | None = None) -> None:
    """
    Args:
        nobodys: the label for no class; negative labels have none either. None where everything has one.

    Raises:
        InputError: labels are not classes of the model.
    """
    expected = f"whole numbers from 0 to {classes - 1}" + (f", or {nobodys} for none" if nobodys is not None else "")
    if not is_whole(labels.dtype):
        raise InputError("--labels has no classes", expected=expected, found=str(labels.dtype))
    exact = labels.astype(np.int64)
    known = exact if nobodys is None else exact[(exact >= 0) & (exact != nobodys)]
    wrong = known[(known < 0) | (known >= classes)]
    if wrong.size:
        raise InputError(
            "--labels has classes that the model does not have", expected=expected, found=str(int(wrong[0]))
        )
    if not known.size:
        raise InputError("--labels has no label for any record", expected=expected, found=f"{labels.size} of none")


def the_only(fitting: list[Tensor], outputs: list[str], what: str, remedy: str = "") -> Tensor:
    """
    Args:
        remedy: remedy where none fits.
        outputs: all outputs, in words.
        what: description of an output that fits the task.

    Raises:
        InputError: none fits, or several do.
    """
    if len(fitting) == 1:
        return fitting[0]
    if not fitting:
        said = ", ".join(outputs)
        raise InputError("No output of the model fits the task", expected=what, found=said, remedy=remedy or None)
    names = ", ".join(one.name for one in fitting)
    raise InputError(
        "Several outputs of the model fit the task",
        expected=what,
        found=names,
        remedy="Leave the others out with --without",
    )


def shown(tensor: Tensor) -> str:
    """Return an output in words, "logits float32 [8]"."""
    return f"{tensor.name} {tensor.dtype} [{', '.join(map(str, tensor.shape))}]"


def most_flipped(comparisons: Sequence[Comparison]) -> Judgement | None:
    """Return the judgement with the most flips."""
    judged = [one.judgement for one in comparisons if one.judgement]
    return max(judged, key=lambda one: one.flips.flipped, default=None)


def flips_shown(unit: str) -> Callable[[Sequence[Comparison]], Value]:
    """Return the column of a subject's flips, in words."""

    def of(comparisons: Sequence[Comparison]) -> Value:
        found = most_flipped(comparisons)
        return Value(flips_in_words(found.flips, unit), found.flips.flipped) if found else Value("")

    return of


def flip_count(comparisons: Sequence[Comparison]) -> Value:
    """Return the number of flips, for a column."""
    found = most_flipped(comparisons)
    return Value(count(found.flips.flipped), found.flips.flipped) if found else Value("")


def flips_in_words(flips: Flips, unit: str) -> str:
    """Return "3 of 4,096 pixels (2 records)", and how many more tie."""
    said = f"{count(flips.flipped)} of {counted(flips.decisions, unit)}"
    said += f" ({counted(flips.records, 'record')})" if flips.flipped and flips.records < flips.decisions else ""
    return f"{said}; {count(flips.excused)} more tie" if flips.excused else said


def quality_in_words(quality: Quality) -> str:
    """Return "accuracy 98.20 % (97.10 to 98.90), against 98.30 %; difference ..."."""
    one, measure = quality.value, measured_by(quality)
    shown = f"{measure.short(one.value)} ({measure.short(one.low)} to {measure.short(one.high)})"
    by = difference_in_words(quality)
    return f"{quality.name} {shown}, against {measure.short(quality.base.value)}{f'; {by}' if by else ''}"


def told_of_cells(results: Results, unit: str) -> list[str]:
    """Return a sentence for each group of equal judgements: who decides as the reference does, and how many are
    right.
    """
    return told_alike(results, lambda found: _told(found, unit))


def told_alike(results: Results, told: Callable[[Judgement], str]) -> list[str]:
    """Return a sentence for each group of cells of whose judgements the same is told."""
    alike: dict[str, list[str]] = {}
    for cell in results.cells:
        if cell.judgement:
            alike.setdefault(told(cell.judgement), []).append(cell.label)
    return [f"{', '.join(dict.fromkeys(labels))}: {said}." for said, labels in alike.items() if said]


def _told(found: Judgement, unit: str) -> str:
    flips = found.flips
    same = f"every {unit} of {counted(found.records, 'record')} has the class that it has in {found.against}"
    changed = f"{flips_in_words(flips, unit)} changed class against {found.against}"
    said = changed if flips.flipped else same
    if not flips.flipped and flips.excused:
        said += f" ({count(flips.excused)} but for a tie)"
    return "; ".join([said, *map(quality_in_words, found.qualities)])
