"""The timing stage: the same weights in every runtime, natively and from every route's file."""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial
from itertools import chain
from typing import Any

from numpy.typing import NDArray

from assay.bench.auditing.cells import Compared, compared_cells
from assay.bench.run import Run, TrainedModel
from assay.bench.stages.exports import calibration_of, exports_of
from assay.bench.stages.groups import candidates_of, files_of_model, group_of, on_export
from assay.bench.stages.measure import cells_without_file, measured_cells
from assay.bench.timing.measurements import Measurements
from assay.bench.timing.schedule import Budget
from assay.bench.timing.trials import Group
from assay.export.reference.reference import LOGITS, ReferenceRequest, reference_artifact, references_here
from assay.files.arrays import load_array
from assay.numerics.agreement import JudgeOfImages
from assay.numerics.reduced import rule_of
from assay.records.results import Cell, Export
from assay.registry import FRAMEWORKS, RUNTIMES
from assay.spec import Settings
from assay.store import Store
from assay.study import Study


def time_all(
    run: Run, subjects: list[TrainedModel], groups: list[Group], exports: list[Export]
) -> tuple[Measurements, list[Cell]]:
    """Time the groups made by `groups_of`, and compare their outputs."""
    measured, cells = time_groups(run, subjects, groups, run.store("units"), run.study.bench.interval_width)
    missing = [
        cell
        for group in groups
        for cell in cells_without_file(
            group,
            [one for one in exports if group.name.startswith(f"{one.architecture}/{one.size}/")],
            lambda one: on_export(run.study.runtimes_at(one.architecture, one.size), one),
        )
    ]
    return measured, cells + missing


def groups_of(run: Run, subjects: list[TrainedModel], exports: list[Export]) -> list[Group]:
    """Return all runtimes on each subject, for each thread count, of the groups that are timed here."""
    return [
        _group(run, subject, exports, threads)
        for threads in run.study.bench.threads
        for subject in subjects
        if not run.groups or _name_of_group(subject.spec.architecture, subject.spec.size, threads) in run.groups
    ]


def names_of_groups(study: Study) -> list[str]:
    """Return the names of a study's groups, in the order in which they are timed."""
    return [
        _name_of_group(model.architecture, size, threads)
        for threads in study.bench.threads
        for model in study.models
        for size in model.sizes
    ]


def share_of(run: Run) -> float:
    """Return the part of the study's minutes for the groups timed here: as much as where all are timed in turn."""
    names = names_of_groups(run.study)
    return len(set(run.groups) & set(names)) / len(names) if run.groups else 1.0


def _name_of_group(architecture: str, size: int, threads: int) -> str:
    return f"{architecture}/{size}/t{threads}"


def time_groups(
    run: Run, subjects: list[TrainedModel], groups: list[Group], units: Store, interval_width: float
) -> tuple[Measurements, list[Cell]]:
    """Time the groups made by `groups_of`, keeping finished units in `units`, and compare their outputs."""
    bench = run.study.bench
    budget = Budget(
        bench.budget_minutes * share_of(run) * 60,
        bench.processes,
        bench.call_limit_seconds,
        bench.blocks,
        interval_width,
        decide=bench.until_decided,
        processes_of_slower=0 if _in_two_environments(groups) else bench.processes_of_slower or 0,
    )

    of_group = [(group, one) for group in groups for one in subjects if _is_of(group, one)]

    def compare(measured: Measurements) -> Compared:
        judges = {subject.key: _judge(run, subject) for subject in subjects}
        found = [compared_cells(group, measured, judges[subject.key]) for group, subject in of_group]
        images, timed = (dict(chain.from_iterable(one[place].items() for one in found)) for place in (0, 1))
        return images, timed

    keys = {group.name: subject.key for group, subject in of_group}
    return measured_cells(run, groups, budget, units, keys, compare, again=run.again)


def _is_of(group: Group, subject: TrainedModel) -> bool:
    return group.name == _name_of_group(subject.spec.architecture, subject.spec.size, group.settings.threads)


def _in_two_environments(groups: Iterable[Group]) -> bool:
    """Check whether candidates are compared with themselves, so that all of them are contenders."""
    return any(candidate.variant for group in groups for candidate in group.candidates)


def _group(run: Run, subject: TrainedModel, exports: list[Export], threads: int) -> Group:
    """Return all runtimes of the study on one subject."""
    spec = subject.spec
    files = files_of_model(run, subject.model, exports_of(subject, exports))
    return group_of(
        run,
        subject.model,
        candidates_of(run, subject.model, run.study.runtimes_at(spec.architecture, spec.size), files),
        partial(calibration_of, run, subject),
        batches=run.study.bench.batches,
        settings=Settings(threads, run.host.cores()[-threads:], run.study.bench.device),
        images=run.images(spec.size),
        nodes_on_cpu=run.study.bench.nodes_on_cpu,
    )


def _judge(run: Run, subject: TrainedModel) -> JudgeOfImages:
    """Return the judge of one subject's outputs."""
    images = run.images(subject.spec.size)

    def logits(framework: str, dtype: str) -> NDArray[Any]:
        request = ReferenceRequest(subject.weights, images, framework, dtype)
        made = reference_artifact(request, run.store("references"), run.narrator.bar, host=run.host)
        return load_array(made.file(LOGITS))

    frameworks = {RUNTIMES[runtime].framework for runtime in run.study.runtimes} & set(FRAMEWORKS)
    reference, *_ = here = references_here()
    # Where only ONNX files are timed, what the reference itself is made with.
    natives = {name: logits(name, "float32") for name in sorted(frameworks & set(here)) or [reference]}
    return JudgeOfImages(logits(reference, "float64"), natives, rule_of(run.study.task))
