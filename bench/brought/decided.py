"""The task's judgement of a user's model: the output with the decisions, and every runtime's decisions on all records.
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
from assay.bench.auditing.outputs import AuditedOutput
from assay.bench.brought.exports import Brought
from assay.bench.brought.work import Wanted
from assay.bench.tasks.task import Answers, Array, Task, task
from assay.bench.timing.trials import AUDITED_IMAGES
from assay.errors import InputError
from assay.files.arrays import load_array
from assay.numerics.following import is_counted, is_reduced
from assay.numerics.judgement import Judgement
from assay.records.results import Cell
from assay.train.brought.agreement import parts_of
from assay.train.brought.model import Tensor

MOST_BYTES = 2**28
"""The most bytes of one runtime's outputs that are kept to be judged."""


@dataclass(frozen=True)
class Decided:
    """The part of a model that is judged.

    Attributes:
        output: the output with the decisions; `part` is its columns among all outputs. None where the task has none.
        threshold: see `Wanted`.
        records: number of records judged, from the first on.
    """

    task: Task
    output: Tensor | None
    part: slice
    labels: Array | None
    threshold: float | None
    records: int


def decided(wanted: Wanted, brought: Brought) -> Decided:
    """
    Raises:
        InputError: the labels do not fit the inputs, or no output fits the task.
        ArtifactError: the labels cannot be read.
    """
    labels = _labels(wanted, brought)
    if wanted.threshold is not None and not math.isfinite(wanted.threshold):
        raise InputError("--threshold is not a number", expected="0 or 0.5, say", found=str(wanted.threshold))
    judged_as = task(wanted.task)
    output = judged_as.output_of(brought.model.outputs, labels, wanted.threshold)
    native = brought.native
    at_most = max(MOST_BYTES // max(native[:1].nbytes, 1), AUDITED_IMAGES)
    part = next((part for name, part in parts_of(brought.model) if output and name == output.name), slice(0))
    records = min(len(native), at_most) if output else AUDITED_IMAGES
    return Decided(judged_as, output, part, labels, wanted.threshold, records)


def _labels(wanted: Wanted, brought: Brought) -> Array | None:
    if wanted.labels is None:
        return None
    if brought.drawn:
        raise InputError("--labels needs real inputs, and these are drawn", remedy="Give them with --inputs")
    labels = load_array(wanted.labels)
    if not labels.ndim or len(labels) != brought.records:
        raise InputError(
            "--labels does not match --inputs",
            expected=f"a label for each of the {brought.records} records",
            found=f"an array of shape {labels.shape}",
        )
    return labels


def audited_outputs(brought: Brought) -> list[AuditedOutput]:
    """Return every output with its reference."""
    reference, native, deciders = brought.reference, brought.native, brought.deciders
    return [
        AuditedOutput(
            name=name,
            reference=reference[:, part],
            natives={brought.native_name: native[: len(reference), part]},
            shape=output.shape,
            whole=is_counted(output.dtype, brought.model.arithmetic),
            exact=brought.exact,
            decider=deciders.get(name),
            arithmetic=brought.model.arithmetic,
            may_be_wider=brought.model.kind == "onnx",
        )
        for output, (name, part) in zip(brought.model.outputs, parts_of(brought.model), strict=True)
    ]


def judgements_of(
    what: Decided, brought: Brought, cells: Sequence[Cell], outputs: Mapping[str, Path]
) -> dict[str, Judgement]:
    """Return the task's judgement of each cell's outputs, by cell; empty where the task has no decisions."""
    if what.output is None:
        return {}
    judge, shape = judge_of(what, what.output, brought), brought.native.shape
    found = {}
    for cell in cells:
        if not cell.framework or cell.name not in outputs:
            continue
        rows = load_array(outputs[cell.name])[: shape[0]]
        if rows.shape[1:] == shape[1:]:  # where it is not, its agreement says so already
            arithmetic = brought.model.arithmetic
            found[cell.name] = judge(rows, judged_in(cell.runtime, cell.asked_precision, cell.precision, arithmetic))
    return found


def judge_of(what: Decided, output: Tensor, brought: Brought) -> Callable[[Array, str], Judgement]:
    """Return a function that judges the decisions in all outputs, (records, numbers) from the first record on, as
    computed in a precision.

    Args:
        output: the output with the decisions.
    """
    audited = next(one for one in audited_outputs(brought) if one.name == output.name)
    reference, native = brought.reference, brought.native

    def judge(rows: Array, precision: str) -> Judgement:
        in_float64 = len(reference) >= len(rows)
        answers = Answers(
            output=output,
            base=(reference if in_float64 else native)[: len(rows), what.part],
            found=rows[:, what.part],
            against=brought.what.partition(":")[0] if in_float64 else f"{brought.native_name} in fp32",
            tolerance=audited.tolerance.value * (1 if in_float64 else 2),
            labels=what.labels,
            threshold=what.threshold,
            decider=audited.decider,
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
