"""The study's own records behind a version's settings and the numbers on its card."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field, JsonValue

from assay.bench.deployment.subject import Deployable
from assay.records.base import Record
from assay.records.races import SpeedComparison
from assay.records.results import Cell, Export
from assay.records.trainings import Training
from assay.store import write_atomically


class MeasuredVersion(Record):
    """The study's records of one version.

    Attributes:
        curve: cells of the served runtime on the served export, one for each batch size, ascending.
        export: the served export; None for a framework's own runtime.
        comparisons: comparisons with the fastest native runtime at the same batch sizes, where the study has them.
        environment: environment of the machine that measured.
    """

    study: str
    threads: int = Field(ge=1)
    curve: list[Cell]
    comparisons: list[SpeedComparison]
    export: Export | None
    training: Training | None
    environment: dict[str, JsonValue]


def write(path: Path, subject: Deployable) -> None:
    """Write measured.json."""
    cell, results = subject.cell, subject.results
    batches = {one.batch for one in subject.curve}
    record = MeasuredVersion(
        study=results.study,
        threads=cell.threads,
        curve=subject.curve,
        comparisons=[
            one
            for one in results.comparisons
            if (one.architecture, one.size, one.threads) == (cell.architecture, cell.size, cell.threads)
            and one.batch in batches
        ],
        export=subject.export,
        training=next((one for one in results.trainings if one.weights == cell.weights), None),
        environment=results.environment,
    )
    write_atomically(path, record.model_dump_json(indent=1).encode())


def read(path: Path) -> MeasuredVersion:
    """
    Raises:
        ArtifactError: missing or damaged.
    """
    return MeasuredVersion.read_from(path, expected="a file of `assay deploy`")
