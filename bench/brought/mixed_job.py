"""The jobs of `assay.export.variants.mixed_job` for a user's model whose answers are decisions: files are tried by the
task's rule too, on every record that the comparison will judge.
"""

from __future__ import annotations

from dataclasses import replace

from assay.bench.brought.decided import Decided, decided, judge_of
from assay.bench.brought.exports import Brought
from assay.bench.brought.work import Wanted
from assay.bench.tasks.task import Array
from assay.errors import InputError
from assay.export.variants.mixed import ByTask
from assay.export.variants.mixed_job import DecisionsAsked, HeldRequest, MixedRequest, work
from assay.export.variants.trials import RecordTrial, record_trial
from assay.jobs.job import Job
from assay.jobs.serving import serve_job
from assay.records.localisation import Tried
from assay.records.results import Export
from assay.store import file_sha256
from assay.train.brought.model import UserModel

HELD = Job("assay.bench.brought.mixed_job", "held", HeldRequest, Tried)
MIXED = Job("assay.bench.brought.mixed_job", "mixed", MixedRequest, Export)


def tried_by(wanted: Wanted, what: Decided, brought: Brought) -> ByTask | None:
    """Return the decisions that a user's files in int8 are tried by; None where the task has none."""
    if what.output is None:
        return None
    decisions = DecisionsAsked(
        task=wanted.task,
        labels=wanted.labels and wanted.labels.resolve(),
        threshold=wanted.threshold,
        reference=brought.what,
    )
    return ByTask(decisions, HELD, MIXED, file_sha256(wanted.labels) if wanted.labels else "")


def held(request: HeldRequest) -> Tried:
    """Judge an int8 file by its numbers and decisions."""
    return trial_of(request).judged(request.file)


def _searched_for(request: MixedRequest) -> Export:
    """Search with the records and what is decided about them, see `work`."""
    return work(request, trial_of(request))


def trial_of(request: HeldRequest | MixedRequest) -> RecordTrial:
    """Return the records that files are tried on, and the rule of the task.

    Raises:
        InputError: the labels do not fit, or the model has no decisions.
        ArtifactError: the labels or the reference cannot be read.
    """
    model, against, asked = request.model, request.against, request.decisions
    if asked is None or not isinstance(model, UserModel):
        raise InputError("Nothing is decided by the model that could be tried")
    wanted = Wanted(model.location, task=asked.task, labels=asked.labels, threshold=asked.threshold)
    brought = Brought(model, against.records.parent, asked.reference, exact=against.exact, drawn=False)
    what = decided(wanted, brought)
    if what.output is None:
        raise InputError(f"Nothing is decided in the task '{asked.task}' that could be tried")
    judge, quality = judge_of(what, what.output, brought), what.task.quality

    def by_task(rows: Array) -> tuple[str, float | None]:
        found = judge(rows, trial.precision)
        right = found.quality(quality)
        return found.reason, right.value.value if right else None

    trial = record_trial(model, against, what.records)
    return replace(trial, by_task=by_task)


if __name__ == "__main__":
    serve_job(HELD.done_by(held), MIXED.done_by(_searched_for))
