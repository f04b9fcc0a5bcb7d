"""The metric that a user gave, of every runtime's answers, in a process of its own: it is the code of somebody else."""

from __future__ import annotations

import hashlib
from pathlib import Path

from pydantic import Field

from assay.bench.tasks.labels import read_labels
from assay.bench.tasks.metrics.loaded import load_metric
from assay.bench.tasks.metrics.metric import Array, Metric
from assay.bench.tasks.metrics.paired import Paired, paired_with
from assay.errors import InputError
from assay.files.arrays import load_array
from assay.jobs.job import Job
from assay.jobs.serving import serve_job
from assay.numerics.judgement import Quality
from assay.numerics.values import is_whole
from assay.records.base import Record
from assay.steps import MOST_SECONDS, step
from assay.train.brought.model import UserModel


class ScoreRequest(Record):
    """The outputs to measure.

    Attributes:
        labels: file of the labels, one for each record of `known`, of which the first are used.
        known: number of records that have labels.
        threshold: number above which a single number means class 1; None where it is not given.
        base: .npy file of the outputs compared with, (records, numbers).
        found: .npy files of outputs, (records or more, numbers), by cell.
    """

    model: UserModel
    metric: Metric
    labels: Path
    known: int
    threshold: float | None
    base: Path
    found: dict[str, Path]


class ScoresOfCells(Record):
    """The metric of each cell's outputs, by cell.

    Attributes:
        failed: why there is none of a cell, by cell.
    """

    of: dict[str, Quality]
    failed: dict[str, str] = Field(default_factory=dict)


SCORE = Job("assay.bench.brought.score_job", "score", ScoreRequest, ScoresOfCells)


def score(request: ScoreRequest) -> ScoresOfCells:
    """Measure all outputs, each content once; without any, the metric is tried on those compared with.

    Raises:
        InputError: the metric fails, gives no number, or does not fit the outputs and labels.
        NotInstalledError: its library is not installed.
    """
    model = request.model
    arrays = {cell: load_array(file) for cell, file in request.found.items()}
    base = load_array(request.base)
    records = min(map(len, (base, *arrays.values())))
    labels = read_labels(request.labels, request.known)
    labels = {name: one[:records] for name, one in labels.items()} if isinstance(labels, dict) else labels[:records]
    with step(f"the metric {request.metric}", MOST_SECONDS):
        name, metric = load_metric(request.metric, [one.name for one in model.outputs], request.threshold)
        content = {cell: hashlib.sha256(one[:records].tobytes()).hexdigest() for cell, one in arrays.items()}
        paired = paired_with(name, metric, shaped(model, base[:records]), labels, len(set(content.values())))
        made: dict[str, Quality | str] = {}
        for cell, digest in content.items():
            if digest not in made:
                made[digest] = _or_reason(paired, shaped(model, arrays[cell][:records]))
    each = {cell: made[digest] for cell, digest in content.items()}
    return ScoresOfCells(
        of={cell: one for cell, one in each.items() if isinstance(one, Quality)},
        failed={cell: one for cell, one in each.items() if isinstance(one, str)},
    )


def _or_reason(paired: Paired, found: dict[str, Array]) -> Quality | str:
    """Return the metric of answers, or why it is not defined: it has been for the reference's."""
    try:
        return paired.quality_of(found)
    except InputError as error:
        return str(error)


def shaped(model: UserModel, rows: Array) -> dict[str, Array]:
    """Return each output in the shape that the model gives it, (records, ...), from all outputs side by side."""
    found = {}
    for output, part in model.parts:
        one = rows[:, part].reshape(len(rows), *output.shape)
        found[output.name] = one.astype(output.dtype) if is_whole(output.dtype) else one
    return found


if __name__ == "__main__":
    serve_job(SCORE.done_by(score))
