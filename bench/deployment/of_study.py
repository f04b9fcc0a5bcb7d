"""A cell of a study as what is to be deployed: its export with pixels in and probabilities out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from assay.bench.deployment.answers import reference_images
from assay.bench.deployment.config import most_records
from assay.bench.deployment.subject import (
    Built,
    Study,
    Subject,
    audited_comparisons,
    check_hash,
    curve_of,
    export_of,
    servable_cell,
)
from assay.bench.tasks.task import ServedAnswers, task_of
from assay.bench.words.progress import Narrator
from assay.errors import ArtifactError, InputError
from assay.export.reference.reference import LOGITS, ReferenceRequest, reference_artifact
from assay.export.run import usable_model
from assay.export.served import contract_job
from assay.export.served.contract import IMAGES
from assay.export.served.contract_job import Contract, ContractRequest, run_contract
from assay.files.arrays import load_array
from assay.numerics.served import Tensor, as_records
from assay.records.audit import ModelAudit
from assay.records.results import Cell, DataSummary
from assay.spec import ModelSpec
from assay.store import Store, read_artifact
from assay.texts import printable
from assay.train.datasets.data import Dataset, open_dataset


@dataclass(frozen=True)
class _Parts:
    """What the served graph of a cell is made of and judged by; `weights` and `references` are folders."""

    cell: Cell
    audit: ModelAudit
    request: ContractRequest
    dataset: Dataset
    weights: Path
    references: Store


def study_subject(study: Study, name: str) -> Subject:
    """Everything about one cell, verified.

    Raises:
        InputError: no such cell, or one that Triton's onnxruntime backend does not run.
        FailedError: it is not valid, was not audited, or did not pass.
        ArtifactError: a file is missing, damaged, or not the one that was audited.
    """
    cell = servable_cell(study.results, name)
    audit, _ = audited_comparisons(study.audit, cell)
    export = export_of(study.results, cell)
    model = usable_model(export, Store(study.folder / "onnx"))
    check_hash(model, audit.models.get(f"onnx@{export.exporter}", "none"))
    weights = _weights(study, cell, audit)
    folder = _dataset_folder(study, cell.size)
    dataset = open_dataset(folder)
    _check_classes(dataset.classes)
    spec = ModelSpec(cell.architecture, cell.size, len(dataset.classes), dataset.test.images.shape[-1])
    curve = curve_of(study.results, cell)
    inputs = [Tensor(name=IMAGES, datatype="UINT8", shape=list(spec.image_shape))]
    outputs = task_of(study.results).served_outputs(spec.classes)
    request = ContractRequest(
        source=model,
        contract=Contract(spec=spec, layout=export.made_by["layout"]),
        inputs=inputs,
        outputs=outputs,
        records=folder / "test_images.npy",
        threads=cell.threads,
        most_records=most_records(curve),
    )
    parts = _Parts(cell, audit, request, dataset, weights, Store(study.folder / "references"))
    return Subject(
        results=study.results,
        cell=cell,
        curve=curve,
        export=export,
        name=f"{cell.architecture}-{cell.size}",
        unit="image",
        inputs=inputs,
        outputs=outputs,
        classes=list(dataset.classes),
        most_records=request.most_records,
        data=_data_summary(dataset),
        warm_up=as_records(dataset.validation.images[:1], inputs),
        inputs_kept=None,
        labels=np.asarray(dataset.test.labels, np.int64),
        build=partial(_build, parts),
    )


def _check_classes(names: Sequence[str]) -> None:
    """
    Raises:
        InputError: a class's name is no line of a file.
    """
    for name in names:
        if not name or name != printable(name):
            raise InputError(
                "The study cannot be deployed: the name of a class is no line of text",
                expected="a name that can be read, for the server has one a line in labels.txt",
                found=f"'{printable(name[:100])}'",
            )


def _build(parts: _Parts, work: Path, narrator: Narrator) -> Built:
    """The deployable graph, its answers over the test split, and the verdict on them."""
    labels = np.asarray(parts.dataset.test.labels, np.int64)
    narrator.tell(f"running the deployable graph over {len(labels)} test images")
    outcome = run_contract(parts.request, work)
    normalised = work / "normalised.npy"
    reference_images(parts.dataset.test.images, normalised)
    request = ReferenceRequest(parts.weights, normalised, "torch", "float64")
    reference = reference_artifact(request, parts.references, narrator.bar).file(LOGITS)
    normalised.unlink()
    found = load_array(work / contract_job.OUTPUTS_FILE)
    precision = parts.cell.precision or "fp32"
    answers = ServedAnswers(found, load_array(reference), labels, parts.audit, precision, outcome.spread)
    return Built(work, *task_of(parts.audit).judge_served(answers))


def _weights(study: Study, cell: Cell, audit: ModelAudit) -> Path:
    """The folder of the weights artifact of a cell."""
    for manifest in sorted((study.folder / "weights").glob("*/manifest.json")):
        artifact = read_artifact(manifest.parent, "weights")
        if artifact.key == cell.weights:
            check_hash(artifact.file("weights.safetensors"), audit.models.get("weights", "none"))
            return artifact.folder
    raise ArtifactError(
        f"The weights of {cell.name} are not in {study.folder / 'weights'}", expected=f"key {cell.weights[:12]}"
    )


def _dataset_folder(study: Study, size: int) -> Path:
    """Where the images of one size are stored; the study's own sample of them names the folder and the content."""
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
                f"{folder} has other images than the study was made with",
                expected=str(sample.manifest.inputs["data"])[:12],
                found=found[:12],
            )
        return folder
    raise ArtifactError(f"{study.folder} has no images at {size} pixels", expected="the folder of a finished study")


def _data_summary(dataset: Dataset) -> DataSummary:
    counts = {"train": dataset.train, "validation": dataset.validation, "test": dataset.test}
    return DataSummary(
        name=dataset.name,
        content_hash=dataset.content_hash,
        counts={name: len(split.labels) for name, split in counts.items()},
        classes=list(dataset.classes),
        attribution=dataset.attribution,
        licence=dataset.licence,
        notice=dataset.notice,
        synthetic=dataset.synthetic,
    )
