"""A model's conversion for a runtime with a format of its own, found again: the file that was timed and audited."""

from __future__ import annotations

from pathlib import Path

from assay.errors import ArtifactError, FailedError
from assay.export.programs.programs import KIND
from assay.records.audit import PROGRAM, ModelAudit
from assay.records.deployment import served_by
from assay.records.results import Cell
from assay.store import KEY_CHARACTERS, read_artifact

PROGRAMS = "programs"


def audited_program(study: Path, cell: Cell, audit: ModelAudit) -> Path:
    """Return the file that a cell's runtime loaded, verified.

    Args:
        study: folder of the study, or of the comparison of a user's model.

    Raises:
        FailedError: the audit is about another file, or does not say which.
        ArtifactError: the file is missing or damaged.
    """
    again = "Run `assay run` on the study and then `assay audit`, or `assay model` on a model of your own, again"
    audited = audit.keys.get(f"{PROGRAM}{cell.label}", "")
    if not cell.program:
        raise FailedError(
            f"The results do not say which file was timed in {cell.name}, as those by an older Assay did not",
            remedy=again,
        )
    if audited != cell.program:
        raise FailedError(
            f"{cell.name} was audited on a file other than the one timed",
            expected=cell.program[:KEY_CHARACTERS],
            found=audited[:KEY_CHARACTERS] or "no key of it in the audit",
            remedy=again,
        )
    for manifest in sorted((study / PROGRAMS).glob(f"*-{cell.program[:KEY_CHARACTERS]}/manifest.json")):
        artifact = read_artifact(manifest.parent, KIND)
        if artifact.key == cell.program:
            return artifact.file(served_by(cell.runtime).file)
    raise ArtifactError(
        f"The file that {cell.runtime} loads in {cell.name} is not in {study / PROGRAMS}",
        expected=f"an artifact of the key {cell.program[:KEY_CHARACTERS]}",
        remedy=again,
    )
