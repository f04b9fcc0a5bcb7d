"""The record of an audit, made from the audits of its models."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

from assay import __version__
from assay.bench.machine.host import Host
from assay.bench.report.page.audit_page import render_audit
from assay.numerics.reduced import rule_of
from assay.records.audit import AUDIT_FILE, PAGE_FILE, Audit, ModelAudit, reasons_of
from assay.store import write_together


def audit_of(
    models: list[ModelAudit],
    command: str,
    seconds: dict[str, float],
    *,
    host: Host,
    strict_nan: bool = False,
    data: str = "",
    notice: str = "",
) -> Audit:
    """Make the record with its verdict, for this machine and moment.

    Args:
        command: the command that repeats the audit.
        seconds: time that each part took.
        strict_nan: whether a runtime's own loss of NaN fails the audit.
        host: the host on which it was made.
        data, notice: description of the images, and the notice that must go with them.
    """
    reasons = reasons_of(models, strict_nan=strict_nan)
    return Audit(
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        assay_version=__version__,
        verdict="failed" if reasons else "passed",
        reasons=reasons,
        findings=[f"{model.name}: {finding}" for model in models for finding in model.findings()],
        strict_nan=strict_nan,
        data=data,
        notice=notice,
        command=command,
        reduced_precision_policy="; ".join(dict.fromkeys(rule_of(model.task).policy for model in models)),
        environment=host.environment(),
        models=models,
        seconds={name: round(value, 1) for name, value in seconds.items()},
    )


def write_audit(audit: Audit, folder: Path) -> None:
    """Write audit.json and the page audit.html: both or neither.

    Raises:
        InputError: the folder cannot be written; an older audit in it is untouched.
    """
    write_together(
        folder, {AUDIT_FILE: audit.model_dump_json(indent=1).encode(), PAGE_FILE: render_audit(audit).encode()}
    )
