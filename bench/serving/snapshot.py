"""The server's own copy of a deployment folder's model repository, every file checked by its checksum.

The server never reads the deployment folder itself. So nothing unchecked is ever served, no half-written version is
picked up, and another version is only served once this copy is complete.
"""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Mapping
from pathlib import Path

from pydantic import JsonValue

from assay.bench.deployment import measured
from assay.bench.deployment.checking.acting import refuse_what_acts
from assay.bench.deployment.checking.check import check_files, check_paths
from assay.bench.deployment.checking.contents import OPENER_FILE
from assay.bench.deployment.checking.signature import check_signature
from assay.bench.deployment.checking.versions import refuse_other_versions
from assay.bench.deployment.config import WARM_UP
from assay.bench.deployment.folder import files_of
from assay.bench.deployment.render import server_files
from assay.errors import ArtifactError, NotInstalledError
from assay.infer.server.opened.in_child import THERE
from assay.infer.server.triton import ELSEWHERE
from assay.records.deployment import (
    AUDITED,
    CHECKSUMS_FILE,
    DEPLOYMENT_FILE,
    MEASURED_FILE,
    MODELS,
    PYTHON_BACKEND,
    Deployment,
    read_deployment,
    served_by,
)
from assay.store import file_sha256, reporting_disk_errors


def take_snapshot(
    folder: Path, repository: Path, signed_by: Path | None = None, *, trusted: bool = False
) -> Deployment:
    """Copy the version that a deployment serves now into a model repository, keeping its other versions.

    Args:
        folder: folder of the deployment.
        repository: the folder to fill; the model's configuration and labels are replaced, older versions stay.
        signed_by: as in `checked_deployment`.
        trusted: whether the model's file may act.

    Returns:
        The record of the deployment that was copied.

    Raises:
        ArtifactError: the folder is not a deployment, a file is not the one that was deployed, or lies elsewhere.
        InputError: the copy cannot be written.
        NotInstalledError: it is served on a GPU, for which this server has no libraries, or its runtime is missing
            here or has another version than the measured one.
    """
    found = checked_deployment(folder, signed_by)
    if found.device == "cuda":
        raise NotInstalledError(
            f"{folder} is served on a GPU, and the Triton server of `assay serve` has no GPU libraries",
            remedy="Docker runs the stock image, in the deployment's folder: docker compose -f docker/compose.yaml up "
            "--build; `assay verify-server` then judges its answers",
        )
    known = measured_of(folder, found)
    refuse_other_versions(found.version(found.serving).runtime, known, str(folder))
    model = folder / MODELS / found.name
    others = {str(version.number) for version in found.versions} - {str(found.serving)}
    written = server_files(found)
    with reporting_disk_errors(repository):
        for path in files_of(model):
            name = path.relative_to(model)
            if name.parts[0] not in others and path.relative_to(folder).as_posix() not in written:
                _copy(path, repository / found.name / name)
        for place, content in written.items():
            _put(repository / found.name / Path(place).relative_to(f"{MODELS}/{found.name}"), content)
        _stand_in(repository / found.name / str(found.serving), found)
    served = found.version(found.serving)
    copies = {f"{served.number}/{served_by(served.runtime).file}": served.model_sha256}
    copies |= {f"{served.number}/{name}": expected for name, expected in served.files.items()}
    copies |= {f"{WARM_UP}/{name}": expected for name, expected in found.warm_up.items()}
    if any(file_sha256(repository / found.name / name) != expected for name, expected in copies.items()):
        raise ArtifactError(f"{folder} was changed while it was read", remedy="Try again")
    file = repository / found.name / str(served.number) / served_by(served.runtime).file
    refuse_what_acts(file, served.runtime, trusted=trusted)
    return found


def measured_of(folder: Path, deployment: Deployment) -> Mapping[str, JsonValue]:
    """Return the environment in which the serving version was measured; nothing where it is not needed or not there."""
    path = folder / AUDITED / str(deployment.serving) / MEASURED_FILE
    needed = served_by(deployment.version(deployment.serving).runtime).packages
    return measured.read(path).environment if needed and path.is_file() else {}


def _stand_in(version: Path, deployment: Deployment) -> None:
    """Let the opener of a model for Triton's Python backend run in this Python, with the packages that were
    measured.
    """
    if served_by(deployment.version(deployment.serving).runtime).backend == PYTHON_BACKEND:
        opener = version / OPENER_FILE
        _put(version / THERE, opener.read_bytes())
        _put(opener, ELSEWHERE.read_bytes())


def checked_deployment(folder: Path, signed_by: Path | None = None) -> Deployment:
    """Return the record of a deployment whose files are all as they were deployed.

    Args:
        signed_by: the public key of the signature that it must have.

    Raises:
        ArtifactError: a path leaves the folder, something is missing, changed, or not of this deployment, or it is not
            signed so.
        InputError: this is not a public key.
    """
    if not folder.is_dir():
        raise ArtifactError(f"There is no folder {folder}", expected="one written by `assay deploy`")
    check_paths(folder)
    found = read_deployment(folder)
    if signed_by:
        seen = fingerprint(folder)
        check_signature(folder, signed_by)
        found = read_deployment(folder)
    check_files(folder, found)
    if signed_by and fingerprint(folder) != seen:
        raise ArtifactError(f"{folder} was changed while it was read", remedy="Try again")
    return found


def _put(target: Path, content: bytes) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    partial = target.with_name(f".{target.name}.partial")
    partial.write_bytes(content)
    partial.replace(target)


def _copy(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    partial = target.with_name(f".{target.name}.partial")
    shutil.copyfile(source, partial)
    partial.replace(target)


def fingerprint(folder: Path) -> str:
    """Return a hash of a deployment's record and checksums, which shows a change; "" while they are being written."""
    try:
        content = (folder / DEPLOYMENT_FILE).read_bytes() + (folder / CHECKSUMS_FILE).read_bytes()
    except OSError:
        return ""
    return hashlib.sha256(content).hexdigest()
