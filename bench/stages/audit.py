"""The audit of a study: every runtime and export on the test split, on hard inputs and at the decision boundary."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path

from assay.bench.auditing.guilt import explained_by_files
from assay.bench.auditing.inputs import LARGE, Prepared, prepare
from assay.bench.auditing.judge import AuditEvidence, judge_all, propagation_of
from assay.bench.auditing.kept import Identity, determined_by, identity_of, kept_or_made
from assay.bench.auditing.localise import Followable
from assay.bench.auditing.operators.losing import operators_that_lose_nan
from assay.bench.auditing.record import OfImages, audit_of, audit_of_model, write_audit
from assay.bench.auditing.runs import SPECIAL, AuditPlan, Outputs, run_subjects
from assay.bench.run import Run, TrainedModel
from assay.bench.stages.exports import calibration_of, export_all, exports_of
from assay.bench.stages.groups import files_of_model, made_of
from assay.bench.stages.train import check_frameworks, choose_subjects, train_all
from assay.bench.tasks.task import task, task_of_images
from assay.bench.timing.workers import Candidate
from assay.errors import AssayError
from assay.export.reference.reference import ReferenceRequest, operators_in, reference_artifact
from assay.files.arrays import load_array
from assay.infer.runtime import ModelFiles
from assay.jobs.pace import pace_in
from assay.numerics.reduced import rule_of
from assay.records.audit import Audit, ModelAudit, Propagation
from assay.records.results import Export
from assay.registry import EXPORTERS, FRAMEWORKS, RUNTIMES
from assay.store import file_sha256
from assay.train.job import WEIGHTS_FILE

SAMPLE, LARGE_SAMPLE = 96, 32
"""Number of test images that go through at every batch size, with one thread and with all: three batches of 32, or one
of large images, since they go through eight times.
"""
CALLS_IN_A_COMMAND = 10
"""Factor by which a worker may take longer over a whole split than over a single call."""
INTEGERS = {"QuantizeLinear": "NaN everywhere"}
"""The operators of an int8 graph that lose NaN by definition: integers have none."""


def audit_study(
    run: Run, command: str, most_images: int | None = None, models: Sequence[str] = (), *, strict_nan: bool = False
) -> Audit:
    """Audit every model of a study, once the rest of its training and export is done, and write audit.json.

    Args:
        command: command for a reader to make the audit again.
        most_images: number of images of the test split, drawn once; 0 for all, None for the study's number for each
            size.
        models: names of the models to audit, "bloodnet/28"; all where none is named.
        strict_nan: whether a runtime's own loss of NaN fails the audit.

    Raises:
        FailedError: the two float64 references disagree, so that there is nothing to compare with.
        AssayError: bad input or missing software.
    """
    task_of_images(run.study.task)
    check_frameworks(run.study)
    with run.narrator.showing():
        trainings, _ = train_all(run)
        subjects = [one for one in choose_subjects(run, trainings) if not models or _name(one) in models]
        exports = export_all(run, subjects)
        with run.stage("audit", "Auditing the numbers"):
            audits = [_kept_audit(run, subject, exports, most_images) for subject in subjects]
    dataset = run.data(run.study.models[0].sizes[0])[1]
    audit = audit_of(
        audits,
        command,
        run.seconds,
        host=run.host,
        strict_nan=strict_nan,
        data=f"{dataset.name}: {dataset.attribution}. Licence: {dataset.licence}",
        notice=dataset.notice,
    )
    write_audit(audit, run.folder)
    return audit


def _subjects_of(run: Run, subject: TrainedModel, exports: list[Export]) -> tuple[list[Candidate], dict[str, str]]:
    """Return every runtime of the study, ONNX Runtime at every optimisation level on every export; and missing ones."""
    native = ModelFiles(model=subject.model)
    names = [name for name in run.study.runtimes if RUNTIMES[name].framework]
    found = [Candidate(name, "", native) for name in names if RUNTIMES[name].framework in FRAMEWORKS]
    others = [name for name in names if RUNTIMES[name].framework not in FRAMEWORKS]
    levels = dict.fromkeys(one.name for name in others for one in RUNTIMES.levels(RUNTIMES[name]))
    mine = exports_of(subject, exports)
    missing = {  # nobody could choose a variant that was refused
        f"the export by {one.exporter}": one.reason for one in mine if one.status != "ok" and one.precision == "fp32"
    }
    for exporter, model in files_of_model(run, subject.model, mine).items():
        found += [Candidate(name, exporter, model) for name in levels]
    able, refused = made_of(run, found, partial(calibration_of, run, subject), run.study.bench.device)
    missing |= {one.label: reason for one, reason in refused if not RUNTIMES[one.runtime].reduces}
    return list(able), missing


def _kept_audit(run: Run, subject: TrainedModel, exports: list[Export], most_images: int | None) -> ModelAudit:
    """Return the audit of one model, from an earlier run where nothing has changed."""
    candidates, missing = _subjects_of(run, subject, exports)
    if most_images is None:
        most_images = run.study.audit_images_at(subject.spec.architecture, subject.spec.size)
    mine = exports_of(subject, exports)
    identity = identity_of(
        run,
        {"weights": file_sha256(subject.weights / WEIGHTS_FILE)},
        subject.key,
        mine,
        {one.label: one.model.program_key for one in candidates},
        run.data(subject.spec.size)[1].content_hash,
    )
    return kept_or_made(
        run.store("audits"),
        determined_by(identity, most_images, candidates, _served(run, subject)),
        lambda: _audit_model(run, subject, mine, identity, candidates, missing, most_images),
    )


def _audit_model(
    run: Run,
    subject: TrainedModel,
    exports: list[Export],
    identity: Identity,
    candidates: list[Candidate],
    missing: dict[str, str],
    most_images: int,
) -> ModelAudit:
    """Audit one model: inputs and reference, every subject's outputs, and their comparison."""
    name = _name(subject)
    begun = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="assay-audit-") as text:
        work = Path(text)
        reduced = any(one.model.precision != "fp32" or RUNTIMES[one.runtime].reduces for one in candidates)
        prepared = prepare(run, subject, most_images, work, reduced=reduced)
        limit_seconds = CALLS_IN_A_COMMAND * run.study.bench.call_limit_seconds
        sample = SAMPLE if subject.spec.size <= LARGE else LARGE_SAMPLE
        device, served = run.study.bench.device, _served(run, subject)
        plan = AuditPlan(
            prepared.sets, prepared.special, sample, device, limit_seconds, prepared.split, served, host=run.host
        )
        run.seconds[f"inputs of {name}"] = time.monotonic() - begun
        outputs, failed, seconds = run_subjects(candidates, plan, work / "logits", run.narrator.bar)
        missing |= {label: str(error).replace(f"{run.folder}/", "") for label, error in failed.items()}
        run.seconds |= {f"{label} on {name}": value for label, value in seconds.items()}
        judged_as = task(run.study.task)
        judged = judge_all(AuditEvidence(plan, outputs, prepared.references, rule_of(judged_as.name)))
        return audit_of_model(
            name,
            identity,
            prepared.records,
            judged,
            explained_by_files(run, _followable(run, subject), exports, judged.comparisons),
            OfImages(
                propagation=_propagations(outputs, prepared, plan, work),
                classes=list(run.data(subject.spec.size)[1].classes) if judged_as.quality else [],
                flipped=judged_as.changed_images(judged.comparisons, plan.inputs, prepared.places),
                split=prepared.whole,
            ),
            task=run.study.task,
            reference=prepared.computed_by,
            reference_check=prepared.agreement,
            missing=missing,
        )


