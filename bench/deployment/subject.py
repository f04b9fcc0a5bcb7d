"""The subject of a deployment: an audited cell with all the parts of its deployment, or the reason why it cannot be
deployed. Nothing is deployed on trust. The file must be the one that its manifest, the results and the audit name, by
its hash; the audit must have compared exactly this runtime on exactly this file, and have passed it. The audited data
depend on the kind of results: images of a data set (`audited_images`), or records that go into the file as they are
(`audited_records`). Both fill an `AuditedModel`, and everything after that is the same.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from assay.bench.words.names import in_words, points_of, sized
from assay.bench.words.progress import Narrator
from assay.errors import ArtifactError, FailedError, InputError, meant_by
from assay.export.served import contract_job
from assay.export.served.contract_job import ContractRequest, run_contract
from assay.export.served.made import ExportContract
from assay.files.arrays import load_array
from assay.numerics.served import Records, ServedTensor
from assay.records.audit import AUDIT_FILE, Audit, Comparison, ModelAudit, read_audit
from assay.records.base import Interval
from assay.records.deployment import INPUTS_FILE, ServedTolerance, Unit, served_runtime
from assay.records.results import RESULTS_FILE, Cell, DataSummary, Export, Results, read_results
from assay.records.stale import is_file_of, is_of
from assay.registry import RUNTIMES
from assay.store import file_sha256
from assay.train.brought.model import UserModel
from assay.train.built import BuiltModel


@dataclass(frozen=True)
class FinishedStudy:
    """A finished study, or the comparison of a user's model, on disk.

    Attributes:
        folder: folder of results.json, audit.json, onnx/, and what they were made from.
        data: the folder of stored data sets, beside it unless told otherwise.
        trusted: whether a user's model runs outside a box; see `assay.boxed.boxing.Box`.
    """

    folder: Path
    data: Path
    results: Results
    audit: Audit
    trusted: bool = False


@dataclass(frozen=True)
class ServedGraph:
    """A graph as it is served, with its answers, judged.

    Attributes:
        folder: folder of the files of `assay.export.served.contract_job`.
        tolerances: tolerances by output, for `assay.records.deployment.Version`.
    """

    folder: Path
    tolerances: dict[str, ServedTolerance]
    quality: Interval | None


Judged = tuple[dict[str, ServedTolerance], Interval | None]
"""How far a server may be from the answers, by output, and how many of the answers are right, if known."""


@dataclass(frozen=True)
class AuditedModel:
    """A model with the data that it was audited on, in the form in which it will be served.

    Attributes:
        name, unit, inputs, outputs, classes, data: as in `assay.records.deployment.Deployment`.
        batched: whether a request may hold any number of records.
        model: the audited model, built or brought.
        contract: contract to put around the audited file; None where it is served as it is.
        warm_up: a real record, (1,).
        records: the records, (count,), which the deployment includes, or the .npy file of those that `data` names.
        labels: true classes, int64 (count,), or None.
        judge: compares the served graph's answers (count,), with their spread by output, with the reference.
    """

    name: str
    unit: Unit
    inputs: list[ServedTensor]
    outputs: list[ServedTensor]
    classes: list[str]
    batched: bool
    data: DataSummary
    model: BuiltModel | UserModel
    contract: ExportContract | None
    warm_up: Records
    records: Records | Path
    labels: NDArray[np.int64] | None
    judge: Callable[[Records, Mapping[str, float], Narrator], Judged]


@dataclass(frozen=True)
class Deployable:
    """A verified subject of a deployment.

    Attributes:
        cell: the measured cell.
        curve: valid cells of the same runtime and export with the same threads at every batch size, ascending.
        export: the export that it runs; None for a framework's own runtime, which gets a file of its own.
        audited_sha256: as in `assay.records.deployment.Version`.
        source: the audited file of the export.
        most_records: as in `assay.records.deployment.Deployment`.
        trusted: whether the file runs outside a box; see `assay.boxed.boxing.Box`.
    """

    results: Results
    cell: Cell
    curve: list[Cell]
    export: Export | None
    audited_sha256: str
    source: Path | None
    audited: AuditedModel
    most_records: int
    trusted: bool

    @property
    def runtime(self) -> str:
        """The runtime as a version records it: "" for the only one that was served before there were others."""
        return "" if self.cell.runtime == served_runtime("").name else self.cell.runtime

    @property
    def precision(self) -> str:
        return self.cell.precision or "fp32"

    def build(self, folder: Path, narrator: Narrator) -> ServedGraph:
        """Make the served graph in an empty folder, run it over all audited data, and judge its answers.

        Raises:
            FailedError: the answers are not what the audit allows.
        """
        audited, records = self.audited, self.audited.records
        if not isinstance(records, Path):
            np.save(folder / INPUTS_FILE, records)
            records = folder / INPUTS_FILE
        request = ContractRequest(
            runtime=self.runtime,
            source=self.source,
            model=audited.model,
            contract=audited.contract,
            inputs=audited.inputs,
            outputs=audited.outputs,
            records=records,
            threads=self.cell.threads,
            most_records=self.most_records,
        )
        narrator.tell(f"running the graph to be served over every audited {audited.unit}")
        outcome = run_contract(request, folder, trusted=self.trusted)
        answers = load_array(folder / contract_job.OUTPUTS_FILE)
        return ServedGraph(folder, *audited.judge(answers, outcome.spread, narrator))


def read_study(folder: Path, data: Path | None = None, *, trusted: bool = False) -> FinishedStudy:
    """
    Raises:
        ArtifactError: results or audit are missing or damaged.
    """
    return FinishedStudy(
        folder.resolve(),
        (data or folder.resolve().parent / "data").resolve(),
        read_results(folder / RESULTS_FILE),
        read_audit(folder / AUDIT_FILE),
        trusted,
    )


def audited_comparisons(audit: Audit, cell: Cell) -> tuple[ModelAudit, list[Comparison]]:
    """Return the audit of a cell's model, and its comparisons of the cell's runtime on its export.

    Raises:
        FailedError: the cell was not audited, or did not pass.
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
        InputError: there is no such cell, it is of a runtime that no server runs, or it was timed on a GPU and is
            served on the CPU.
        FailedError: the cell was not measured, or its measurement is not valid.
    """
    cell = next((one for one in results.cells if one.name == name), None)
    if cell is None:
        raise InputError(f"The study has no cell '{name}'", remedy=meant_by(name, (one.name for one in results.cells)))
    if cell.status != "ok" or cell.host is None:
        raise FailedError(f"{name} was not measured", found=f"{cell.status}: {cell.reason}")
    points = points_of(results)
    if points and cell.size != next(iter(points[0].values())):
        raise InputError(
            f"{name} cannot be deployed: only the first size of a comparison is",
            expected=in_words(points[0]),
            found=sized(cell.size, results),
            remedy="Compare the model at this size alone, then deploy it",
        )
    if cell.invalid:
        raise FailedError(f"The measurement of {name} is INVALID", found="; ".join(cell.invalid))
    served = {entry.name: entry.served_by for entry in RUNTIMES.values() if entry.served_by}
    if cell.runtime not in served:
        raise InputError(
            f"{name} cannot be deployed",
            expected=f"a cell of {', '.join(served)}, which a server can run as they were measured",
            found=f"{cell.runtime} ({RUNTIMES[cell.runtime].unserved or RUNTIMES[cell.runtime].summary})",
        )
    if "cuda" in cell.device_kind and served[cell.runtime].device == "cpu":
        on_gpu = [one for one, how in served.items() if how.device == "cuda"]
        raise InputError(
            f"{name} cannot be deployed",
            expected=f"a cell that was timed on the CPU, where {cell.runtime} is served, or one of {', '.join(on_gpu)}",
            found=f"one timed on {cell.device_kind}",
            remedy=f'Choose a cell of {on_gpu[0]}, or time the study with bench.device = "cpu"',
        )
    return cell


def curve_of(results: Results, cell: Cell) -> list[Cell]:
    """Return the cell at every batch size that was measured and is valid, ascending."""
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
        if is_file_of(export, cell):
            if export.weights != cell.weights:
                raise ArtifactError(
                    f"{cell.name} was measured with different weights from those in its export",
                    expected=cell.weights[:12],
                    found=export.weights[:12],
                    remedy="Run `assay run` on the study again",
                )
            return export
    raise ArtifactError(f"The results have no export for {cell.name}", expected=cell.exporter)


def audited_hash(audit: ModelAudit, export: Export | None) -> str:
    """Return the audit's hash of what was audited: the export's file, neutral weights, or a user's model."""
    names = [f"onnx@{export.exporter}"] if export else ["weights", "model"]
    return next((audit.models[name] for name in names if name in audit.models), "none")


def check_hash(path: Path, expected: str) -> None:
    """
    Raises:
        ArtifactError: the file is not the one that was audited.
    """
    found = file_sha256(path) if path.is_file() else ""
    if expected != found:
        raise ArtifactError(
            f"{path} differs from the file that was audited",
            expected=f"sha256 {expected[:12]}",
            found=f"sha256 {found[:12]}" if found else "no such file",
            remedy="Compare or audit again",
        )
