"""Artifacts: folders that carry a manifest, are written atomically and verified when read.

An artifact's key is a hash of everything that determines it, so a finished one is never made twice and a changed one is
always made again. A folder appears under its name only when it is complete.
"""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol, TypeVar

from pydantic import BaseModel, ConfigDict, JsonValue, ValidationError

from assay.errors import ArtifactError
from assay.files.disk import disk_error, folder_beside, put_in_place, remove_left_overs, temporary_prefix
from assay.files.locks import in_turn, lock_beside
from assay.files.mistakes import mistake_in
from assay.files.texts import read_bytes

MANIFEST = "manifest.json"
Kind = TypeVar("Kind", bound=BaseModel)
SCHEMA_VERSION: Literal[1] = 1
KEY_CHARACTERS = 12
"""The number of characters of a key in the name of a folder."""
TRY_AGAIN = "try_again"
"""The name of the fact that another attempt may have a different result."""
Fill = Callable[[Path], Mapping[str, JsonValue]]


class Manifest(BaseModel):
    """The identity of an artifact, its maker and its origin.

    Attributes:
        schema_version: version of this record.
        kind: "weights", "onnx", "dataset", "reference", ...
        key: `artifact_key` of kind and inputs.
        inputs: everything that determines the content (settings, seeds, keys of what it came from).
        made_by: versions of the software that made it; they do not enter the key.
        facts: known facts about the result (metrics, operator counts, the reason of a failure).
        files: sha256 of every file beside the manifest, by relative path.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    schema_version: Literal[1] = SCHEMA_VERSION
    kind: str
    key: str
    inputs: dict[str, JsonValue]
    made_by: dict[str, str]
    facts: dict[str, JsonValue]
    files: dict[str, str]


class Artifact(BaseModel):
    """A verified artifact on disk."""

    model_config = ConfigDict(frozen=True)

    folder: Path
    manifest: Manifest

    @property
    def key(self) -> str:
        return self.manifest.key

    def file(self, name: str) -> Path:
        """Return the path of one of its files.

        Raises:
            ArtifactError: the manifest lists no such file.
        """
        if name not in self.manifest.files:
            raise ArtifactError(
                f"{self.folder} has no file '{name}'", expected=f"one of {', '.join(self.manifest.files)}"
            )
        return self.folder / name

    def record(self, kind: type[Kind], name: str) -> Kind:
        """Read a record that it keeps, in the file of this name or among its facts.

        Raises:
            ArtifactError: there is none, or it is not such a record.
        """
        try:
            if name in self.manifest.files:
                return kind.model_validate_json(read_bytes(self.folder / name))
            return kind.model_validate(self.manifest.facts[name])
        except (OSError, KeyError, ValidationError) as error:
            raise ArtifactError(
                f"{self.folder} has no readable {name}",
                found=mistake_in(error),
                remedy="Delete the folder to have it made again",
            ) from error


def facts_of(artifact: Artifact, kind: type[Kind]) -> Kind:
    """Read all known facts about an artifact, as a record.

    Raises:
        ArtifactError: the facts are not such a record.
    """
    try:
        return kind.model_validate(artifact.manifest.facts)
    except ValidationError as error:
        raise ArtifactError(
            f"{artifact.folder} has an unreadable description",
            found=mistake_in(error),
            remedy="Delete the folder to have it made again",
        ) from error


def artifact_key(kind: str, inputs: Mapping[str, JsonValue]) -> str:
    """Return the sha256 (hex) of the kind and the inputs, independent of the order of the inputs."""
    text = json.dumps({"kind": kind, "inputs": inputs}, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def file_sha256(path: Path) -> str:
    """Return the sha256 (hex) of a file's content, read in pieces."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


@contextmanager
def reporting_disk_errors(path: Path) -> Iterator[None]:
    """Turn an operating system's refusal to write below `path` into an error that a person can use."""
    try:
        yield
    except OSError as error:
        raise disk_error(path, error) from error


def write_atomically(path: Path, content: bytes) -> None:
    """Write a whole file or nothing: readers see the old content until the new one is complete.

    Raises:
        DiskError: the folder is not writable or full; an existing file is untouched.
    """
    with reporting_disk_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=temporary_prefix(path))
        try:
            with os.fdopen(handle, "wb") as stream:
                stream.write(content)
                stream.flush()
                os.fsync(stream.fileno())
            Path(name).chmod(0o644)
            Path(name).replace(path)
        except BaseException:
            Path(name).unlink(missing_ok=True)
            raise