def _followable(run: Run, subject: TrainedModel) -> Followable:
    """Return the model with the images for checking its exports, and the time its reference took to compute."""
    images, references = run.images(subject.spec.size), run.store("references")
    request = ReferenceRequest(subject.weights, images)
    kept = reference_artifact(request, references, run.narrator.bar, host=run.host)
    return Followable(subject.model, images, pace=pace_in(kept.manifest.facts), operators=_operators(run, subject))


def _operators(run: Run, subject: TrainedModel) -> list[str]:
    """Return the operators of a model in every framework that exports it."""
    found: set[str] = set()
    for framework in {EXPORTERS[name].framework for name in run.study.export.exporters}:
        request = ReferenceRequest(subject.weights, run.images(subject.spec.size), framework, "float32")
        with suppress(AssayError):  # what a framework does not compute has no export
            kept = reference_artifact(request, run.store("references"), run.narrator.bar, host=run.host)
            found.update(operators_in(kept.manifest.facts))
    return sorted(found)


def _name(subject: TrainedModel) -> str:
    return f"{subject.spec.architecture}/{subject.spec.size}"


def _served(run: Run, subject: TrainedModel) -> frozenset[str]:
    """Return the runtimes that the study times this model with."""
    wanted = run.study.runtimes_at(subject.spec.architecture, subject.spec.size)
    return frozenset(name.partition("@")[0] for name in wanted)


def _propagations(outputs: list[Outputs], prepared: Prepared, plan: AuditPlan, work: Path) -> list[Propagation]:
    """Return how every subject treats NaN and infinity, and whether its runtime explains where it loses them."""

    def in_integers(candidate: Candidate) -> bool:
        return "int8" in {candidate.model.precision, RUNTIMES[candidate.runtime].precision}

    def of(one: Outputs, operators: dict[str, dict[str, str]]) -> Propagation:
        found = load_array(one.files[plan.whole(SPECIAL)])
        reference = load_array(prepared.references[SPECIAL])
        candidate = one.candidate
        names = prepared.special_names
        lost = INTEGERS if in_integers(candidate) else operators.get(candidate.runtime)
        return propagation_of(candidate.label, names, reference, found, lost)

    first = {one.candidate.label: of(one, {}) for one in outputs}
    losing = [one.candidate for one in outputs if first[one.candidate.label].swallowed]
    unexplained = [candidate.runtime for candidate in losing if not in_integers(candidate)]
    operators = operators_that_lose_nan(unexplained, work, plan.host)
    return [first[one.candidate.label] if first[one.candidate.label].passed else of(one, operators) for one in outputs]
