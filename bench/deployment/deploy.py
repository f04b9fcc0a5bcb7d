"""`assay deploy`: from an audited cell to a folder that a stock Triton serves, and back to an older version.

A deployment is written whole or not at all (`assay.bench.deployment.folder`). A second deployment into the same folder
adds a version and serves it; the older versions stay, so that going back is one step.
"""

from __future__ import annotations

import hashlib
import shutil
import tempfile
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from assay.bench.deployment import measured
from assay.bench.deployment.audited_images import audited_images
from assay.bench.deployment.audited_records import audited_records
from assay.bench.deployment.checking.check import check_files, check_paths, check_rendered
from assay.bench.deployment.checking.contents import warm_up_paths
from assay.bench.deployment.checking.signature import Sign
from assay.bench.deployment.checking.versions import refuse_other_versions
from assay.bench.deployment.config import WARM_UP, files_by_input, most_records, preferred_batches, warm_up_files
from assay.bench.deployment.folder import write_whole
from assay.bench.deployment.programs import audited_program
from assay.bench.deployment.render import render
from assay.bench.deployment.subject import (
    AuditedModel,
    Deployable,
    FinishedStudy,
    ServedGraph,
    audited_comparisons,
    audited_hash,
    check_hash,
    curve_of,
    export_of,
    servable_cell,
)
from assay.bench.machine.host import LOCAL, check_gpu
from assay.bench.tasks.task import task_of
from assay.bench.words.progress import Narrator
from assay.errors import InputError
from assay.export.run import usable_model
from assay.export.served import contract_job
from assay.records.audit import AUDIT_FILE
from assay.records.deployment import (
    AUDIT_COPY,
    AUDITED,
    DEPLOYMENT_FILE,
    INPUTS_FILE,
    MEASURED_FILE,
    MODELS,
    OUTPUTS_FILE,
    RENDERING,
    TRUE_LABELS_FILE,
    Deployment,
    Version,
    read_deployment,
    served_by,
)
from assay.registry import RUNTIMES
from assay.runtimes.entry import ServedBy
from assay.store import Store, file_sha256

AUDITED_OF = {"study": audited_images, "model": audited_records}
"""The way to find what a model was audited on, by kind of results."""


def subject_of(study: FinishedStudy, name: str) -> Deployable:
    """Collect and verify everything about one cell.

    Raises:
        InputError: there is no such cell, no server has its runtime, the server cannot run its model, or it is served
            on a GPU and none is here.
        FailedError: the cell is not valid, was not audited, or did not pass.
        NotInstalledError: its runtime is missing here, or has another version than the measured one.
        ArtifactError: a file is missing, damaged, or not the one that was audited.
    """
    cell = servable_cell(study.results, name)
    if served_by(cell.runtime).device == "cuda":
        remedy = "Deploy on the machine that timed it, where the file runs over all audited data as it will be served"
        check_gpu(f"The deployment of {name}", LOCAL, remedy)
    audit, _ = audited_comparisons(study.audit, cell)
    refuse_other_versions(cell.runtime, study.results.environment, name)
    export = export_of(study.results, cell) if cell.exporter else None
    audited_sha256 = audited_hash(audit, export)
    source = None
    if export is not None:
        source = usable_model(export, Store(study.folder / "onnx"))
        check_hash(source, audited_sha256)
    if RUNTIMES[cell.runtime].maker:
        source = audited_program(study.folder, cell, audit)
    audited = AUDITED_OF[study.results.kind](study, cell, audit, export)
    curve = curve_of(study.results, cell)
    return Deployable(
        results=study.results,
        cell=cell,
        curve=curve,
        export=export,
        audited_sha256=audited_sha256,
        source=source,
        audited=audited,
        most_records=most_records(curve) if audited.batched else 0,
        trusted=study.trusted,
    )


