"""The whole check of a deployment folder: its files, and that its models load, run and keep the contract."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import cast

from assay.audit import read_audit
from assay.deployment import (
    AUDIT_COPY,
    AUDITED,
    MEASURED_FILE,
    MODEL_FILE,
    MODELS,
    Deployment,
    read_deployment,
)
from assay.errors import ArtifactError
from assay.jobs import Message, run_job
from assay.served import record_type
from bench.deployment import measured
from bench.deployment.answered import read_answered
from bench.deployment.check import check_files, check_paths
from bench.deployment.config import WARM_UP, warm_up_files
from export.contract_check_job import CheckRequest

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
        audited = folder / AUDITED / str(version.number)
        read_audit(audited / AUDIT_COPY)
        measured.read(audited / MEASURED_FILE)
        read_answered(audited, deployment)
    _check_models(folder / MODELS / deployment.name, deployment)
    return deployment


def _check_models(repository: Path, deployment: Deployment) -> None:
    """Every version loads and answers the warm-up, in a process of its own."""
    files = {name: repository / WARM_UP / file for name, file in warm_up_files(deployment).items()}
    kind = record_type(deployment.inputs)
    for name, file in files.items():
        expected, found = kind[name].itemsize, file.stat().st_size if file.is_file() else 0
        if expected != found:
            raise ArtifactError(
                f"{file} is no {deployment.unit} of this model",
                expected=f"{expected} bytes",
                found=f"{found} bytes",
            )
    request = CheckRequest(
        models=[repository / str(one.number) / MODEL_FILE for one in deployment.versions],
        inputs=deployment.inputs,
        outputs=deployment.outputs,
        record=files,
        most_records=deployment.most_records,
    )
    with tempfile.TemporaryDirectory(prefix="assay-check-") as text:
        run_job(
            "export.contract_check_job",
            cast("Message", request.model_dump(mode="json")),
            Path(text) / "check.log",
            limit_seconds=LIMIT_SECONDS,
        )
