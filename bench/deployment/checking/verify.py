"""The whole check of a deployment folder: its files, and whether its models load, run and keep the contract."""

from __future__ import annotations

import tempfile
from pathlib import Path

from assay.bench.deployment.answered import read_answered
from assay.bench.deployment.checking.check import check_files, check_paths, check_rendered
from assay.bench.deployment.checking.contents import model_file, warm_up_paths
from assay.bench.deployment.checking.signature import check_signature
from assay.bench.deployment.checking.ties import check_version
from assay.bench.machine.host import LOCAL
from assay.boxed.boxing import Box
from assay.errors import ArtifactError
from assay.export.served.contract_check_job import CHECK_SERVED, CheckRequest, ModelToCheck
from assay.jobs.host import Starter
from assay.jobs.running import run_job
from assay.records.deployment import AUDITED, Deployment, read_deployment
from assay.steps import MOST_SECONDS, Limit, load_seconds, size_of


def check_deployment(
    folder: Path, signed_by: Path | None = None, *, trusted: bool = False, host: Starter = LOCAL
) -> Deployment:
    """Verify a deployment completely; see `assay.records.deployment` for its required content.

    Args:
        signed_by: the public key of the signature that it must have.
        trusted: whether its models run outside a box; see `assay.boxed.boxing.Box`.
        host: the host that runs them.

    Raises:
        ArtifactError: a path leaves the folder, a file is missing, changed or not what the record says, or it is not
            signed with that key.
        InputError: `signed_by` is not a public key.
        ExportFailedError: a model does not keep the contract, load or run.
        NotInstalledError: tritonclient is missing.
    """
    if not folder.is_dir():
        raise ArtifactError(f"There is no folder {folder}", expected="one written by `assay deploy`")
    check_paths(folder)
    deployment = read_deployment(folder)
    check_files(folder, deployment)
    if signed_by:
        check_signature(folder, signed_by)
    for version in deployment.versions:
        read_answered(folder / AUDITED / str(version.number), deployment)
    _check_models(folder, deployment, host, trusted=trusted)
    for version in deployment.versions:
        check_version(folder, deployment, version)
    check_rendered(folder, deployment)
    return deployment


def _check_models(folder: Path, deployment: Deployment, host: Starter, *, trusted: bool) -> None:
    """Check, in a process of its own, that every version loads, answers the warm-up, and gives the audited answers.

    The last applies where the deployment has audited inputs.
    """
    models = [
        ModelToCheck(
            path=folder / model_file(deployment, version.number),
            runtime=version.runtime,
            audited=folder / AUDITED / str(version.number) if deployment.unit == "record" else None,
            allowed=deployment.allowed(version),
        )
        for version in deployment.versions
    ]
    request = CheckRequest(
        models=models,
        inputs=deployment.inputs,
        outputs=deployment.outputs,
        record={name: folder / file for name, file in warm_up_paths(deployment).items()},
        most_records=deployment.most_records,
    )
    loading = sum(load_seconds(size_of(one.path)) for one in models)
    with tempfile.TemporaryDirectory(prefix="assay-check-") as text:
        run_job(
            CHECK_SERVED,
            request,
            Path(text) / "check.log",
            limit_seconds=Limit(MOST_SECONDS + loading, "The check of the deployment's models"),
            box=Box(trusted=trusted),
            host=host,
        )
