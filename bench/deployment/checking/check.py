"""A check of whether a deployment folder is what was written: `assay deploy --check`. The folder is compared with its
record: a closed list of paths, and everything that follows from the record, rendered again and compared byte for byte.
Checksums show that nothing was damaged since they were written. Neither shows who wrote the record: that is what a
signature is for (`assay.bench.deployment.checking.signature`).
"""

from __future__ import annotations

import os
import re
import stat
from pathlib import Path

from assay.bench.deployment.checking.contents import (
    config_file,
    files_beside,
    files_of_deployment,
    folders_of_deployment,
    model_file,
    model_folder,
    warm_up_paths,
)
from assay.bench.deployment.config import config_of, read_config
from assay.bench.deployment.folder import files_of
from assay.bench.deployment.picture import is_same_picture
from assay.bench.deployment.render import read_kept, rendered, server_files
from assay.errors import ArtifactError
from assay.files.mistakes import mistake_in
from assay.numerics.served import record_type
from assay.records.deployment import CHECKSUMS_FILE, DEPLOYMENT_FILE, Deployment, text_before_measures
from assay.store import file_sha256

REMEDY = "Do not serve it; deploy again"
CHECKSUM = re.compile(r"([0-9a-f]{64})  (.+)")
PROGRAM_BITS = 0o111 | stat.S_ISUID | stat.S_ISGID | stat.S_ISVTX
HARMLESS_NAME = re.compile(r"[\w .:/@-]*")
"""Names of tensors that were harmless when the first rendering put names into a program as they were."""


def check_files(folder: Path, deployment: Deployment) -> None:
    """Check all that a server reads, and that there is nothing else: paths, checksums, models, labels, configuration.

    No model is loaded, and files that no server reads (manifests, client, card) are not rendered: see `check_rendered`.

    Raises:
        ArtifactError: a path leaves the folder, or something is missing, changed, or not of this deployment.
        NotInstalledError: tritonclient is missing.
    """
    check_paths(folder)
    _check_contents(folder, deployment)
    check_sums(folder)
    check_models(folder, deployment)
    for name, expected in server_files(deployment).items():
        if name == config_file(deployment):
            _check_config(folder / name, deployment)
        if name != config_file(deployment) or deployment.rendering > 1:
            _compare(folder / name, expected, "the deployed file")
    _check_warm_up(folder, deployment)


def check_rendered(folder: Path, deployment: Deployment) -> None:
    """Check that everything that follows from the record is there, as Assay writes it.

    Raises:
        ArtifactError: a file is missing or not what is rendered again.
    """
    if deployment.rendering == 1:
        _check_old_names(folder, deployment)
    for name, expected in rendered(deployment, read_kept(folder, deployment)).items():
        if deployment.rendering == 1 and name in {DEPLOYMENT_FILE, config_file(deployment)}:
            continue  # an older Assay's text of these may differ; both were read and compared
        if name == DEPLOYMENT_FILE and _content(folder / name, len(expected)) == text_before_measures(deployment):
            continue
        _compare(folder / name, expected)


def check_paths(folder: Path) -> None:
    """Check that there are no links, no programs, nothing but files and folders, and nothing that lies elsewhere.

    Raises:
        ArtifactError: there is one of these; the message names the first.
    """
    root = folder.resolve()
    for place, folders, files in os.walk(folder, onerror=_unreadable):
        for name in (*folders, *files):
            path = Path(place) / name
            if path.is_symlink() or not path.resolve().is_relative_to(root):
                raise ArtifactError(
                    f"{path} leaves the deployment folder",
                    expected="only its own files and folders",
                    found=f"a link to {os.readlink(path)}" if path.is_symlink() else str(path.resolve()),
                    remedy=REMEDY,
                )
            if not path.is_dir() and not path.is_file():
                raise ArtifactError(f"{path} is neither a file nor a folder", remedy=REMEDY)
            if path.is_file() and path.stat().st_mode & PROGRAM_BITS:
                raise ArtifactError(
                    f"{path} is executable",
                    expected="a file with read and write permission only",
                    found=stat.filemode(path.stat().st_mode),
                    remedy="A deployment has no programs: deploy again, or remove the permission with chmod",
                )


def _check_contents(folder: Path, deployment: Deployment) -> None:
    """Check the closed list: the folder has nothing that the record does not name, and one model is in the repository.

    Raises:
        ArtifactError: a path does not belong; the message names the first.
    """
    files, folders = files_of_deployment(deployment), folders_of_deployment(deployment)
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        if name not in (folders if path.is_dir() else files):
            raise ArtifactError(
                f"{path} does not belong to the deployment",
                expected=f"one model, {model_folder(deployment)}, and the files of `assay deploy`",
                remedy=REMEDY,
            )


def check_models(folder: Path, deployment: Deployment) -> None:
    """Check that every file of every version's model is the one that the record names.

    Raises:
        ArtifactError: one is not; the message names the first.
    """
    for version in deployment.versions:
        wanted = {model_file(deployment, version.number): version.model_sha256}
        for name, sha256 in (wanted | files_beside(deployment, version.number)).items():
            path = folder / name
            _equal(str(path), sha256, file_sha256(path) if path.is_file() else "no such file")


