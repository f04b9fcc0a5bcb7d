"""The record of an audit, from what its models' audits say."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

from assay import __version__
from assay.audit import AUDIT_FILE, Audit, ModelAudit, reasons_of
from assay.store import write_atomically
from bench.machine import environment


def audit_of(models: list[ModelAudit], command: str, seconds: dict[str, float]) -> Audit:
    """The record with its verdict, of this machine and this moment.

    Args:
        command: what a reader types to make the audit again.
        seconds: what each part took.
    """
    reasons = reasons_of(models)
    return Audit(
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        assay_version=__version__,
        verdict="failed" if reasons else "passed",
        reasons=reasons,
        command=command,
        environment=environment(),
        models=models,
        seconds={name: round(value, 1) for name, value in seconds.items()},
    )


def write_audit(audit: Audit, folder: Path) -> None:
    """Write audit.json, whole or not at all.

    Raises:
        InputError: the folder cannot be written; an older audit in it is untouched.
    """
    write_atomically(folder / AUDIT_FILE, audit.model_dump_json(indent=1).encode())
