"""The judgement of a user's model: every runtime's decisions on all records, by the task, and the user's own metric.
Flips are counted against the float64 reference. Where float64 was computed for only a few records, since an evaluator
in Python is slow, and more are judged, they are counted against the model's own answers in fp32, and ties are twice as
wide: then both sides may be off.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from assay.bench.auditing.by_output import judged_in
from assay.bench.brought.exports import Brought
from assay.bench.brought.score_job import SCORE, ScoreRequest, ScoresOfCells
from assay.bench.brought.work import Wanted, Work
from assay.bench.tasks.labels import only_labels, read_labels
from assay.bench.tasks.metrics.metric import Metric
from assay.bench.tasks.task import Answers, AnswersBeside, Array, Task, task
from assay.bench.timing.trials import AUDITED_IMAGES
from assay.errors import AssayError, DiskError, InputError
from assay.export.probing.probe import NATIVE_FILE, REFERENCE_FILE
from assay.files.arrays import load_array
from assay.numerics.following import is_reduced
from assay.numerics.judgement import Judgement
from assay.records.results import Cell
from assay.steps import MOST_SECONDS, Limit
from assay.train.brought.model import Tensor

MOST_BYTES = 2**28
"""The most bytes of one runtime's outputs that are kept to be judged."""


@dataclass(frozen=True)
class Decided:
    """The part of a model that is judged.

    Attributes:
        output: the output with the decisions; `part` is its columns among all outputs. None where the task has none.
        labels: labels for the task; None where there are none, or only the metric takes them.
        metric: see `Wanted`.
        threshold: see `Wanted`.
        records: number of records judged, from the first on.
    """

    task: Task
    output: Tensor | None
    part: slice
    labels: Array | None
    threshold: float | None
    records: int
    metric: Metric | None = None


