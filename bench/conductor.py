"""A study from images to results. Imports no framework: everything heavy happens in jobs and workers.

Every stage finds what an earlier run finished and does only the rest, so a study stopped anywhere goes on from there.
"""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime
from pathlib import Path

from pydantic import JsonValue

from assay import __version__
from assay.bench.explaining.factors import factors_of
from assay.bench.explaining.precisions import precision_factors_of
from assay.bench.judging.comparisons import comparisons_of
from assay.bench.judging.races import races_of
from assay.bench.machine.host import LOCAL, Host, machine_facts
from assay.bench.machine.machine import check_cores
from assay.bench.run import Run
from assay.bench.selfcheck.selfcheck import stored_selfcheck
from assay.bench.stages.attribute import attribute_stage
from assay.bench.stages.instances import instances_stage
from assay.bench.stages.roofline import roofline
from assay.bench.stages.time import export_all, groups_of, time_all
from assay.bench.stages.train import choose_subjects, train_all
from assay.bench.tasks.task import task_of_images
from assay.bench.timing.schedule import BURSTS_FILE, SAMPLES_FILE, Measurements
from assay.bench.words.progress import Narrator
from assay.files.tables import table_bytes
from assay.records.results import Results
from assay.store import write_together
from assay.study import Study

RESULTS_FILE = "results.json"


def run_study(
    study: Study, folder: Path, cache: Path, narrator: Narrator, *, host: Host = LOCAL, again: bool = False
) -> Results:
    """Do a whole study, or what is left of it, and write its results and samples into its folder.

    Args:
        host: where it is measured.
        again: time everything once more, whatever an earlier run has finished.

    Raises:
        AssayError: bad input, missing software, or a training that failed. A failing export or runtime costs its
            own record only.
    """
    run = Run(study, folder.resolve(), cache.resolve(), narrator, host, again)
    check_machine(study, host)
    with narrator.showing():
        trainings, parity = train_all(run)
        subjects = choose_subjects(run, trainings)
        exports = export_all(run, subjects)
        measured, cells = time_all(run, subjects, exports)
        groups = groups_of(run, subjects, exports)
        instances = instances_stage(run, groups, cells)
        works, ceilings, bounds = roofline(run, exports, cells)
        attributed = attribute_stage(run, groups, cells)
        with run.stage("results", "Results"):
            races = races_of(cells, measured.by_cell)
            results = Results(
                study=study.name,
                task=study.task,
                title=study.title or study.name,
                created=datetime.now(UTC).isoformat(timespec="seconds"),
                assay_version=__version__,
                settings=_settings(run),
                environment=machine_facts(host),
                data=run.data(min(size for model in run.study.models for size in model.sizes))[1].summary,
                trainings=trainings,
                parity=parity,
                exports=exports,
                cells=cells,
                races=races,
                comparisons=comparisons_of(cells, races, measured.by_cell),
                selfcheck=stored_selfcheck(run.folder.parent, host),
                works=works,
                ceilings=ceilings,
                bounds=bounds,
                attributions=attributed.attributions,
                fits=attributed.fits,
                crossovers=attributed.crossovers,
                instances=instances,
                factors=factors_of(cells, measured.by_cell),
                precisions=precision_factors_of(cells, measured.by_cell),
                seconds=run.seconds | {"timing, all sittings": measured.seconds},
            )
            results = write_results(results, measured, run.folder)
    return results


def check_machine(study: Study, host: Host) -> None:
    """
    Raises:
        InputError: the study asks for more threads or instances than there are cores, or for a task that is not for it.
    """
    task_of_images(study.task)
    problem = "bench.threads asks for more threads than this process has cores"
    check_cores(problem, max(study.bench.threads), host.cores())
    problem = "bench.instances asks for more cores than this process has, at the fewest threads that the study has"
    check_cores(problem, min(study.bench.threads) * max(study.bench.instances), host.cores())


def _settings(run: Run) -> dict[str, JsonValue]:
    """The study file's content, without the paths of this machine."""
    settings: dict[str, JsonValue] = run.study.model_dump(mode="json")
    data = run.study.data.model_dump(mode="json") | {"name": run.study.data.name.partition(":")[0], "root": None}
    return settings | {"data": data}


def write_results(results: Results, measured: Measurements, folder: Path) -> Results:
    """Write results.json, samples.parquet and bursts.parquet: all of a run, or all of the one before.

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