def write_together(folder: Path, contents: Mapping[str, bytes]) -> None:
    """Write files that belong together: all are on disk before the first of them takes its name.

    Raises:
        DiskError: the folder is not writable or full; the existing files are untouched.
    """
    with reporting_disk_errors(folder), folder_beside(folder / "together") as work:
        for name, content in contents.items():
            write_atomically(work / name, content)
        for name in contents:
            (work / name).replace(folder / name)


def write_artifact(
    folder: Path,
    kind: str,
    inputs: Mapping[str, JsonValue],
    *,
    made_by: Mapping[str, str],
    fill: Fill,
) -> Artifact:
    """Make an artifact: `fill` writes its files into an empty folder and returns its facts.

    The folder takes its name only after all files and the manifest are on disk; an artifact already there
    is replaced in one step.

    Raises:
        DiskError: the place cannot be written; an artifact already there is untouched.
    """
    with reporting_disk_errors(folder), folder_beside(folder) as work:
        facts = fill(work)
        files = {str(p.relative_to(work)): file_sha256(p) for p in sorted(work.rglob("*")) if p.is_file()}
        manifest = Manifest(
            kind=kind,
            key=artifact_key(kind, inputs),
            inputs=dict(inputs),
            made_by=dict(made_by),
            facts=dict(facts),
            files=files,
        )
        write_atomically(work / MANIFEST, manifest.model_dump_json(indent=2).encode())
        put_in_place(work, folder)
    return Artifact(folder=folder, manifest=manifest)


def read_artifact(folder: Path, kind: str, *older: str) -> Artifact:
    """Read an artifact and verify every file against its manifest.

    Args:
        older: former names of the kind.

    Raises:
        ArtifactError: it is missing, of another kind or version, or a file has changed.
    """
    path = folder / MANIFEST
    if not path.is_file():
        raise ArtifactError(f"{folder} is not an artifact", expected=f"a file {MANIFEST}", found="none")
    try:
        manifest = Manifest.model_validate_json(read_bytes(path))
    except ValidationError as error:
        raise ArtifactError(
            f"{path} cannot be read",
            expected=f"a manifest of version {SCHEMA_VERSION}",
            found=mistake_in(error),
            remedy="Delete the folder to have it made again",
        ) from error
    if manifest.kind not in {kind, *older}:
        raise ArtifactError(f"{folder} is of another kind", expected=kind, found=manifest.kind)
    for name, expected in manifest.files.items():
        file = folder / name
        found = file_sha256(file) if file.is_file() else "no such file"
        if found != expected:
            raise ArtifactError(
                f"{file} is not the file that was written",
                expected=f"sha256 {expected[:12]}...",
                found=found if found == "no such file" else f"sha256 {found[:12]}...",
                remedy="Delete the folder to have it made again",
            )
    return Artifact(folder=folder, manifest=manifest)


def find_artifact(folder: Path, kind: str, inputs: Mapping[str, JsonValue]) -> Artifact | None:
    """Return the artifact in `folder` if it was made from exactly these inputs, else None.

    Raises:
        ArtifactError: something is there and it is damaged.
    """
    if not (folder / MANIFEST).is_file():
        return None
    artifact = read_artifact(folder, kind)
    return artifact if artifact.key == artifact_key(kind, inputs) else None


def may_end_otherwise(artifact: Artifact) -> bool:
    """Return whether another attempt may have a different result: after a crash, a time limit, or a package that could
    not be obtained.
    """
    return bool(artifact.manifest.facts.get(TRY_AGAIN))


class SharingTier(Protocol):
    """Where machines share artifacts, see `assay.fleet.tier`."""

    def fetch(self, kind: str, key: str, folder: Path) -> Manifest | None:
        """Copy an artifact's files into an empty folder, verified; None where there is no such artifact."""

    def offer(self, artifact: Artifact) -> Manifest:
        """Share an artifact; the manifest that stands for it, which may be another machine's."""


