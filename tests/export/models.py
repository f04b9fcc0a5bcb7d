"""Shared fixtures of the tests of exports: weights that leave nothing trivial, images, and one folder per session.

Exports are found again by their key, so a second request for one takes no time.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from pydantic import JsonValue

from assay.export.record import MODEL_FILE
from assay.export.reference.reference import ReferenceRequest, reference_artifact
from assay.export.run import KIND, ExportJob, artifact_folder, export_model, job_of_weights, record_of
from assay.records.results import Export
from assay.spec import ModelSpec
from assay.store import MANIFEST, Store, read_artifact, write_artifact
from assay.train.weights import save_weights
from tests.contract.training_steps import moved_weights

SIZE, CLASSES, IMAGES = 28, 8, 32
_workspaces: dict[str, Workspace] = {}


def silent(label: str, done: int, total: int) -> None:
    """Progress that nobody sees."""


def usable_exports(exports: Store) -> list[tuple[Export, Path]]:
    """The records and files of all exports of a store that passed every check."""
    found = (read_artifact(path.parent, KIND) for path in sorted(exports.folder.glob(f"*/{MANIFEST}")))
    return [(record_of(one), one.file(MODEL_FILE)) for one in found if record_of(one).status == "ok"]


@dataclass(frozen=True)
class Workspace:
    """One model's weights artifact and images, and the folder for its exports."""

    spec: ModelSpec
    folder: Path

    @property
    def exports(self) -> Store:
        return Store(self.folder / "exports")

    @property
    def references(self) -> Store:
        return Store(self.folder / "references")

    def job(self, exporter: str, opset: int = 18, limit_seconds: float | None = None) -> ExportJob:
        return job_of_weights(
            exporter,
            self.folder / "weights",
            self.folder / "images.npy",
            self.exports,
            self.references,
            opset=opset,
            limit_seconds=limit_seconds,
        )

    def export(self, exporter: str) -> Export:
        return export_model(self.job(exporter), silent)

    def model(self, exporter: str) -> Path:
        return artifact_folder(self.export(exporter), self.exports) / "model.onnx"

    def logits(self, framework: str, dtype: str) -> np.ndarray:
        request = ReferenceRequest(self.folder / "weights", self.folder / "images.npy", framework, dtype)
        return np.load(reference_artifact(request, self.references, silent).file("logits.npy"))


def workspace(architecture: str, temporary: pytest.TempPathFactory) -> Workspace:
    """The session's workspace of an architecture."""
    if architecture not in _workspaces:
        spec = ModelSpec(architecture, SIZE, CLASSES)
        made = Workspace(spec, temporary.mktemp(architecture))
        write_weights(made.folder / "weights", spec)
        random = np.random.default_rng(0)
        np.save(made.folder / "images.npy", random.normal(size=(IMAGES, *spec.image_shape)).astype(np.float32))
        _workspaces[architecture] = made
    return _workspaces[architecture]


def write_weights(folder: Path, spec: ModelSpec) -> None:
    """A weights artifact whose norms and biases are as far from their initial values as training leaves them."""
    weights = moved_weights(spec)

    def fill(work: Path) -> dict[str, JsonValue]:
        save_weights(work / "weights.safetensors", weights)
        return {}

    write_artifact(folder, "weights", {"spec": dict(spec.to_dict())}, made_by={}, fill=fill)
