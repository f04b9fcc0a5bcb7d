"""Separate runs that are read to be joined, and the machine of each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from assay.bench.comparing.files import read_side
from assay.bench.judging.judged import judged
from assay.bench.statistics.stats import Samples
from assay.errors import ArtifactError
from assay.files.mistakes import mistake_in
from assay.files.texts import read_json
from assay.fleet.kind import MachineKind, identity_in, kind_in
from assay.records.audit import AUDIT_FILE, Audit, read_audit
from assay.records.results import RESULTS_FILE, Cell, Results


@dataclass(frozen=True)
class RunApart:
    """One run.

    Attributes:
        folder: folder of the run.
        written_as: version of its results as stored there, before any upgrade.
        results: results as measured.
        said: results as its audit leaves them.
        audit: its audit, where there is one.
        timed: calls by cell and boundary, in milliseconds.
    """

    folder: Path
    written_as: int
    results: Results
    said: Results
    audit: Audit | None
    timed: dict[str, dict[str, Samples]]

    @cached_property
    def kind(self) -> MachineKind:
        return kind_in(self.results.environment)

    @cached_property
    def machine(self) -> str:
        """The machine's identity: kinds share no machine, and those of a kind without an identity count as one."""
        return f"{self.kind.key}/{identity_in(self.results.environment).machine}"

    @cached_property
    def cells(self) -> dict[str, Cell]:
        """Cells by name, without those that run no model."""
        return {cell.name: cell for cell in self.said.cells if cell.framework}


def read_run(folder: Path) -> RunApart:
    """
    Raises:
        ArtifactError: there is no run in the folder, its samples are missing, or something in it is damaged.
    """
    side = read_side(folder)
    audit = read_audit(folder / AUDIT_FILE) if (folder / AUDIT_FILE).is_file() else None
    timed = {cell: dict(boundaries) for cell, boundaries in side.timed.items()}
    return RunApart(
        folder=folder,
        written_as=_version(folder / RESULTS_FILE),
        results=side.results,
        said=judged(side.results, audit, timed),
        audit=audit,
        timed=timed,
    )


def by_machine(runs: Sequence[RunApart]) -> dict[str, list[RunApart]]:
    """Return the runs on each machine, in the order of the machines."""
    found: dict[str, list[RunApart]] = {}
    for run in runs:
        found.setdefault(run.machine, []).append(run)
    return found


def _version(path: Path) -> int:
    try:
        return int(read_json(path)["schema_version"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ArtifactError(f"Cannot read results from {path}", found=mistake_in(error)) from error
