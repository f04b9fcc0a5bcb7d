"""A study from images to results. No framework is imported here: everything heavy happens in jobs and workers. Every
stage finds what an earlier run finished and does only the rest, so a study stopped anywhere continues from there.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial
from pathlib import Path

from assay.bench.machine.host import LOCAL, Host, check_gpu, with_frameworks
from assay.bench.machine.machine import check_cores, probe_frameworks
from assay.bench.run import Run
from assay.bench.stages.attribute import Attributed, attribute_stage
from assay.bench.stages.exports import export_all
from assay.bench.stages.instances import instances_stage
from assay.bench.stages.results import file_results, heading_of
from assay.bench.stages.roofline import roofline
from assay.bench.stages.time import groups_of, names_of_groups, time_all
from assay.bench.stages.train import check_frameworks, choose_subjects, train_all
from assay.bench.tasks.task import task_of_images
from assay.bench.words.progress import Narrator
from assay.errors import unknown_name
from assay.export.run import make_environments
from assay.jobs.side_by_side import beside
from assay.records.results import Results
from assay.store import SharingTier
from assay.study import Study


def run_study(
    study: Study,
    folder: Path,
    cache: Path,
    narrator: Narrator,
    *,
    host: Host = LOCAL,
    again: bool = False,
    tier: SharingTier | None = None,
    groups: tuple[str, ...] = (),
) -> Results:
    """Run a whole study, or the rest of it, and write its results and samples into its folder.

    Args:
        host: the host on which it is measured.
        again: whether to time everything once more, whatever an earlier run has finished.
        tier: where machines share what they make.
        groups: names of the groups that are timed; all where there is none.

    Raises:
        AssayError: bad input, missing software, or a training that failed. A failing export or runtime costs its
            own record only.
    """
    _check_groups(study, groups)
    run = Run(study, folder.resolve(), cache.resolve(), narrator, host, again, tier=tier, groups=groups)
    check_machine(study, host)
    check_frameworks(study)
    with narrator.showing():
        environments = partial(make_environments, study.export.exporters, run.store("onnx"))
        with beside(environments), beside(partial(probe_frameworks, host)) as probed:
            trainings, parity = train_all(run)
            subjects = choose_subjects(run, trainings)
            exports = export_all(run, subjects)
        timed = groups_of(run, subjects, exports)
        measured, cells = time_all(run, subjects, timed, exports)
        instances = instances_stage(run, timed, cells)
        works, ceilings, bounds = roofline(run, exports, cells)
        limits = {"call_seconds": study.bench.call_limit_seconds, "minutes": study.bench.budget_minutes}
        attribute = partial(attribute_stage, run, timed, cells, opset=study.export.opset, **limits)
        attributed = attribute() if study.bench.attribute else Attributed()
        heading = heading_of(run, with_frameworks(host, probed.result()))
        further = {
            "trainings": trainings,
            "parity": parity,
            "works": works,
            "ceilings": ceilings,
            "bounds": bounds,
            "instances": instances,
        }
        with run.stage("results", "Results"):
            return file_results(run, heading, exports, measured, cells, attributed, further)


def _check_groups(study: Study, groups: Iterable[str]) -> None:
    """
    Raises:
        InputError: the study has no group of one of these names.
    """
    known = names_of_groups(study)
    for name in groups:
        if name not in known:
            raise unknown_name("group of the study", name, known)


def check_machine(study: Study, host: Host) -> None:
    """
    Raises:
        InputError: the study asks for more threads or instances than there are cores, for a GPU where none is, or for
            a task that is not for studies.
    """
    task_of_images(study.task)
    problem = "bench.threads asks for more threads than this process has cores"
    check_cores(problem, max(study.bench.threads), host.cores())
    problem = "bench.instances asks for more cores than this process has, even with the study's fewest threads"
    check_cores(problem, min(study.bench.threads) * max(study.bench.instances), host.cores())
    if study.bench.device == "cuda":
        check_gpu('bench.device = "cuda"', host, 'Set it to "cpu", or run the study on a machine with one')
