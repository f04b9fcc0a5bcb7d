"""The record of an audit, and of each model in it, of a study or a user, however it was judged."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from assay import __version__
from assay.bench.auditing.kept import Identity
from assay.bench.machine.host import Host
from assay.bench.report.page.audit_page import render_audit
from assay.numerics.classification.pictured import FlippedImage, WholeSplit
from assay.numerics.reduced import rule_of
from assay.records.audit import (
    AUDIT_FILE,
    PAGE_FILE,
    Audit,
    AuditedTolerance,
    Comparison,
    Determinism,
    InputSet,
    ModelAudit,
    Propagation,
    Ran,
    reasons_of,
)
from assay.records.localisation import Localisation
from assay.store import write_together


@dataclass(frozen=True)
class ComparedOutputs:
    """The comparison of every subject's outputs with the reference; see `ModelAudit`."""

    tolerances: list[AuditedTolerance]
    comparisons: list[Comparison]
    ran: list[Ran]
    determinism: list[Determinism] = field(default_factory=list)


@dataclass(frozen=True)
class OfImages:
    """The part of an audit that only a study's images have; see `ModelAudit`."""

    propagation: list[Propagation] = field(default_factory=list)
    classes: list[str] = field(default_factory=list)
    flipped: list[FlippedImage] = field(default_factory=list)
    split: WholeSplit | None = None


@dataclass(frozen=True)
class Explained:
    """Where a model's wrong files go wrong, and who is wrong about each; see `ModelAudit`."""

    localisations: list[Localisation] = field(default_factory=list)
    guilt: list[str] = field(default_factory=list)


def audit_of_model(  # noqa: PLR0913  each is a part of the record
    name: str,
    identity: Identity,
    inputs: list[InputSet],
    judged: ComparedOutputs,
    explained: Explained,
    images: OfImages | None = None,
    *,
    task: str,
    reference: str,
    reference_check: float | None = None,
    missing: Mapping[str, str],
    left_out: Sequence[str] = (),
) -> ModelAudit:
    """Fill the record of one model."""
    return ModelAudit(
        name=name,
        task=task,
        reference=reference,
        reference_check=reference_check,
        models=identity.models,
        keys=identity.keys,
        data_hash=identity.data_hash,
        inputs=inputs,
        missing=dict(missing),
        left_out=list(left_out),
        **vars(judged),
        **vars(explained),
        **vars(images or OfImages()),
    )


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
