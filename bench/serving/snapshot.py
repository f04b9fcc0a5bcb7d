"""What the server reads: a copy of its own of a deployment folder's model repository, every file by its checksum.

The server never reads the deployment folder itself. So nothing unchecked is ever served, a version that is being
written is not picked up half, and going over to another version happens when this copy is complete.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from assay.deployment import (
    CHECKSUMS_FILE,
    CONFIG_FILE,
    DEPLOYMENT_FILE,
    MODEL_FILE,
    MODELS,
    Deployment,
    read_deployment,
)
from assay.errors import ArtifactError
from assay.store import file_sha256, reporting_disk_errors

LINE = re.compile(r"([0-9a-f]{64})  (.+)")


def take_snapshot(folder: Path, repository: Path) -> Deployment:
    """Copy what a deployment serves now into a model repository, beside what is there.

    Args:
        folder: of the deployment.
        repository: the folder to fill; the model's configuration and labels are replaced, older versions stay.

    Returns:
        The record of the deployment that was copied.

    Raises:
        ArtifactError: the folder is no deployment, a file is not the one that was deployed, or lies elsewhere.
        InputError: the copy cannot be written.
    """
    sums = verified(folder)
    found = read_deployment(folder)
    model = PurePosixPath(MODELS) / found.name
    versions = {str(version.number) for version in found.versions} - {str(found.serving)}
    wanted = [name for name in sums if model in name.parents and name.relative_to(model).parts[0] not in versions]
    served = model / str(found.serving)
    if model / CONFIG_FILE not in wanted or not any(served in name.parents for name in wanted):
        raise ArtifactError(
            f"{folder / CHECKSUMS_FILE} does not cover what is served",
            expected=f"{model / CONFIG_FILE} and the files of {served}",
            found=", ".join(map(str, wanted)) or "none of them",
        )
    expected, path = found.version(found.serving).model_sha256, served / MODEL_FILE
    if sums.get(path) != expected:
        raise _changed(folder / path, expected, sums.get(path, "no such file"))
    with reporting_disk_errors(repository):
        for name in wanted:
            _copy(folder, name, sums[name], repository / name.relative_to(MODELS))
    return found


def verified(folder: Path) -> dict[PurePosixPath, str]:
    """The checksums of a deployment folder, after every file was held against its own.

    Raises:
        ArtifactError: a file is missing, changed, lies outside the folder, or a file of the model has no checksum.
    """
    sums = checksums(folder)
    for name, expected in sums.items():
        _refuse_elsewhere(folder, name)
        path = folder / name
        found = file_sha256(path) if path.is_file() else "no such file"
        if found != expected:
            raise _changed(path, expected, found)
    for name in _models_files(folder):
        if name not in sums:
            raise ArtifactError(
                f"{folder / name} is not part of what was deployed",
                expected=f"a line for it in {CHECKSUMS_FILE}",
                remedy="Remove it, or deploy again",
            )
    return sums


def checksums(folder: Path) -> dict[PurePosixPath, str]:
    """The lines of checksums.sha256.

    Raises:
        ArtifactError: there are none, or one cannot be read or leads out of the folder.
    """
    path = folder / CHECKSUMS_FILE
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise ArtifactError(
            f"{folder} is no deployment folder",
            expected=f"a readable {CHECKSUMS_FILE}, as `assay deploy` writes it",
            found=getattr(error, "strerror", None) or str(error),
        ) from error
    found = {}
    for number, line in enumerate(lines, 1):
        match = LINE.fullmatch(line)
        name = PurePosixPath(match[2]) if match else PurePosixPath("..")
        if match is None or name.is_absolute() or ".." in name.parts:
            raise ArtifactError(
                f"{path}, line {number}, is no checksum of a file of this folder",
                expected="64 hexadecimal digits, two spaces and a path inside the folder",
                found=repr(line[:200]),
            )
        found[name] = match[1]
    if PurePosixPath(DEPLOYMENT_FILE) not in found:
        raise ArtifactError(f"{path} does not cover {DEPLOYMENT_FILE}", remedy="Deploy again")
    return found


def _models_files(folder: Path) -> Iterator[PurePosixPath]:
    """Everything in the model repository, links to elsewhere too."""
    for place, _, names in os.walk(folder / MODELS, followlinks=False):
        for name in names:
            yield PurePosixPath((Path(place) / name).relative_to(folder).as_posix())


def _refuse_elsewhere(folder: Path, name: PurePosixPath) -> None:
    """
    Raises:
        ArtifactError: a link makes this file one outside the folder.
    """
    real = (folder / name).resolve()
    if not real.is_relative_to(folder.resolve()):
        raise ArtifactError(
            f"{folder / name} leaves the deployment folder", expected=f"a file in {folder}", found=str(real)
        )


def _copy(folder: Path, name: PurePosixPath, expected: str, target: Path) -> None:
    """Copy one file and hold the copy, which is what will be read, against the checksum."""
    target.parent.mkdir(parents=True, exist_ok=True)
    partial = target.with_name(f".{target.name}.partial")
    shutil.copyfile(folder / name, partial)
    found = file_sha256(partial)
    if found != expected:
        partial.unlink()
        raise _changed(folder / name, expected, found)
    partial.replace(target)


def _changed(path: Path, expected: str, found: str) -> ArtifactError:
    return ArtifactError(
        f"{path} is not the file that was deployed",
        expected=f"sha256 {expected[:12]}...",
        found=found if " " in found else f"{found[:12]}...",
        remedy="Deploy again, or restore the folder",
    )


def fingerprint(folder: Path) -> str:
    """What tells that a deployment was changed: a hash of its record and checksums, "" while they are being written."""
    try:
        content = (folder / DEPLOYMENT_FILE).read_bytes() + (folder / CHECKSUMS_FILE).read_bytes()
    except OSError:
        return ""
    return hashlib.sha256(content).hexdigest()