def write_deployment(
    study: FinishedStudy,
    cell: str,
    out: Path,
    narrator: Narrator,
    *,
    instances: int = 1,
    sign: Sign | None = None,
) -> Deployment:
    """Deploy one cell: as version 1 of a new folder, or as the next version of an existing one.

    Args:
        cell: name of the cell.
        out: the deployment folder.
        instances: number of the model's instances that the server holds.
        sign: signs the checksums of a folder; without it an existing signature is removed.

    Raises:
        InputError: there is no such cell, it cannot be served, or the folder is not a deployment or cannot be written.
        FailedError: the cell is not valid, was not audited, did not pass, or the served graph's answers are wrong.
        ArtifactError: a file is missing, damaged, or not the one that was audited.
    """
    subject = subject_of(study, cell)
    before = _before(out, subject)
    with tempfile.TemporaryDirectory(prefix="assay-deploy-") as text:
        built = subject.build(Path(text), narrator)
        number = max((one.number for one in before.versions), default=0) + 1 if before else 1
        version = _version(study, subject, built, number)
        deployment = _deployment(subject, [*(before.versions if before else ()), version], instances)

        def fill(folder: Path) -> None:
            _add_files(folder, deployment, subject, built, study)
            render(folder, deployment)

        write_whole(out, fill, sign)
    return deployment


def roll_back(out: Path, to: int | None = None, sign: Sign | None = None) -> Deployment:
    """Serve an older version again: the one before the present one, or the one with a given number.

    Raises:
        ArtifactError: the folder is not a deployment, is damaged, or has no such version.
        InputError: there is nothing to go back to, or the folder cannot be written.
    """
    deployment = _read(out)
    older = [version.number for version in deployment.versions if version.number < deployment.serving]
    if to is None and not older:
        raise InputError(
            f"{out} has no earlier version",
            expected=f"a version before {deployment.serving}",
            found=", ".join(str(version.number) for version in deployment.versions),
        )
    version = deployment.version(max(older) if to is None else to)
    settings = measured.read(out / AUDITED / str(version.number) / MEASURED_FILE)
    changed = _in_present_form(out, deployment).model_copy(
        update={
            "serving": version.number,
            "threads": settings.threads,
            "most_records": most_records(settings.curve) if deployment.most_records else 0,
            "preferred_batches": preferred_batches(settings.curve),
        }
    )
    write_whole(out, lambda folder: render(folder, changed), sign)
    return changed


def render_again(out: Path, sign: Sign | None = None) -> Deployment:
    """Write the files that follow from a deployment's record in their present form, as after an update of Assay, and
    sign it.

    Raises:
        ArtifactError: the folder is not a deployment or is damaged.
        InputError: the folder cannot be written.
    """
    changed = _in_present_form(out, _read(out))
    write_whole(out, lambda folder: render(folder, changed), sign)
    return changed


def _read(out: Path) -> Deployment:
    """Read an existing deployment, checking that its files are as they were written.

    Raises:
        ArtifactError: the folder is not a deployment or is damaged.
    """
    check_paths(out)
    found = read_deployment(out)
    check_files(out, found)
    check_rendered(out, found)
    return found


def _in_present_form(out: Path, deployment: Deployment) -> Deployment:
    """Return the record as this Assay writes it, with what an older one did not record."""
    return deployment.model_copy(update={"rendering": RENDERING, "warm_up": _warm_up_sums(out, deployment)})


def _warm_up_sums(folder: Path, deployment: Deployment) -> dict[str, str]:
    paths = [folder / name for name in warm_up_paths(deployment).values()]
    return {path.name: file_sha256(path) for path in paths}


def _before(out: Path, subject: Deployable) -> Deployment | None:
    """Return the existing deployment, or None where the folder is new or empty.

    Raises:
        InputError: the folder holds something else, or the deployment of another model.
        ArtifactError: the deployment is damaged.
    """
    if not out.exists() or (out.is_dir() and not any(out.iterdir())):
        return None
    if not (out / DEPLOYMENT_FILE).is_file():
        raise InputError(
            f"{out} is not empty and not a deployment", expected="a new folder, or one written by `assay deploy`"
        )
    before = _read(out)
    expected = _contract(subject.audited, batched=subject.audited.batched)
    found = _contract(before, batched=bool(before.most_records))
    if expected != found:
        raise InputError(
            f"{out} has a deployment of another model",
            expected=expected,
            found=found,
            remedy="Deploy into another folder",
        )
    return before


