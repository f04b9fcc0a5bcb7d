"""Whether a deployment folder is what was written: `assay deploy --check`."""

from __future__ import annotations

import os
import re
from pathlib import Path

from assay.deployment import (
    CHECKSUMS_FILE,
    CONFIG_FILE,
    LABELS_FILE,
    MODEL_FILE,
    MODELS,
    Deployment,
)
from assay.errors import ArtifactError
from assay.store import file_sha256
from bench.deployment.config import config_of, read_config
from bench.deployment.folder import files_of

REMEDY = "Do not serve it; deploy again"
CHECKSUM = re.compile(r"([0-9a-f]{64})  (.+)")


def check_files(folder: Path, deployment: Deployment) -> None:
    """Paths, checksums, labels and configuration; no model is loaded.

    Raises:
        ArtifactError: a path leaves the folder, or something is missing, changed, or not of this deployment.
        NotInstalledError: tritonclient is missing.
    """
    check_paths(folder)
    check_sums(folder)
    repository = folder / MODELS / deployment.name
    for version in deployment.versions:
        _equal(
            f"{repository / str(version.number) / MODEL_FILE}", version.model_sha256, _sum(repository, version.number)
        )
    if deployment.classes:
        labels = repository / LABELS_FILE
        named = (
            labels.read_bytes().decode(errors="replace").removesuffix("\n").split("\n")
            if labels.is_file()
            else ["no such file"]
        )
        _equal(f"{labels}", ", ".join(deployment.classes), ", ".join(named))
    config = read_config(repository / CONFIG_FILE)
    if config != config_of(deployment):
        raise ArtifactError(
            f"{repository / CONFIG_FILE} is not the configuration of this deployment",
            expected=_one_line(str(config_of(deployment))),
            found=_one_line(str(config)),
            remedy=REMEDY,
        )


def check_paths(folder: Path) -> None:
    """No link, nothing but files and folders, and nothing that lies elsewhere.

    Raises:
        ArtifactError: naming the first that does.
    """
    root = folder.resolve()
    for place, folders, files in os.walk(folder):
        for name in (*folders, *files):
            path = Path(place) / name
            if path.is_symlink() or not path.resolve().is_relative_to(root):
                raise ArtifactError(
                    f"{path} leaves the deployment folder",
                    expected="files and folders of its own",
                    found=f"a link to {os.readlink(path)}" if path.is_symlink() else str(path.resolve()),
                    remedy=REMEDY,
                )
            if not path.is_dir() and not path.is_file():
                raise ArtifactError(f"{path} is neither a file nor a folder", remedy=REMEDY)


def check_sums(folder: Path) -> None:
    """Every file is listed in checksums.sha256 and is what it was, and no other is listed.

    Raises:
        ArtifactError: naming the first that is not.
    """
    listed = _listed(folder)
    there = {path.relative_to(folder).as_posix() for path in files_of(folder)}
    for name in sorted(there - listed.keys()):
        raise ArtifactError(f"{folder / name} does not belong to the deployment", remedy=REMEDY)
    for name, expected in listed.items():
        found = file_sha256(folder / name) if name in there else "no such file"
        _equal(str(folder / name), expected, found)


def _listed(folder: Path) -> dict[str, str]:
    """sha256 by relative path."""
    path = folder / CHECKSUMS_FILE
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise ArtifactError(f"Cannot read {path}", expected="checksums", found=str(error)) from error
    found = {}
    for line in lines:
        match = CHECKSUM.fullmatch(line)
        name = match[2] if match else ""
        if match is None or Path(name).is_absolute() or ".." in Path(name).parts:
            raise ArtifactError(
                f"{path} has a line that names no file of the folder",
                expected="a sha256, two blanks and a path below the folder",
                found=line[:100],
                remedy=REMEDY,
            )
        found[name] = match[1]
    return found


def _sum(repository: Path, number: int) -> str:
    path = repository / str(number) / MODEL_FILE
    return file_sha256(path) if path.is_file() else "no such file"


def _equal(what: str, expected: str, found: str) -> None:
    if expected != found:
        raise ArtifactError(f"{what} is not what was deployed", expected=expected, found=found, remedy=REMEDY)


def _one_line(text: str) -> str:
    return " ".join(text.split())
