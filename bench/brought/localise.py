"""Where the exports of a user's model go wrong that do, or the runtimes that run right ones."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from assay.bench.auditing.localise import REPRO, RUNNERS, disagreeing
from assay.bench.brought.exports import Brought
from assay.bench.brought.work import Work
from assay.boxed.boxing import Box
from assay.errors import AssayError, DiskError
from assay.export.checking.edges import EDGES_FILE, EDGES_NATIVE_FILE, is_wrong_at_edges_alone
from assay.export.checking.lacking import lacks_operator
from assay.export.localise.localise_job import DEPARTURES, PARTINGS, DeparturesRequest, PartingsRequest
from assay.export.probing.probe import NATIVE_FILE, RECORDS_FILE
from assay.export.record import MODEL_FILE
from assay.export.reference.reference import CPU_ONLY
from assay.export.run import artifact_folder
from assay.jobs.job import Asked, Job
from assay.jobs.pace import allowed
from assay.jobs.running import run_job
from assay.numerics.guilt import EVALUATOR, UNOPTIMISED
from assay.records.audit import AUDIT_FILE, read_audit
from assay.records.localisation import Localisation, Localised
from assay.records.results import Cell, Export
from assay.steps import LONGER, Limit, limits_told, size_of
from assay.store import reporting_disk_errors


def where_exports_go_wrong(work: Work, brought: Brought, exports: Sequence[Export]) -> list[Localisation]:
    """The nodes at which wrong exports part from their model, each with its repro in the folder `repro`."""
    found: list[Localisation] = []
    for export in exports:
        file = artifact_folder(export, work.store("onnx")) / MODEL_FILE
        if brought.model.kind != "onnx" and may_be_wrong(export) and file.is_file():
            work.narrator.tell(f"looking for the node at which the export by {export.exporter} goes wrong")
            at_edges = is_wrong_at_edges_alone(export.agreement)
            request = PartingsRequest(
                model=brought.model,
                file=file,
                records=brought.folder / (EDGES_FILE if at_edges else RECORDS_FILE),
                native=brought.folder / (EDGES_NATIVE_FILE if at_edges else NATIVE_FILE),
                repro=work.folder / REPRO / export.exporter,
            )
            with reporting_disk_errors(request.repro):
                request.repro.mkdir(parents=True, exist_ok=True)
            found += _asked(work, PARTINGS, request, export.exporter, request.repro)
    return found


def may_be_wrong(export: Export) -> bool:
    """Whether there is a file that may be at fault: of one that its runtime has no operator for, nothing is known."""
    judged = not export.undecided and not lacks_operator(export.reason) and export.precision == "fp32"
    return export.status == "failed" and bool(export.opset) and judged


def where_runtimes_go_wrong(
    work: Work, brought: Brought, cells: Sequence[Cell], exports: Sequence[Export]
) -> list[Localisation]:
    """The operators at which runtimes go wrong on files that are right."""
    found: list[Localisation] = []
    for export in exports:
        wrong, right = _wrong_and_right(cells, export)
        if export.status == "ok" and wrong and export.precision == "fp32":
            file = artifact_folder(export, work.store("onnx")) / MODEL_FILE
            request = DeparturesRequest(
                model=brought.model, file=file, records=brought.folder / RECORDS_FILE, wrong=tuple(wrong), right=right
            )
            found += _asked(work, DEPARTURES, request, export.exporter)
    return found


def _wrong_and_right(cells: Sequence[Cell], export: Export) -> tuple[list[str], str]:
    """What was timed and is wrong, else the witness that does most to the file of those that its check found wrong."""
    wrong, right = disagreeing(_outcomes(cells, export.exporter))
    wrong = wrong or [name for name in export.wrong_in if name in RUNNERS.values()][-1:]
    return wrong, export.right_in or right or (UNOPTIMISED if UNOPTIMISED not in wrong else EVALUATOR)


def _outcomes(cells: Sequence[Cell], exporter: str) -> dict[str, bool]:
    """Whether the cells of each runtime on one file agree, by `RUNNERS`' name of it."""
    found: dict[str, bool] = {}
    for cell in cells:
        runner = RUNNERS.get(cell.runtime)
        if runner is not None and cell.exporter == exporter and cell.agreement is not None:
            found[runner] = found.get(runner, True) and cell.agreement.passed
    return found


def _asked(work: Work, job: Job[Asked, Localised], request: Asked, exporter: str, *answers: Path) -> list[Localisation]:
    """What the job finds; nothing, and a note of why, where it cannot follow the model or the file.

    Args:
        answers: folders that it writes.
    """
    log = work.folder / "logs" / f"localise-{exporter}.log"
    seconds = max(allowed("following", work, size_of(work.wanted.location.path)), work.wanted.call_limit or 0.0)
    try:
        found = run_job(
            job,
            request,
            log,
            limit_seconds=Limit(seconds, f"Looking for the node at which {exporter} goes wrong", LONGER),
            environment=CPU_ONLY | limits_told(work.wanted.call_limit),
            box=Box(answers, work.wanted.trusted, told=work.held.update),
            host=work.host,
        ).found
    except DiskError:
        raise  # the machine's failure, not this one's
    except AssayError as error:
        work.narrator.note(f"where {exporter} goes wrong could not be followed: {error}")
        return []
    told = [one.model_copy(update={"subject": exporter}) for one in found]
    for one in told:
        work.narrator.note(str(one))
    return told


def located(folder: Path) -> list[Localisation]:
    """What the audit beside results says of where it goes wrong; nothing where there is none."""
    if not (folder / AUDIT_FILE).is_file():
        return []
    return [one for model in read_audit(folder / AUDIT_FILE).models for one in model.localisations]
