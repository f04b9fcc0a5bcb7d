"""The audit of a user's model: every output of every runtime against the reference, as `assay audit` writes it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path

from assay.bench.auditing.by_output import RunOfOutputs, judged_by_output
from assay.bench.auditing.guilt import explained_by_files
from assay.bench.auditing.kept import identity_of
from assay.bench.auditing.localise import Followable
from assay.bench.auditing.outputs import Array, AuditedOutput
from assay.bench.auditing.record import audit_of, audit_of_model
from assay.bench.auditing.runs import ran_of_cell
from assay.bench.brought.decided import audited_outputs
from assay.bench.brought.exports import Brought
from assay.bench.brought.work import Work
from assay.export.checking.edges import EDGES_FILE, EDGES_NATIVE_FILE
from assay.export.probing.probe import NATIVE_FILE, RECORDS_FILE
from assay.files.arrays import load_array
from assay.records.audit import Audit, InputSet
from assay.records.results import Cell, Export
from assay.store import file_sha256
from assay.train.brought.agreement import parts_of


def audit_user_model(
    work: Work, brought: Brought, cells: Sequence[Cell], outputs: Mapping[str, Path], exports: Sequence[Export]
) -> Audit:
    """Make the record of an audit, with a tolerance for each output.

    Args:
        outputs: .npy file of a cell's outputs for the records, by cell.
    """
    model, known = brought.model, len(brought.reference)
    judged = judged_by_output(audited_outputs(brought), _runs(brought, cells, outputs))
    records = file_sha256(brought.folder / RECORDS_FILE)
    what = f"inputs {'drawn' if brought.drawn else 'given by the user'}" + (f". {brought.made}" if brought.made else "")
    programs = {cell.label: cell.program for cell in cells}
    identity = identity_of(work, {"model": model.fingerprint}, model.fingerprint, exports, programs)
    record = audit_of_model(
        model.location.name,
        identity,
        [
            InputSet(name=one.name, sha256=records, images=known, sampled_from=brought.records, what=what)
            for one in model.outputs
        ],
        judged,
        explained_by_files(work, _followable(work, brought), exports, judged.comparisons),
        task=work.wanted.task,
        reference=brought.what,
        left_out=model.without,
        missing={
            f"the export by {one.exporter}": one.reason
            for one in exports
            if one.agreement and one.status != "ok" and not one.is_refused_variant
        },
    )
    return audit_of([record], work.wanted.command, {}, host=work.host)


def _runs(brought: Brought, cells: Sequence[Cell], outputs: Mapping[str, Path]) -> Iterator[RunOfOutputs]:
    """Iterate over the cells that left outputs, with the rows for which there is a reference."""
    parts, known = dict(parts_of(brought.model)), len(brought.reference)

    def rows(file: Path, output: AuditedOutput) -> Array:
        found: Array = load_array(file)[:known, parts[output.name]]
        return found

    for cell in cells:
        if cell.framework and cell.name in outputs:
            of = partial(rows, outputs[cell.name])
            yield RunOfOutputs(ran_of_cell(cell), cell.runtime, of, cell.batch, cell.threads, cell.judgement)


def _followable(work: Work, brought: Brought) -> Followable:
    folder = brought.folder
    edges = folder / EDGES_FILE, folder / EDGES_NATIVE_FILE
    return Followable(brought.model, folder / RECORDS_FILE, folder / NATIVE_FILE, edges, work)
