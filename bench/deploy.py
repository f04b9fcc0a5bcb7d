"""`assay deploy`: from an audited cell of a study to a folder that a stock Triton serves, and back to an older version.

A deployment is written whole or not at all (`bench.deployment.folder`). A second one into the same folder adds a
version and serves it; the older ones stay, so that going back is one step.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from assay.audit import AUDIT_FILE
from assay.deployment import (
    AUDIT_COPY,
    AUDITED,
    DEPLOYMENT_FILE,
    MEASURED_FILE,
    MODEL_FILE,
    MODELS,
    PROBABILITIES_FILE,
    TRUE_LABELS_FILE,
    Deployment,
    Tensor,
    Version,
    read_deployment,
)
from assay.errors import InputError
from assay.results import DataSummary
from assay.store import file_sha256
from bench.deployment import measured
from bench.deployment.answers import Verdict, judge_answers, reference_images
from bench.deployment.check import check_files
from bench.deployment.config import WARM_UP, WARM_UP_FILE, most_images, preferred_batches
from bench.deployment.folder import write_whole
from bench.deployment.render import render
from bench.deployment.subject import DeployableCell, Study, deployable_cell
from bench.progress import Narrator
from export import contract_job
from export.contract import IMAGES, LABEL, PROBABILITIES
from export.contract_job import ContractRequest, run_contract
from export.reference import LOGITS, ReferenceRequest, reference_artifact
from train.data import Dataset
from train.metrics import share


@dataclass(frozen=True)
class _Built:
    """A deployable graph with its answers and the verdict on them; `folder` has the files of `export.contract_job`."""

    folder: Path
    verdict: Verdict


def write_deployment(study: Study, cell: str, out: Path, narrator: Narrator, *, instances: int = 1) -> Deployment:
    """Deploy one cell of a study: as version 1 of a new folder, or as the next version of one that is there.

    Args:
        cell: its name.
        out: the deployment folder.
        instances: of the model, that the server holds.

    Raises:
        InputError: no such cell, one that cannot be served, or a folder that is no deployment or cannot be written.
        FailedError: it is not valid, not audited, did not pass, or the deployable graph's answers are wrong.
        ArtifactError: a file is missing, damaged, or not the one that was audited.
    """
    subject = deployable_cell(study, cell)
    before = _before(out, subject)
    with tempfile.TemporaryDirectory(prefix="assay-deploy-") as text:
        narrator.tell(f"running the deployable graph over {len(subject.dataset.test.labels)} test images")
        built = _build(study, subject, Path(text), narrator)
        number = max((one.number for one in before.versions), default=0) + 1 if before else 1
        version = _version(subject, built, number)
        deployment = _deployment(subject, [*(before.versions if before else ()), version], instances)

        def fill(folder: Path) -> None:
            _add_files(folder, deployment, subject, built, study)
            render(folder, deployment)

        write_whole(out, fill)
    return deployment


def roll_back(out: Path, to: int | None = None) -> Deployment:
    """Serve an older version again: the one before the present one, or the one of a number.

    Raises:
        ArtifactError: the folder is no deployment, is damaged, or has no such version.
        InputError: there is nothing to go back to, or the folder cannot be written.
    """
    deployment = read_deployment(out)
    check_files(out, deployment)
    older = [version.number for version in deployment.versions if version.number < deployment.serving]
    if to is None and not older:
        raise InputError(
            f"{out} has nothing to go back to",
            expected=f"a version before {deployment.serving}",
            found=", ".join(str(version.number) for version in deployment.versions),
        )
    version = deployment.version(max(older) if to is None else to)
    settings = measured.read(out / AUDITED / str(version.number) / MEASURED_FILE)
    changed = deployment.model_copy(
        update={
            "serving": version.number,
            "threads": settings.threads,
            "most_images": most_images(settings.curve),
            "preferred_batches": preferred_batches(settings.curve),
        }
    )
    write_whole(out, lambda folder: render(folder, changed))
    return changed


def _before(out: Path, subject: DeployableCell) -> Deployment | None:
    """The deployment that is there, None where the folder is new or empty.

    Raises:
        InputError: the folder holds something else, or the deployment of another model.
        ArtifactError: it is damaged.
    """
    if not out.exists() or (out.is_dir() and not any(out.iterdir())):
        return None
    if not (out / DEPLOYMENT_FILE).is_file():
        raise InputError(
            f"{out} is not empty and not a deployment", expected="a new folder, or one written by `assay deploy`"
        )
    before = read_deployment(out)
    check_files(out, before)
    mine = (_name(subject), list(subject.spec.image_shape), list(subject.dataset.classes))
    if (before.name, before.image.shape, before.classes) != mine:
        raise InputError(
            f"{out} has the deployment of another model",
            expected=f"{mine[0]}, images {mine[1]}, {len(mine[2])} classes",
            found=f"{before.name}, images {before.image.shape}, {len(before.classes)} classes",
            remedy="Deploy into another folder",
        )
    return before


def _build(study: Study, subject: DeployableCell, work: Path, narrator: Narrator) -> _Built:
    """The deployable graph, its answers over the test split, and the verdict on them."""
    images = subject.dataset_folder / "test_images.npy"
    outcome = run_contract(
        ContractRequest(
            source=subject.model,
            spec=subject.spec,
            layout=subject.export.made_by["layout"],
            images=images,
            threads=subject.cell.threads,
            most_images=most_images(subject.curve),
            folder=work,
        ),
        work / "contract.log",
    )
    normalised = work / "normalised.npy"
    reference_images(subject.dataset.test.images, normalised)
    request = ReferenceRequest(subject.weights, normalised, "torch", "float64")
    reference = reference_artifact(request, study.folder / "references", narrator.bar).file(LOGITS)
    normalised.unlink()
    verdict = judge_answers(
        np.load(work / contract_job.PROBABILITIES_FILE),
        np.load(reference),
        np.asarray(subject.dataset.test.labels, np.int64),
        subject.audit,
        _precision(subject),
        outcome.spread,
    )
    return _Built(work, verdict)


def _precision(subject: DeployableCell) -> str:
    return subject.cell.precision or "fp32"


def _version(subject: DeployableCell, built: _Built, number: int) -> Version:
    label = np.load(built.folder / contract_job.LABEL_FILE)
    hits = int((label == subject.dataset.test.labels).sum())
    return Version(
        number=number,
        cell=subject.cell.name,
        precision=_precision(subject),
        model_sha256=file_sha256(built.folder / contract_job.MODEL_FILE),
        weights=subject.cell.weights,
        accuracy=share(hits, len(label)),
        tolerance=built.verdict.tolerance,
        derivation=built.verdict.derivation,
        created=datetime.now(UTC).isoformat(timespec="seconds"),
    )


def _deployment(subject: DeployableCell, versions: Sequence[Version], instances: int) -> Deployment:
    spec = subject.spec
    return Deployment(
        name=_name(subject),
        serving=versions[-1].number,
        versions=list(versions),
        image=Tensor(name=IMAGES, datatype="UINT8", shape=list(spec.image_shape)),
        outputs=[
            Tensor(name=PROBABILITIES, datatype="FP32", shape=[spec.classes]),
            Tensor(name=LABEL, datatype="INT64", shape=[1]),
        ],
        classes=list(subject.dataset.classes),
        threads=subject.cell.threads,
        instances=instances,
        most_images=most_images(subject.curve),
        preferred_batches=preferred_batches(subject.curve),
        data=_data_summary(subject.dataset),
    )


def _name(subject: DeployableCell) -> str:
    return f"{subject.spec.architecture}-{subject.spec.size}"


def _data_summary(dataset: Dataset) -> DataSummary:
    counts = {"train": dataset.train, "validation": dataset.validation, "test": dataset.test}
    return DataSummary(
        name=dataset.name,
        content_hash=dataset.content_hash,
        counts={name: len(split.labels) for name, split in counts.items()},
        classes=list(dataset.classes),
        attribution=dataset.attribution,
        licence=dataset.licence,
        notice=dataset.notice,
        synthetic=dataset.synthetic,
    )


def _add_files(folder: Path, deployment: Deployment, subject: DeployableCell, built: _Built, study: Study) -> None:
    """What a new version brings: its model, what it answered, its audit and measurement, and an image to warm up."""
    number = str(deployment.serving)
    repository = folder / MODELS / deployment.name
    audited = folder / AUDITED / number
    for place in (repository / number, repository / WARM_UP, audited):
        place.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(built.folder / contract_job.MODEL_FILE, repository / number / MODEL_FILE)
    shutil.copyfile(built.folder / contract_job.PROBABILITIES_FILE, audited / PROBABILITIES_FILE)
    shutil.copyfile(study.folder / AUDIT_FILE, audited / AUDIT_COPY)
    np.save(audited / TRUE_LABELS_FILE, np.asarray(subject.dataset.test.labels, np.int64))
    measured.write(audited / MEASURED_FILE, subject, study.results)
    image = np.ascontiguousarray(subject.dataset.validation.images[0])
    (repository / WARM_UP / WARM_UP_FILE).write_bytes(image.tobytes())
