"""The audit of a user's model: every output of every runtime against the reference, as `assay audit` writes it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path

from assay.bench.auditing.by_output import RunOfOutputs, judged_by_output
from assay.bench.auditing.guilt import explained_by_files
from assay.bench.auditing.kept import identity_of
from assay.bench.auditing.localise import Followable
from assay.bench.auditing.outputs import Array
from assay.bench.auditing.record import audit_of, audit_of_model
from assay.bench.auditing.runs import ran_of_cell
from assay.bench.brought.exports import Brought
from assay.bench.brought.sizes import exports_to_follow
from assay.bench.brought.work import Work
from assay.export.checking.edges import EDGES_FILE, EDGES_NATIVE_FILE
from assay.export.probing.probe import NATIVE_FILE, RECORDS_FILE
from assay.files.arrays import load_array
from assay.records.audit import Audit, InputSet, ModelAudit
from assay.records.results import Cell, Export
from assay.store import file_sha256
from assay.train.brought.judged import JudgedOutput
from assay.train.brought.own import own_tolerances
from assay.train.brought.varying import in_order


def audit_user_model(
    work: Work,
    brought: Brought | Sequence[Brought],
    cells: Sequence[Cell],
    outputs: Mapping[str, Path],
    exports: Sequence[Export],
) -> Audit:
    """Make the record of an audit, with a tolerance for each output.

    Args:
        brought: the model, at every size at which it was compared.
        outputs: .npy file of a cell's outputs for the records, by cell.
    """
    sides = [brought] if isinstance(brought, Brought) else brought
    records = [
        _audited(
            work,
            one,
            [cell for cell in cells if len(sides) == 1 or cell.size == one.model.image_size],
            outputs,
            exports,
        )
        for one in sides
    ]
    return audit_of(records, work.wanted.command, {}, host=work.host)


def _audited(
    work: Work, brought: Brought, cells: Sequence[Cell], outputs: Mapping[str, Path], exports: Sequence[Export]
) -> ModelAudit:
    model, known = brought.model, len(brought.reference)
    own = own_tolerances(work.wanted.tolerances, [one.name for one in model.outputs])
    judged = judged_by_output([one for one, _ in brought.judge(own).outputs], _runs(brought, cells, outputs))
    followed = exports_to_follow(work.wanted, brought, exports)
    records = file_sha256(brought.folder / RECORDS_FILE)
    what = f"inputs {'drawn' if brought.drawn else 'given by the user'}" + (f". {brought.made}" if brought.made else "")
    programs = {cell.label: cell.program for cell in cells}
    identity = identity_of(work, {"model": model.fingerprint}, model.fingerprint, exports, programs)
    return audit_of_model(
        f"{model.location.name}/{model.axis_size}" if model.axis_size else model.location.name,
        identity,
        [
            InputSet(name=one.name, sha256=records, images=known, sampled_from=brought.records, what=what)
            for one in model.outputs
        ],
        judged,
        explained_by_files(work, _followable(work, brought), followed, judged.comparisons),
        task=work.wanted.task,
        reference=brought.what,
        left_out=model.without,
        missing={
            f"the export by {one.exporter}": one.reason
            for one in exports
            if one.agreement and one.status != "ok" and not one.is_refused_variant
        },
    )


def _runs(brought: Brought, cells: Sequence[Cell], outputs: Mapping[str, Path]) -> Iterator[RunOfOutputs]:
    """Iterate over the cells that left outputs, with the rows for which there is a reference."""
    parts, known = {one.name: part for one, part in brought.model.parts}, len(brought.reference)

    def rows(file: Path, output: JudgedOutput) -> Array:
        found: Array = load_array(file)[:known]
        return in_order(brought.reference[: len(found)], found, brought.model.outputs)[:, parts[output.name]]

    for cell in cells:
        if cell.framework and cell.name in outputs:
            of = partial(rows, outputs[cell.name])
            yield RunOfOutputs(ran_of_cell(cell), cell.runtime, of, cell.batch, cell.threads, cell.judgement)


def _followable(work: Work, brought: Brought) -> Followable:
    folder = brought.folder
    edges = folder / EDGES_FILE, folder / EDGES_NATIVE_FILE
    return Followable(brought.model, folder / RECORDS_FILE, folder / NATIVE_FILE, edges, work, brought.kernels)
