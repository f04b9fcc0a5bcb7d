"""A check that the parts of a deployment which cannot be rendered again belong together: model, audit, measurement,
answers and record. This does not show who made them; it shows that the parts are of one deployment, and that its audit
allowed it.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from assay.bench.deployment import measured
from assay.bench.deployment.answered import Answered, read_answered
from assay.bench.deployment.checking.contents import warm_up_paths
from assay.bench.deployment.config import most_records, preferred_batches, warm_up_files
from assay.bench.deployment.measured import MeasuredVersion
from assay.bench.deployment.subject import audited_comparisons, audited_hash
from assay.bench.tasks.task import task_of
from assay.errors import ArtifactError, FailedError
from assay.numerics.following import deviation_of, is_reduced
from assay.numerics.values import is_whole, settled
from assay.records.audit import PROGRAM, ModelAudit, read_audit
from assay.records.deployment import (
    AUDIT_COPY,
    AUDITED,
    INPUTS_FILE,
    MEASURED_FILE,
    OUTPUTS_FILE,
    Deployment,
    Version,
    served_runtime,
)
from assay.texts import printable
from assay.train.metrics import share


def check_version(folder: Path, deployment: Deployment, version: Version) -> None:
    """Compare one version's audit, measurement and answers with each other and with the record.

    Raises:
        ArtifactError: a file is missing or damaged, or is about something else.
    """
    audited = folder / AUDITED / str(version.number)
    known = measured.read(audited / MEASURED_FILE)
    answered = read_answered(audited, deployment)
    _check_audit(audited / AUDIT_COPY, deployment, version, known, answered)
    _check_answers(audited / OUTPUTS_FILE, deployment, version, answered)
    if version.number == deployment.serving:
        _check_settings(audited / MEASURED_FILE, deployment, known)
        _check_first_record(folder, deployment, answered)


def _check_audit(
    path: Path, deployment: Deployment, version: Version, known: MeasuredVersion, answered: Answered
) -> None:
    """Check that the audit names the file that this version came from, and lets it pass."""
    cell = next((one for one in known.curve if one.name == version.cell), None)
    if cell is None:
        names = ", ".join(one.name for one in known.curve)
        raise _other(path.with_name(MEASURED_FILE), "a measurement of the deployed cell", version.cell, names)
    try:
        model, comparisons = audited_comparisons(read_audit(path), cell)
    except FailedError as error:
        raise ArtifactError(f"{path} does not allow {version.cell} to be deployed", found=str(error)) from error
    if version.quality and version.measure != task_of(model).quality:
        raise _other(path, "the audit of the recorded measure", version.measure, task_of(model).quality)
    if cell.judgement and cell.judgement not in [one.judgement for one in comparisons]:
        raise _other(path, "the audit of the measure", str(cell.judgement.records), "another judgement")
    made = bool(served_runtime(version.runtime).maker)
    if made and (not cell.program or model.keys.get(f"{PROGRAM}{cell.label}") != cell.program):
        raise _other(path, "the audit of the file that was timed", cell.program, "another, or none")
    named = audited_hash(model, known.export)
    expected = {version.audited_sha256} if version.audited_sha256 else set()
    if deployment.unit == "record" and known.export and not made:  # its file is served as it was audited
        expected.add(version.model_sha256)
    if expected - {named}:
        raise _other(path, "the audit of the deployed file", ", ".join(sorted(expected)), named)
    reduced = deployment.unit == "record" and is_reduced(cell.asked_precision, "fp32")
    most_of = _what_varies(answered, version) if reduced else _most_tolerated(deployment, version, model)
    for name, most in most_of.items():
        if not version.tolerances[name].value <= most:
            found = f"{version.tolerances[name].value:.3g}"
            raise _other(path, f"the derivation of the tolerance of '{printable(name)}'", f"at most {most:.3g}", found)


def _most_tolerated(deployment: Deployment, version: Version, model: ModelAudit) -> dict[str, float]:
    """Return the most that each output's tolerance can be: twice what the audit tolerates, since the audited answers
    are that close themselves; for our architectures the task defines it.
    """
    audited = {one.inputs: one.value for one in model.tolerances if not one.for_subject and not one.problem}
    if deployment.unit == "record":
        return {name: 2 * audited.get(name, 0.0) for name in version.tolerances}
    most = task_of(model).most_served_tolerance(audited.get("test", 0.0), len(deployment.classes), version.precision)
    return dict.fromkeys(version.tolerances, most)


def _what_varies(answered: Answered, version: Version) -> dict[str, float]:
    """Return, for each output of a file in reduced precision, the limit on its tolerance: the variation of its answers.

    Such a tolerance follows from how far correct evaluations of the file are apart, and not from the audit's.
    """
    found = {}
    for name in version.tolerances:
        rows = answered.outputs[name].reshape(len(answered.outputs), -1)
        exact = rows.astype(np.float64)
        found[name] = 0.0 if is_whole(str(rows.dtype)) else deviation_of(settled(exact, exact).reference)
    return found


def _check_answers(path: Path, deployment: Deployment, version: Version, answered: Answered) -> None:
    """Check that the answers are as right as the record says."""
    quality = None
    index = next((one.name for one in deployment.outputs if one.index_of), None)
    if answered.labels is not None and index is not None:
        right = int((answered.outputs[index] == answered.labels).sum())
        quality = share(right, len(answered.labels))
    if quality != version.quality:
        expected, found = (f"{one.value:.6g}" if one else "none" for one in (version.quality, quality))
        raise _other(path, f"the answers of the recorded {printable(version.measure)}", expected, found)


def _check_settings(path: Path, deployment: Deployment, known: MeasuredVersion) -> None:
    """Check that threads and batches are those that were measured."""
    expected = (
        known.threads,
        preferred_batches(known.curve),
        most_records(known.curve) * bool(deployment.most_records),
    )
    found = (deployment.threads, deployment.preferred_batches, deployment.most_records)
    if expected != found:
        raise _other(path, "the measurement that sets threads and batch sizes", str(found), str(expected))


def _check_first_record(folder: Path, deployment: Deployment, answered: Answered) -> None:
    """Check that the server warms up with the first audited record, if the deployment has those."""
    if answered.inputs is None:
        return
    for name in warm_up_files(deployment):
        path = folder / warm_up_paths(deployment)[name]
        if path.read_bytes() != np.ascontiguousarray(answered.inputs[name][0]).tobytes():
            raise _other(path, "the first audited record", INPUTS_FILE, "another")


def _other(path: Path, what: str, expected: str, found: str) -> ArtifactError:
    return ArtifactError(
        f"{path} is not {what}", expected=expected, found=found, remedy="Do not serve it; deploy again"
    )