def check_sums(folder: Path) -> None:
    """Check that every file, and no other, is listed in checksums.sha256 and is unchanged.

    Raises:
        ArtifactError: one is not; the message names the first.
    """
    listed = _listed(folder)
    there = {path.relative_to(folder).as_posix() for path in files_of(folder)}
    for name in sorted(there - listed.keys()):
        raise ArtifactError(f"{folder / name} does not belong to the deployment", remedy=REMEDY)
    for name, expected in listed.items():
        found = file_sha256(folder / name) if name in there else "no such file"
        _equal(str(folder / name), expected, found)


def _listed(folder: Path) -> dict[str, str]:
    """Return the sha256 of each file, by relative path."""
    path = folder / CHECKSUMS_FILE
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise ArtifactError(f"Cannot read {path}", expected="checksums", found=mistake_in(error)) from error
    found = {}
    for line in lines:
        match = CHECKSUM.fullmatch(line)
        name = match[2] if match else ""
        if match is None or name in found or Path(name).is_absolute() or ".." in Path(name).parts:
            raise ArtifactError(
                f"{path} has a line that does not name a file of the folder",
                expected="a sha256, two spaces and a path below the folder, each path once",
                found=line[:100],
                remedy=REMEDY,
            )
        found[name] = match[1]
    return found


def _check_warm_up(folder: Path, deployment: Deployment) -> None:
    """Check that the server warms up with one record, the one that the record names; an older record does not name
    it.
    """
    kind = record_type(deployment.inputs)
    paths = {name: folder / place for name, place in warm_up_paths(deployment).items()}
    for name, path in paths.items():
        expected, found = kind[name].itemsize, path.stat().st_size if path.is_file() else 0
        if expected != found:
            raise ArtifactError(
                f"{path} does not hold one {deployment.unit} of this model",
                expected=f"{expected} bytes",
                found=f"{found} bytes",
            )
        if deployment.rendering > 1:
            _equal(str(path), deployment.warm_up.get(path.name, "a file that the record names"), file_sha256(path))
    if deployment.rendering > 1 and deployment.warm_up.keys() != {path.name for path in paths.values()}:
        raise ArtifactError(
            f"{folder / DEPLOYMENT_FILE} names different warm-up files",
            expected=", ".join(path.name for path in paths.values()),
            found=", ".join(deployment.warm_up),
            remedy=REMEDY,
        )


def _check_config(path: Path, deployment: Deployment) -> None:
    """Check what a configuration says; its bytes are compared too, except for those of an older Assay, whose protobuf
    may have laid out the text differently.
    """
    found, expected = read_config(path), config_of(deployment)
    if found != expected:
        raise ArtifactError(
            f"{path} is not the configuration of this deployment",
            expected=_one_line(str(expected)),
            found=_one_line(str(found)),
            remedy=REMEDY,
        )


def _check_old_names(folder: Path, deployment: Deployment) -> None:
    """Refuse names that were a program: the first rendering put names into requests/client.py as they were."""
    for one in (*deployment.inputs, *deployment.outputs):
        if not HARMLESS_NAME.fullmatch(one.name):
            raise ArtifactError(
                f"{folder / DEPLOYMENT_FILE} has the tensor {ascii(one.name)[:100]}, which an older Assay put into a "
                "program",
                expected="a name of letters, digits, spaces and . : / @ _ -",
                remedy="Do not run requests/client.py; deploy again",
            )


def _compare(path: Path, expected: bytes, what: str = "what Assay writes for this deployment") -> None:
    """
    Raises:
        ArtifactError: a file is not what Assay writes.
    """
    found = _content(path, len(expected))
    same = is_same_picture(expected, found) if path.suffix == ".png" else found == expected
    if not same:
        raise ArtifactError(
            f"{path} is not {what}",
            expected=_excerpt(expected, found),
            found=_excerpt(found, expected) if path.is_file() else "no such file",
            remedy=REMEDY,
        )


def _content(path: Path, size: int) -> bytes:
    """Return the content of a file; of one that is far larger than it should be, only enough to show that."""
    try:
        with path.open("rb") as stream:
            return stream.read(2 * size + 4096)
    except OSError:
        return b""


def _excerpt(content: bytes, other: bytes) -> str:
    """Return the first line that another text does not have, to show what differs."""
    theirs = set(other.splitlines())
    line = next((line for line in content.splitlines() if line not in theirs), b"")
    return ascii(line[:100].decode(errors="replace"))[1:-1] if line else f"{len(content)} bytes"


def _unreadable(error: OSError) -> None:
    raise ArtifactError(f"Cannot read {error.filename}", found=error.strerror) from error


def _equal(what: str, expected: str, found: str) -> None:
    if expected != found:
        raise ArtifactError(f"{what} differs from the deployed file", expected=expected, found=found, remedy=REMEDY)


def _one_line(text: str) -> str:
    return " ".join(text.split())
