"""The whole check of a deployment folder: its files, and that its models load, run and keep the contract."""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np

from assay.audit import read_audit
from assay.deployment import (
    AUDIT_COPY,
    AUDITED,
    MEASURED_FILE,
    MODEL_FILE,
    MODELS,
    PROBABILITIES_FILE,
    TRUE_LABELS_FILE,
    Deployment,
    read_deployment,
)
from assay.errors import ArtifactError
from assay.jobs import run_job
from bench.deployment import measured
from bench.deployment.check import check_files, check_paths
from bench.deployment.config import WARM_UP, WARM_UP_FILE

LIMIT_SECONDS = 300


def check_deployment(folder: Path) -> Deployment:
    """Verify a deployment completely; see `assay.deployment` for what has to be there.

    Raises:
        ArtifactError: a path leaves the folder, or a file is missing, changed or not what the record says.
        ExportFailedError: a model does not keep the contract, load or run.
        NotInstalledError: tritonclient is missing.
    """
    if not folder.is_dir():
        raise ArtifactError(f"There is no folder {folder}", expected="one written by `assay deploy`")
    check_paths(folder)
    deployment = read_deployment(folder)
    check_files(folder, deployment)
    for version in deployment.versions:
        _check_audited(folder / AUDITED / str(version.number), deployment)
    _check_models(folder / MODELS / deployment.name, deployment)
    return deployment


def _check_audited(folder: Path, deployment: Deployment) -> None:
    """The audited answers fit the record, and the audit and measurements can be read."""
    read_audit(folder / AUDIT_COPY)
    measured.read(folder / MEASURED_FILE)
    images, classes = deployment.data.counts["test"], len(deployment.classes)
    for name, kind, shape in (
        (PROBABILITIES_FILE, np.float32, (images, classes)),
        (TRUE_LABELS_FILE, np.int64, (images,)),
    ):
        try:
            array = np.load(folder / name, mmap_mode="r", allow_pickle=False)
        except (OSError, ValueError, EOFError) as error:
            raise ArtifactError(f"Cannot read {folder / name}", expected="an array", found=str(error)) from error
        if array.dtype != kind or array.shape != shape:
            raise ArtifactError(
                f"{folder / name} does not fit the deployment",
                expected=f"{np.dtype(kind)} {shape}",
                found=f"{array.dtype} {array.shape}",
            )


def _check_models(repository: Path, deployment: Deployment) -> None:
    """Every version loads and answers the warm-up image, in a process of its own."""
    image = repository / WARM_UP / WARM_UP_FILE
    expected = int(np.prod(deployment.image.shape))
    found = image.stat().st_size if image.is_file() else 0
    if expected != found:
        raise ArtifactError(f"{image} is no image of this model", expected=f"{expected} bytes", found=f"{found} bytes")
    height, _, channels = deployment.image.shape
    with tempfile.TemporaryDirectory(prefix="assay-check-") as text:
        run_job(
            "export.contract_check_job",
            {
                "models": [str(repository / str(one.number) / MODEL_FILE) for one in deployment.versions],
                "size": height,
                "channels": channels,
                "classes": len(deployment.classes),
                "image": str(image),
                "most_images": deployment.most_images,
            },
            Path(text) / "check.log",
            limit_seconds=LIMIT_SECONDS,
        )
