"""The images that a study's model was audited on: a data set's test split, with pixels as input and decisions as
output.
"""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from assay.bench.auditing.runs import TEST
from assay.bench.deployment.subject import AuditedModel, FinishedStudy, Judged, check_hash
from assay.bench.tasks.task import ServedAnswers, task_of
from assay.bench.words.progress import Narrator
from assay.errors import ArtifactError, InputError
from assay.export.reference.reference import LOGITS, ReferenceRequest, reference_artifact
from assay.export.served.contract import IMAGES
from assay.export.served.made import ExportContract
from assay.files.arrays import load_array
from assay.numerics.served import Records, ServedTensor, as_records
from assay.records.audit import ModelAudit
from assay.records.results import Cell, Export
from assay.spec import ModelSpec
from assay.store import Store, read_artifact
from assay.texts import printable
from assay.train.batches import in_order
from assay.train.built import BuiltModel
from assay.train.datasets.data import Dataset, open_dataset
from assay.train.datasets.sources import write_array

WEIGHTS_FILE = "weights.safetensors"


def audited_images(study: FinishedStudy, cell: Cell, audit: ModelAudit, export: Export | None) -> AuditedModel:
    """
    Raises:
        InputError: the name of a class is not a line of a file.
        ArtifactError: a file is missing, damaged, or not the one that was audited.
    """
    weights = _weights(study, cell, audit)
    folder = _dataset_folder(study, cell.size)
    dataset = open_dataset(folder)
    _check_classes(dataset.classes)
    spec = ModelSpec(cell.architecture, cell.size, len(dataset.classes), dataset.test.images.shape[-1])
    inputs = [ServedTensor(name=IMAGES, datatype="UINT8", shape=list(spec.image_shape))]
    judge = _Judge(dataset, audit, cell.precision or "fp32", weights, Store(study.folder / "references"))
    return AuditedModel(
        name=f"{cell.architecture}-{cell.size}",
        unit="image",
        inputs=inputs,
        outputs=task_of(study.results).served_outputs(spec.classes),
        classes=list(dataset.classes),
        batched=True,
        data=dataset.summary,
        model=BuiltModel(spec=spec, weights=weights / WEIGHTS_FILE, fingerprint=cell.weights),
        contract=ExportContract(spec=spec, layout=export.made_by["layout"] if export else "NHWC"),
        warm_up=as_records(dataset.validation.images[:1], inputs),
        records=folder / "test_images.npy",
        labels=np.asarray(dataset.test.labels, np.int64),
        judge=judge,
    )


@dataclass(frozen=True)
class _Judge:
    """The judge of a served graph's answers to a test split; `weights` and `references` are folders."""

    dataset: Dataset
    audit: ModelAudit
    precision: str
    weights: Path
    references: Store

    def __call__(self, found: Records, spread: Mapping[str, float], narrator: Narrator) -> Judged:
        test = self.dataset.test
        with tempfile.TemporaryDirectory(prefix="assay-reference-") as text:
            normalised = Path(text) / "normalised.npy"
            reference_images(test.images, normalised)
            request = ReferenceRequest(self.weights, normalised, dtype="float32" if self._in_fp32 else "float64")
            reference = load_array(reference_artifact(request, self.references, narrator.bar).file(LOGITS))
        labels = np.asarray(test.labels, np.int64)
        answers = ServedAnswers(found, reference, self._in_fp32, labels, self.audit, self.precision, spread)
        return task_of(self.audit).judge_served(answers)

    @property
    def _in_fp32(self) -> bool:
        """Whether the audit's reference for the whole split is fp32, because float64 was computed for a part of it."""
        return any(one.name == TEST and one.images < one.sampled_from for one in self.audit.inputs)


def _check_classes(names: Sequence[str]) -> None:
    """
    Raises:
        InputError: a class's name is not a line of a file.
    """
    for name in names:
        if not name or name != printable(name):
            raise InputError(
                "The study cannot be deployed: the name of a class is not a single line of text",
                expected="a printable name on one line, since labels.txt has one class on each line",
                found=f"'{printable(name[:100])}'",
            )


def _weights(study: FinishedStudy, cell: Cell, audit: ModelAudit) -> Path:
    """Return the folder of the weights artifact of a cell."""
    for manifest in sorted((study.folder / "weights").glob("*/manifest.json")):
        artifact = read_artifact(manifest.parent, "weights")
        if artifact.key == cell.weights:
            check_hash(artifact.file(WEIGHTS_FILE), audit.models.get("weights", "none"))
            return artifact.folder
    raise ArtifactError(
        f"The weights of {cell.name} are not in {study.folder / 'weights'}", expected=f"key {cell.weights[:12]}"
    )


def _dataset_folder(study: FinishedStudy, size: int) -> Path:
    """Return the folder of the images of one size; the study's own sample of them names the folder and the content."""
    for manifest in sorted((study.folder / "images").glob(f"*-{size}-*/manifest.json")):
        if manifest.parent.name.startswith("calibration-"):
            continue
        sample = read_artifact(manifest.parent, "images")
        folder = study.data / manifest.parent.name
        if not folder.is_dir():
            raise ArtifactError(
                f"The study's images at {size} pixels are not in {study.data}",
                expected=f"a folder {folder.name}",
                remedy="Name the folder of stored data sets with --data, or run the study again",
            )
        found = open_dataset(folder).content_hash
        if found != sample.manifest.inputs["data"]:
            raise ArtifactError(
                f"{folder} has different images from those of the study",
                expected=str(sample.manifest.inputs["data"])[:12],
                found=found[:12],
            )
        return folder
    raise ArtifactError(f"{study.folder} has no images at {size} pixels", expected="the folder of a finished study")


def reference_images(images: NDArray[np.uint8], path: Path) -> None:
    """Write a split's images as every export takes them, piece by piece."""
    pieces = (np.ascontiguousarray(piece, np.float32) for piece in in_order(images, 256))
    write_array(path, images.shape, pieces, kind="<f4")
