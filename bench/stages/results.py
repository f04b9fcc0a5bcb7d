"""From the measurements to `results.json` with its tables: one assembly for all models."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

from pydantic import JsonValue

from assay import __version__
from assay.bench.course import Course
from assay.bench.explaining.factors import factors_of
from assay.bench.explaining.precisions import precision_factors_of
from assay.bench.judging.comparisons import comparisons_of
from assay.bench.judging.races import races_of
from assay.bench.run import Run
from assay.bench.selfcheck.selfcheck import stored_selfcheck
from assay.bench.stages.attribute import Attributed
from assay.bench.timing.measurements import Measurements
from assay.bench.timing.unit_files import BURSTS_FILE, SAMPLES_FILE
from assay.files.tables import table_bytes
from assay.records.results import RESULTS_FILE, Cell, DataSummary, Export, Results
from assay.records.trainings import Parity, Training
from assay.store import write_together

ALL_SITTINGS, TIMED_CALLS = "timing, all sittings", "timed calls, all sittings"
"""Names of seconds beside those of stages: what timing took over all runs that it was done in, and what of it was not
getting ready."""


@dataclass(frozen=True)
class Heading:
    """The subject of results.

    Attributes:
        study: name of the study, or of the folder of one model.
        settings: the settings, without the paths of this machine.
        environment: the machine, and the frameworks' facts about themselves there.
    """

    kind: Literal["study", "model"]
    study: str
    task: str
    title: str
    settings: dict[str, JsonValue]
    data: DataSummary
    environment: dict[str, JsonValue]


def file_results(
    course: Course,
    heading: Heading,
    exports: Sequence[Export],
    measured: Measurements,
    cells: Sequence[Cell],
    attributed: Attributed,
    further: Mapping[str, object] | None = None,
) -> Results:
    """Assemble results and write them into the course's folder, see `write_results`.

    Args:
        further: fields of `Results` that only studies or only users' models have.
    """
    races = races_of(cells, measured.by_cell)
    device = "cuda" if any(cell.device_kind == "cuda" for cell in cells) else "cpu"
    found = Results(
        **vars(heading),
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        assay_version=__version__,
        trainings=[],
        parity=[],
        exports=list(exports),
        cells=list(cells),
        races=races,
        comparisons=comparisons_of(cells, races, measured.by_cell),
        selfcheck=stored_selfcheck(course.folder.parent, course.host, device),
        attributions=attributed.attributions,
        fits=attributed.fits,
        crossovers=attributed.crossovers,
        factors=factors_of(cells, measured.by_cell),
        precisions=precision_factors_of(cells, measured.by_cell),
        seconds=course.seconds | {ALL_SITTINGS: measured.seconds, TIMED_CALLS: measured.timed_seconds},
    )
    return write_results(found.model_copy(update=dict(further or {})), measured, course.folder)


def heading_of(run: Run, environment: dict[str, JsonValue]) -> Heading:
    """Return the heading of a study's results, without the paths of this machine and the choice of machines."""
    study = run.study
    settings: dict[str, JsonValue] = study.model_dump(mode="json", exclude={"fleet"})
    data = study.data.model_dump(mode="json") | {"name": study.data.name.partition(":")[0], "root": None}
    return Heading(
        kind="study",
        study=study.name,
        task=study.task,
        title=study.title or study.name,
        settings=settings | {"data": data},
        data=run.data(min(size for model in study.models for size in model.sizes))[1].summary,
        environment=environment,
    )


def results_of_training(run: Run, trainings: Sequence[Training], parity: Sequence[Parity]) -> Results:
    """Return results of a study of which nothing but the trainings is done."""
    return Results(
        **vars(heading_of(run, run.host.environment())),
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        assay_version=__version__,
        trainings=list(trainings),
        parity=list(parity),
        exports=[],
        cells=[],
        comparisons=[],
        seconds=dict(run.seconds),
    )


def write_results(results: Results, measured: Measurements, folder: Path) -> Results:
    """Write results.json, samples.parquet and bursts.parquet: all from this run, or all from the previous one.

    Returns:
        The results, which now name the tables that belong to them.

    Raises:
        DiskError: the folder cannot be written; what was there before is untouched.
    """
    tables = {SAMPLES_FILE: table_bytes(measured.samples), BURSTS_FILE: table_bytes(measured.bursts)}
    hashes = {name: hashlib.sha256(content).hexdigest() for name, content in tables.items()}
    results = results.model_copy(update={"tables": hashes})
    write_together(folder, {**tables, RESULTS_FILE: results.model_dump_json(indent=1).encode()})
    return results