@dataclass(frozen=True)
class Store:
    """The artifacts below one folder; the only place where artifacts are found, and made if missing.

    Attributes:
        folder: the folder that holds a folder for each artifact.
        shared: whether several commands make artifacts here at the same time; each is then made by one of them while
            the others wait. Where one command works alone (`assay.files.locks.working_in`) there is nobody to wait for.
        tier: where machines share artifacts: what this one lacks is taken from there, and what it makes is put there.
    """

    folder: Path
    shared: bool = False
    tier: SharingTier | None = None

    def place(self, kind: str, inputs: Mapping[str, JsonValue], name: str, *, single: bool = False) -> Path:
        """Return the folder of an artifact, whether it exists or not; arguments are those of `kept`."""
        if single:
            return self.folder / name
        key = artifact_key(kind, inputs)[:KEY_CHARACTERS]
        return self.folder / (f"{name}-{key}" if name else key)

    def found(
        self, kind: str, inputs: Mapping[str, JsonValue], name: str = "", *, single: bool = False
    ) -> Artifact | None:
        """Return the artifact if it exists; arguments and errors are those of `kept`."""
        return find_artifact(self.place(kind, inputs, name, single=single), kind, inputs)

    def kept(
        self,
        kind: str,
        inputs: Mapping[str, JsonValue],
        fill: Fill,
        *,
        name: str = "",
        single: bool = False,
        made_by: Mapping[str, str] | None = None,
        anew: bool | Callable[[Artifact], bool] = may_end_otherwise,
    ) -> Artifact:
        """Return the artifact of these inputs: the one that is kept, else the one that `fill` makes now.

        Args:
            kind: kind of artifact; see `Manifest`.
            inputs: everything that determines the content.
            fill: writes the files into an empty folder and returns the facts. If it raises, nothing is kept. If the
                facts have a true `TRY_AGAIN`, the result is kept for readers, and made again when next asked for.
            name: name of its folder, to which the beginning of the key is added.
            single: whether the folder has the name alone, so that the artifact replaces one made from other inputs.
            made_by: versions of the software that makes it; they do not enter the key.
            anew: whether a kept artifact is made again: always, never, or as the function says of each.

        Raises:
            DiskError: the place cannot be written; an artifact already there is untouched.
            ArtifactError: something is there and it is damaged.
        """
        place = self.place(kind, inputs, name, single=single)

        def usable() -> Artifact | None:
            found = None if anew is True else find_artifact(place, kind, inputs)
            return None if found is None or (callable(anew) and anew(found)) else found

        def made() -> Artifact:
            fetched = None if anew is True else self._fetched(place, kind, inputs)
            return fetched or self._shared(write_artifact(place, kind, inputs, made_by=made_by or {}, fill=fill))

        found = usable()
        if found:
            return self._as_shared(found)
        if not self.shared:
            return made()
        with in_turn(lock_beside(place)):
            remove_left_overs(place.parent, temporary_prefix(place))
            return usable() or made()

    def _fetched(self, place: Path, kind: str, inputs: Mapping[str, JsonValue]) -> Artifact | None:
        """The artifact as another machine has made it."""
        if self.tier is None:
            return None
        with reporting_disk_errors(place), folder_beside(place) as work:
            manifest = self.tier.fetch(kind, artifact_key(kind, inputs), work)
            if manifest is None:
                return None
            write_atomically(work / MANIFEST, manifest.model_dump_json(indent=2).encode())
            put_in_place(work, place)
        return Artifact(folder=place, manifest=manifest)

    def _shared(self, made: Artifact) -> Artifact:
        """Return the artifact just made, or one that another machine has shared before from the same inputs."""
        if self.tier is None or self.tier.offer(made).files == made.manifest.files:
            return made
        return self._fetched(made.folder, made.manifest.kind, made.manifest.inputs) or made

    def _as_shared(self, found: Artifact) -> Artifact:
        """
        Raises:
            ArtifactError: machines share another content of it: what was made of either would be mixed up.
        """
        if self.tier is not None and self.tier.offer(found).files != found.manifest.files:
            raise ArtifactError(
                f"{found.folder} differs from what the shared store has for the same inputs",
                expected="the same content on all machines; two training runs, for example, end with different weights",
                remedy="Use a folder without this artifact (--out), or another store",
            )
        return found
