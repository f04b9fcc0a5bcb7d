"""The audit of a user's model: every output of every runtime against the reference, as `assay audit` writes it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np

from assay.bench.auditing.guilt import guilt_in_study
from assay.bench.auditing.record import audit_of
from assay.bench.auditing.runs import AuditCall
from assay.bench.brought.decided import audited_outputs, judged_in
from assay.bench.brought.exports import Brought
from assay.bench.brought.work import Wanted
from assay.bench.machine.host import LOCAL, Host
from assay.export.probing.probe import RECORDS_FILE
from assay.files.arrays import load_array
from assay.numerics.following import is_reduced
from assay.records.audit import PROGRAM, Audit, AuditedTolerance, Comparison, InputSet, ModelAudit
from assay.records.localisation import Localisation
from assay.records.results import Cell, Export
from assay.store import file_sha256
from assay.train.brought.agreement import parts_of


def audit_user_model(
    brought: Brought,
    cells: Sequence[Cell],
    outputs: Mapping[str, Path],
    files: Mapping[str, Path],
    exports: Sequence[Export],
    localisations: Sequence[Localisation],
    wanted: Wanted,
    *,
    host: Host = LOCAL,
) -> Audit:
    """The record of an audit, with a tolerance for each output.

    Args:
        outputs: by cell, .npy of what it gave for the records.
        files: the ONNX files that were run, by exporter.
    """
    tolerances: list[AuditedTolerance] = []
    comparisons: list[Comparison] = []
    records = file_sha256(brought.folder / RECORDS_FILE)
    known = len(brought.reference)
    for one, (name, part) in zip(audited_outputs(brought), parts_of(brought.model), strict=True):
        tolerances.append(one.tolerance)
        for cell, rows in _runs(cells, outputs, known):
            call = AuditCall(name, batch=cell.batch, threads=cell.threads, images=len(rows))
            precision = judged_in(cell.runtime, cell.asked_precision, cell.precision, brought.model)
            if is_reduced(precision, brought.model.arithmetic):
                judged = one.followed(cell.label, call, rows[:, part], precision)
            else:
                judged = one.compared(cell.label, call, rows[:, part])  # by its tolerance, whatever it computes in
            changes: dict[str, object] = {"precision": cell.precision or judged.precision}
            if cell.judgement and cell.judgement.output == name:
                changes["judgement"] = cell.judgement
                if judged.passed and cell.judgement.reason:
                    changes |= {"passed": False, "reason": cell.judgement.reason}
            comparisons.append(judged.model_copy(update=changes))
    what = f"inputs {'drawn' if brought.drawn else 'given by the user'}" + (f". {brought.made}" if brought.made else "")
    model = ModelAudit(
        name=brought.model.location.name,
        task=wanted.task,
        reference=brought.what,
        reference_check=None,
        models={"model": brought.model.fingerprint}
        | {f"onnx@{name}": file_sha256(path) for name, path in files.items()},
        keys={"weights": brought.model.fingerprint}
        | {f"onnx@{one.exporter}": one.key for one in exports}
        | {f"{PROGRAM}{cell.label}": cell.program for cell in cells if cell.program},
        inputs=[
            InputSet(
                name=output.name,
                sha256=records,
                images=known,
                sampled_from=brought.records,
                what=what,
            )
            for output in brought.model.outputs
        ],
        tolerances=tolerances,
        comparisons=comparisons,
        localisations=list(localisations),
        guilt=guilt_in_study(comparisons, exports, localisations),
        left_out=list(brought.model.without),
        missing={
            f"the export by {one.exporter}": one.reason
            for one in exports
            if one.agreement and one.status != "ok" and not one.is_refused_variant
        },
    )
    return audit_of([model], wanted.command, {}, host=host)


def _runs(cells: Sequence[Cell], outputs: Mapping[str, Path], known: int) -> Iterator[tuple[Cell, np.ndarray]]:
    """The cells that left outputs, with those that there is a reference for."""
    for cell in cells:
        if cell.framework and cell.name in outputs:
            yield cell, load_array(outputs[cell.name])[:known]
