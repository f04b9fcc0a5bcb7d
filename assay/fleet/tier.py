"""The second tier of the artifact store: what one machine has made, the others take from a place that all of them see.

Files are kept by their content, so that two artifacts with one file share it and writing it twice changes nothing. An
artifact is there when its manifest is, which is written last and by the first who finishes: two machines that made the
same artifact at once go on with one and the same content, which a training, say, would not give twice. Everything is
verified when it is read; what is damaged is taken away and made again.

Anyone who can write to the place decides what all machines run: weights, ONNX files and compiled programs. It has to be
writable by those alone whom all of them trust (docs/explanation/security.md).
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from pydantic import ValidationError

from assay.errors import ArtifactError
from assay.fleet.shelf import Shelf
from assay.store import MANIFEST, Artifact, Manifest, artifact_key, file_sha256, may_end_otherwise


@dataclass(frozen=True)
class SharedTier:
    """Artifacts on a shelf."""

    shelf: Shelf

    def fetch(self, kind: str, key: str, folder: Path) -> Manifest | None:
        """Copy the files of an artifact into an empty folder; None where it is not there, or not as it was written.

        Raises:
            DiskError: the place cannot be read.
        """
        manifest = self._manifest(kind, key)
        if manifest is None:
            return None
        for name, sha256 in manifest.files.items():
            file = folder / name
            file.parent.mkdir(parents=True, exist_ok=True)
            there = self.shelf.fetch(_object(sha256), file)
            if not there or file_sha256(file) != sha256:
                self._take_away(manifest, sha256)
                return None
        return manifest

    def offer(self, artifact: Artifact) -> Manifest:
        """Put an artifact there, unless it is.

        Returns:
            The manifest that stands for it from now on: its own, or that of the first machine.

        Raises:
            DiskError: the place cannot be written.
        """
        manifest = artifact.manifest
        standing = self._manifest(manifest.kind, manifest.key)
        if standing is not None or may_end_otherwise(artifact):
            return standing or manifest
        for name, sha256 in manifest.files.items():
            if not self.shelf.has(_object(sha256)):
                self.shelf.put(_object(sha256), artifact.folder / name)
        own = self.shelf.create(_place(manifest.kind, manifest.key), manifest.model_dump_json(indent=2).encode())
        return manifest if own else self._manifest(manifest.kind, manifest.key) or manifest

    def _manifest(self, kind: str, key: str) -> Manifest | None:
        """One that is what it is called; any other is taken away."""
        place = _place(kind, key)
        content = self.shelf.read(place)
        if content is None:
            return None
        try:
            found = Manifest.model_validate_json(content)
        except ValidationError:
            found = None
        if found is None or (found.kind, found.key) != (kind, key) or artifact_key(kind, found.inputs) != key:
            self.shelf.remove(place)
            return None
        for name, sha256 in found.files.items():
            _check_name(name, sha256, place)
        return found

    def _take_away(self, manifest: Manifest, sha256: str) -> None:
        """An artifact of which a file is damaged or lacks, and that file: the next machine that needs it makes it
        again.
        """
        self.shelf.remove(_place(manifest.kind, manifest.key))
        self.shelf.remove(_object(sha256))


def _place(kind: str, key: str) -> str:
    return f"artifacts/{kind.replace(' ', '-')}/{key}/{MANIFEST}"


def _object(sha256: str) -> str:
    return f"objects/{sha256[:2]}/{sha256}"


def _check_name(name: str, sha256: str, place: str) -> None:
    """
    Raises:
        ArtifactError: a file would lie outside of its artifact, or is not called after its content.
    """
    path = PurePosixPath(name)
    inside = not path.is_absolute() and ".." not in path.parts and "\\" not in name and name not in {"", MANIFEST}
    hexadecimal = len(sha256) == 64 and all(one in "0123456789abcdef" for one in sha256)
    if not inside or not hexadecimal:
        raise ArtifactError(
            f"{place} in the shared store is not a manifest written by Assay",
            expected="files inside the artifact, by the sha256 of their content",
            found=f"'{name}' of '{sha256[:64]}'",
            remedy="Another program writes to this store: use another one",
        )
