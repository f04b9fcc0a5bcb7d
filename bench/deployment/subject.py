"""What is to be deployed: a cell of a finished study, with all that proves it, or the reason why not.

Nothing is deployed on trust. The export's file must be the one that its manifest, the results and the audit speak of,
by its hash; the audit must have compared exactly this runtime on exactly this export, and have passed it.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from assay.audit import AUDIT_FILE, Audit, Comparison, ModelAudit, read_audit
from assay.errors import ArtifactError, FailedError, InputError, nearest
from assay.registry import RUNTIMES
from assay.results import Cell, Export, Results, read_results
from assay.spec import ModelSpec
from assay.store import file_sha256, read_artifact
from bench.conductor import RESULTS_FILE
from export.run import usable_model
from train.data import Dataset, open_dataset

SERVED_RUNTIME = "ort.cpu"
"""What Triton's onnxruntime backend runs: all graph optimisations, on the CPU."""


@dataclass(frozen=True)
class Study:
    """A finished study on disk.

    Attributes:
        folder: with results.json, audit.json, onnx/, weights/ and images/.
        data: the folder of stored data sets, beside it unless told otherwise.
    """

    folder: Path
    data: Path
    results: Results
    audit: Audit


@dataclass(frozen=True)
class DeployableCell:
    """A cell that may be deployed.

    Attributes:
        cell: the measurement.
        curve: the same runtime and export with the same threads at every batch size, ascending; valid ones only.
        model: the export's file.
        audit: of its model; `comparisons` are those of this very subject.
        dataset: of its size; the test split is what it was audited on.
        weights: folder of the weights artifact.
    """

    cell: Cell
    curve: list[Cell]
    export: Export
    model: Path
    spec: ModelSpec
    audit: ModelAudit
    comparisons: list[Comparison]
    dataset: Dataset
    dataset_folder: Path
    weights: Path


def read_study(folder: Path, data: Path | None = None) -> Study:
    """
    Raises:
        ArtifactError: results or audit are missing or damaged.
    """
    return Study(
        folder.resolve(),
        (data or folder.resolve().parent / "data").resolve(),
        read_results(folder / RESULTS_FILE),
        read_audit(folder / AUDIT_FILE),
    )


def audited_comparisons(audit: Audit, cell: Cell) -> tuple[ModelAudit, list[Comparison]]:
    """The audit of a cell's model, and what it compared of the cell's runtime on its export.

    Raises:
        FailedError: it was not audited, or did not pass.
    """
    name = f"{cell.architecture}/{cell.size}"
    model = next((one for one in audit.models if one.name == name), None)
    comparisons = [one for one in model.comparisons if one.subject == cell.label] if model else []
    remedy = "Run `assay audit` on the study"
    if model is None or not comparisons:
        why = model.missing.get(cell.label) if model else None
        raise FailedError(f"{cell.name} was not audited", found=why, remedy=remedy)
    against = [f"{one.inputs}, batch {one.batch}: {one.reason}" for one in comparisons if not one.passed]
    against += [
        str(one)
        for one in model.propagation
        if one.subject == cell.label and not one.passed and (audit.strict_nan or not one.is_the_runtimes_own)
    ]
    if against:
        more = f" (and {len(against) - 1} more)" if len(against) > 1 else ""
        raise FailedError(f"{cell.name} did not pass its audit", found=against[0] + more)
    return model, comparisons


def find_cell(results: Results, name: str) -> Cell:
    """
    Raises:
        InputError: there is no such cell.
        FailedError: it was not measured, or its measurement is not valid.
    """
    cell = next((one for one in results.cells if one.name == name), None)
    if cell is None:
        near = nearest(name, [one.name for one in results.cells])
        raise InputError(f"The study has no cell '{name}'", remedy=f"Did you mean '{near}'?" if near else None)
    if cell.status != "ok" or cell.host is None:
        raise FailedError(f"{name} was not measured", found=f"{cell.status}: {cell.reason}")
    if cell.invalid:
        raise FailedError(f"The measurement of {name} is not valid", found="; ".join(cell.invalid))
    return cell


def deployable_cell(study: Study, name: str) -> DeployableCell:
    """Everything about one cell, verified.

    Raises:
        InputError: no such cell, or one that Triton's onnxruntime backend does not run.
        FailedError: it is not valid, was not audited, or did not pass.
        ArtifactError: a file is missing, damaged, or not the one that was audited.
    """
    cell = find_cell(study.results, name)
    if cell.runtime != SERVED_RUNTIME:
        raise InputError(
            f"{name} cannot be deployed",
            expected=f"a cell of {SERVED_RUNTIME}, which Triton's onnxruntime backend runs",
            found=f"{cell.runtime} ({RUNTIMES[cell.runtime].summary})",
        )
    audit, comparisons = audited_comparisons(study.audit, cell)
    export = _export(study.results, cell)
    model = usable_model(export, study.folder / "onnx")
    _check_hash(f"onnx@{export.exporter}", model, audit)
    weights = _weights(study, cell, audit)
    dataset_folder = _dataset_folder(study, cell.size)
    dataset = open_dataset(dataset_folder)
    return DeployableCell(
        cell=cell,
        curve=_curve(study.results, cell),
        export=export,
        model=model,
        spec=ModelSpec(cell.architecture, cell.size, len(dataset.classes), dataset.test.images.shape[-1]),
        audit=audit,
        comparisons=comparisons,
        dataset=dataset,
        dataset_folder=dataset_folder,
        weights=weights,
    )


def _curve(results: Results, cell: Cell) -> list[Cell]:
    alike = [
        one
        for one in results.cells
        if (one.architecture, one.size, one.threads, one.label)
        == (cell.architecture, cell.size, cell.threads, cell.label)
        and one.status == "ok"
        and one.throughput is not None
        and not one.invalid
    ]
    return sorted(alike, key=lambda one: one.batch)


def _export(results: Results, cell: Cell) -> Export:
    for export in results.exports:
        if (export.architecture, export.size, export.exporter) == (cell.architecture, cell.size, cell.exporter):
            if export.weights != cell.weights:
                raise ArtifactError(
                    f"{cell.name} was measured with other weights than its export has",
                    expected=cell.weights[:12],
                    found=export.weights[:12],
                    remedy="Run `assay run` on the study again",
                )
            return export
    raise ArtifactError(f"The results have no export for {cell.name}", expected=cell.exporter)


def _check_hash(name: str, path: Path, audit: ModelAudit) -> None:
    """
    Raises:
        ArtifactError: the file is not the one that the audit compared.
    """
    expected, found = audit.models.get(name, "none"), file_sha256(path)
    if expected != found:
        raise ArtifactError(
            f"{path} is not the file that was audited",
            expected=f"sha256 {expected[:12]}",
            found=f"sha256 {found[:12]}",
            remedy="Run `assay audit` on the study again",
        )


def _weights(study: Study, cell: Cell, audit: ModelAudit) -> Path:
    """The folder of the weights artifact of a cell."""
    for manifest in sorted((study.folder / "weights").glob("*/manifest.json")):
        artifact = read_artifact(manifest.parent, "weights")
        if artifact.key == cell.weights:
            _check_hash("weights", artifact.file("weights.safetensors"), audit)
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