def decided(wanted: Wanted, brought: Brought) -> Decided:
    """
    Raises:
        InputError: the labels do not fit the inputs, or no output fits the task.
        ArtifactError: the labels cannot be read.
    """
    judged_as = task(wanted.task)
    labels = _labels(wanted, brought, judged_as)
    if wanted.threshold is not None and not math.isfinite(wanted.threshold):
        raise InputError("--threshold is not a number", expected="0 or 0.5, say", found=str(wanted.threshold))
    for_metric = wanted.metric is not None and not judged_as.quality
    threshold = None if for_metric else wanted.threshold
    output = judged_as.output_of(brought.model.outputs, labels, threshold)
    native = brought.native
    at_most = max(MOST_BYTES // max(native[:1].nbytes, 1), AUDITED_IMAGES)
    part = next((part for one, part in brought.model.parts if one == output), slice(0))
    records = min(len(native), at_most) if output or wanted.metric else AUDITED_IMAGES
    return Decided(judged_as, output, part, labels, threshold, records, wanted.metric)


def _labels(wanted: Wanted, brought: Brought, judged_as: Task) -> Array | None:
    """Return the labels that the task judges by, after a look at those that the metric gets."""
    if wanted.labels is None:
        if wanted.metric is not None:
            raise InputError("--metric needs the right answers", remedy="Give them with --labels FILE")
        return None
    if brought.drawn:
        raise InputError("--labels needs real inputs, and these are drawn", remedy="Give them with --inputs")
    labels = read_labels(wanted.labels, brought.records)
    if wanted.metric is not None and not judged_as.quality:
        if isinstance(labels, dict) and wanted.metric.location is None:
            only_labels(labels, wanted.labels)
        return None
    return only_labels(labels, wanted.labels)


def check_metric(work: Work, what: Decided, brought: Brought) -> None:
    """Try the metric on the model's own outputs, before anything is timed.

    Raises:
        AssayError: it fails, or gives no number.
    """
    if what.metric is not None:
        _scored(work, brought, what.records, {})


def judgements_of(
    work: Work, what: Decided, brought: Brought, cells: Sequence[Cell], outputs: Mapping[str, Path]
) -> dict[str, Judgement]:
    """Return the judgement of each cell's outputs, by cell; empty where there is neither a task nor a metric."""
    shape = brought.native.shape
    judge = judge_of(what, what.output, brought) if what.output else None
    found, comparable = {}, {}
    for cell in cells:
        if not cell.framework or cell.name not in outputs or (judge is None and what.metric is None):
            continue
        rows = load_array(outputs[cell.name])[: shape[0]]
        if rows.shape[1:] == shape[1:]:  # where it is not, its agreement says so already
            arithmetic = brought.model.arithmetic
            comparable[cell.name] = outputs[cell.name]
            if judge:
                precision = judged_in(cell.runtime, cell.asked_precision, cell.precision, arithmetic)
                found[cell.name] = judge(rows, precision)
            else:
                found[cell.name] = _undecided(what, brought, len(rows))
    if what.metric is None or not comparable:
        return found
    try:
        scores = _scored(work, brought, what.records, comparable)
    except DiskError:
        raise
    except AssayError as error:  # it was defined before anything was timed: what is timed is kept
        work.narrator.note(f"the metric {what.metric} could not be computed: {error}")
        return found if judge else {}
    for reason in dict.fromkeys(scores.failed.values()):
        cells_told = ", ".join(name for name, one in scores.failed.items() if one == reason)
        work.narrator.note(f"the metric {what.metric} has no value for {cells_told}: {reason}")
    return {
        name: one.model_copy(update={"qualities": [*filter(None, [scores.of.get(name)]), *one.qualities]})
        for name, one in found.items()
    }


def _undecided(what: Decided, brought: Brought, records: int) -> Judgement:
    """Return the judgement of a task that decides nothing."""
    output, against = brought.model.outputs[0].name, _compared_with(brought, records)[1]
    return Judgement.without_decisions(what.task.name, output, against, records)


def _compared_with(brought: Brought, records: int) -> tuple[Path, str]:
    """Return the file of the outputs that so many records are compared with, and whose they are."""
    if len(brought.reference) >= records:
        return brought.folder / REFERENCE_FILE, brought.what.partition(":")[0]
    return brought.folder / NATIVE_FILE, f"{brought.native_name} in fp32"


def _scored(work: Work, brought: Brought, records: int, outputs: Mapping[str, Path]) -> ScoresOfCells:
    """Return the metric of outputs, by cell; see `assay.bench.brought.score_job`."""
    wanted = work.wanted
    assert wanted.metric is not None
    assert wanted.labels is not None
    request = ScoreRequest(
        model=brought.model,
        metric=wanted.metric,
        labels=wanted.labels.resolve(),
        known=brought.records,
        threshold=wanted.threshold,
        base=_compared_with(brought, records)[0],
        found=dict(outputs),
    )
    work.narrator.tell(f"computing the metric {wanted.metric}")
    return work.ask(SCORE, request, work.folder / "logs" / "score.log", Limit(MOST_SECONDS, "The metric"))


def judge_of(what: Decided, output: Tensor, brought: Brought) -> Callable[[Array, str], Judgement]:
    """Return a function that judges the decisions in all outputs, (records, numbers) from the first record on, as
    computed in a precision.

    Args:
        output: the output with the decisions.
    """
    audited = next(one for one, _ in brought.judge({}).outputs if one.name == output.name)
    reference, native = brought.reference, brought.native
    others = [(one, part) for one, part in brought.model.parts if one.name != output.name]

    def judge(rows: Array, precision: str) -> Judgement:
        in_float64 = len(reference) >= len(rows)
        _, against = _compared_with(brought, len(rows))
        base = (reference if in_float64 else native)[: len(rows)]
        answers = Answers(
            output=output,
            base=base[:, what.part],
            found=rows[:, what.part],
            against=against,
            tolerance=audited.tolerance.value * (1 if in_float64 else 2),
            labels=what.labels,
            threshold=what.threshold,
            decider=audited.decider,
            others=[AnswersBeside(one, base[:, part], rows[:, part]) for one, part in others],
        )
        judgement = what.task.judge(answers)
        if not is_reduced(precision, brought.model.arithmetic):
            return judgement
        return judgement.model_copy(update={"reason": what.task.reason_against_reduced(answers, judgement)})

    return judge


def with_judgements(cells: Sequence[Cell], found: Mapping[str, Judgement]) -> list[Cell]:
    """Return the cells, each with its judgement; a cell whose decisions speak against it does not agree."""
    return [_with(cell, found[cell.name]) if cell.name in found else cell for cell in cells]


def _with(cell: Cell, judgement: Judgement) -> Cell:
    agreement = cell.agreement
    if agreement is not None and agreement.passed and judgement.reason:
        agreement = agreement.model_copy(update={"passed": False, "reason": judgement.reason})
    return cell.model_copy(update={"judgement": judgement, "agreement": agreement})