def _contract(one: AuditedModel | Deployment, *, batched: bool) -> str:
    """Describe what all versions of a deployment have in common."""
    inputs, outputs = (
        ", ".join(f"{tensor.name} {tensor.datatype} {tensor.shape}" for tensor in tensors)
        for tensors in (one.inputs, one.outputs)
    )
    batch = "any number of" if batched else "one of"
    classes = f", classes {', '.join(one.classes)}" if one.classes else ""
    return f"{one.name}, {batch} {inputs} -> {outputs}{classes}"


def _version(study: FinishedStudy, subject: Deployable, built: ServedGraph, number: int) -> Version:
    served = served_by(subject.runtime)
    return Version(
        number=number,
        cell=subject.cell.name,
        precision=subject.precision,
        runtime=subject.runtime,
        model_sha256=file_sha256(built.folder / served.file),
        files=_files_beside(built.folder, served),
        audited_sha256=subject.audited_sha256,
        weights=subject.cell.weights,
        quality=built.quality,
        measure=task_of(study.results).quality,
        tolerances=built.tolerances,
        created=datetime.now(UTC).isoformat(timespec="seconds"),
    )


def _files_beside(folder: Path, served: ServedBy) -> dict[str, str]:
    """Return the hashes of the other files of a model that is a folder or has several files, by path."""
    (top, *rest) = Path(served.file).parts
    paths = sorted((folder / top).rglob("*")) if rest else [folder / name for name in served.beside]
    found = {path.relative_to(folder).as_posix(): file_sha256(path) for path in paths if path.is_file()}
    return {name: sha256 for name, sha256 in found.items() if name != served.file}


def _deployment(subject: Deployable, versions: Sequence[Version], instances: int) -> Deployment:
    audited = subject.audited
    return Deployment(
        name=audited.name,
        serving=versions[-1].number,
        versions=list(versions),
        unit=audited.unit,
        inputs=audited.inputs,
        outputs=audited.outputs,
        classes=audited.classes,
        threads=subject.cell.threads,
        instances=instances,
        most_records=subject.most_records,
        preferred_batches=preferred_batches(subject.curve),
        data=audited.data,
        rendering=RENDERING,
        warm_up={
            file: hashlib.sha256(audited.warm_up[name].tobytes()).hexdigest()
            for name, file in files_by_input(audited.unit, audited.inputs).items()
        },
    )


def _add_files(
    folder: Path, deployment: Deployment, subject: Deployable, built: ServedGraph, study: FinishedStudy
) -> None:
    """Add the files of a new version: its model, its answers, its audit and measurement, and a record to warm up
    with.
    """
    number = str(deployment.serving)
    repository = folder / MODELS / deployment.name
    audited = folder / AUDITED / number
    for place in (repository / number, repository / WARM_UP, audited):
        place.mkdir(parents=True, exist_ok=True)
    for file in (served_by(subject.runtime).file, *deployment.version(deployment.serving).files):
        (repository / number / file).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(built.folder / file, repository / number / file)
    shutil.copyfile(built.folder / contract_job.OUTPUTS_FILE, audited / OUTPUTS_FILE)
    shutil.copyfile(study.folder / AUDIT_FILE, audited / AUDIT_COPY)
    if not isinstance(subject.audited.records, Path):
        np.save(audited / INPUTS_FILE, subject.audited.records)
    if subject.audited.labels is not None:
        np.save(audited / TRUE_LABELS_FILE, subject.audited.labels)
    measured.write(audited / MEASURED_FILE, subject)
    for name, file in warm_up_files(deployment).items():
        (repository / WARM_UP / file).write_bytes(subject.audited.warm_up[name].tobytes())
