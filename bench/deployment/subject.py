"""What is to be deployed: an audited cell with all that its deployment is made of, or the reason why not.

Nothing is deployed on trust. The file must be the one that its manifest, the results and the audit speak of, by its
hash; the audit must have compared exactly this runtime on exactly this file, and have passed it. `of_study` finds all
that for a cell of a study, `of_user` for one of `assay compare-model`, and from there on both are a `Subject`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from assay.bench.conductor import RESULTS_FILE
from assay.bench.words.progress import Narrator
from assay.errors import ArtifactError, FailedError, InputError, nearest
from assay.numerics.served import Records, Tensor
from assay.records.audit import AUDIT_FILE, Audit, Comparison, ModelAudit, read_audit
from assay.records.base import Interval
from assay.records.deployment import Tolerance, Unit
from assay.records.results import Cell, DataSummary, Export, Results, read_results
from assay.records.stale import is_of
from assay.registry import RUNTIMES
from assay.store import file_sha256

BACKEND = "onnxruntime"
"""Of Triton, for what is deployed."""


@dataclass(frozen=True)
class Study:
    """A finished study, or the comparison of a user's model, on disk.

    Attributes:
        folder: with results.json, audit.json, onnx/, and what they were made of.
        data: the folder of stored data sets, beside it unless told otherwise.
        trusted: a user's model runs outside of a box, see `assay.boxed.boxing.Box`.
    """

    folder: Path
    data: Path
    results: Results
    audit: Audit
    trusted: bool = False


@dataclass(frozen=True)
class Built:
    """A graph as it is served, with its answers, judged.

    Attributes:
        folder: has the files of `assay.export.served.contract_job`.
        tolerances: by output, for `assay.records.deployment.Version`.
    """

    folder: Path
    tolerances: dict[str, Tolerance]
    accuracy: Interval | None


@dataclass(frozen=True)
class Subject:
    """What may be deployed, verified.

    Attributes:
        cell: the measurement.
        curve: the same runtime and export with the same threads at every batch size, ascending; valid ones only.
        name, unit, inputs, outputs, classes, most_records, data: as in `assay.records.deployment.Deployment`.
        warm_up: (1,), a real record.
        inputs_kept: (count,), the audited inputs that the deployment takes along; None where `data` names them.
        labels: int64 (count,), true classes of what is audited, or None.
        build: makes the served graph in an empty folder, runs it over all that is audited and judges its answers.
    """

    results: Results
    cell: Cell
    curve: list[Cell]
    export: Export
    name: str
    unit: Unit
    inputs: list[Tensor]
    outputs: list[Tensor]
    classes: list[str]
    most_records: int
    data: DataSummary
    warm_up: Records
    inputs_kept: Records | None
    labels: NDArray[np.int64] | None
    build: Callable[[Path, Narrator], Built]

    @property
    def precision(self) -> str:
        return self.cell.precision or "fp32"


def read_study(folder: Path, data: Path | None = None, *, trusted: bool = False) -> Study:
    """
    Raises:
        ArtifactError: results or audit are missing or damaged.
    """
    return Study(
        folder.resolve(),
        (data or folder.resolve().parent / "data").resolve(),
        read_results(folder / RESULTS_FILE),
        read_audit(folder / AUDIT_FILE),
        trusted,
    )


def audited_comparisons(audit: Audit, cell: Cell) -> tuple[ModelAudit, list[Comparison]]:
    """The audit of a cell's model, and what it compared of the cell's runtime on its export.

    Raises:
        FailedError: it was not audited, or did not pass.
    """
    model = next((one for one in audit.models if is_of(cell, one)), None)
    comparisons = [one for one in model.comparisons if one.subject == cell.label] if model else []
    remedy = "Run `assay audit` on the study"
    if model is None or not comparisons:
        why = model.missing.get(cell.label) if model else None
        raise FailedError(f"{cell.name} was not audited", found=why, remedy=remedy)
    against = model.failures_of(cell.label, strict_nan=audit.strict_nan)
    if against:
        more = f" (and {len(against) - 1} more)" if len(against) > 1 else ""
        raise FailedError(f"{cell.name} did not pass its audit", found=against[0] + more)
    return model, comparisons


def servable_cell(results: Results, name: str) -> Cell:
    """
    Raises:
        InputError: there is no such cell, or it is one that Triton's onnxruntime backend does not run.
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
    served = [entry.name for entry in RUNTIMES.values() if entry.served_by == BACKEND]
    if cell.runtime not in served:
        raise InputError(
            f"{name} cannot be deployed",
            expected=f"a cell of {', '.join(served)}, which Triton's {BACKEND} backend runs",
            found=f"{cell.runtime} ({RUNTIMES[cell.runtime].summary})",
        )
    return cell


def curve_of(results: Results, cell: Cell) -> list[Cell]:
    """The cell at every batch size that was measured and is valid, ascending."""
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


def export_of(results: Results, cell: Cell) -> Export:
    """
    Raises:
        ArtifactError: there is no export for the cell, or it has other weights.
    """
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


def check_hash(path: Path, expected: str) -> None:
    """
    Raises:
        ArtifactError: the file is not the one that was audited.
    """
    found = file_sha256(path) if path.is_file() else ""
    if expected != found:
        raise ArtifactError(
            f"{path} is not the file that was audited",
            expected=f"sha256 {expected[:12]}",
            found=f"sha256 {found[:12]}" if found else "no such file",
            remedy="Compare or audit again",
        )
