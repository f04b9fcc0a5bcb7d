"""The attribution stage: every runtime under its profiler and as a skeleton, in fresh processes, and the results."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

from pydantic import JsonValue, TypeAdapter

from assay.bench.course import Course
from assay.bench.explaining.estimate import (
    affine_fits,
    crossovers,
    event_cost_ns,
    judged,
    profiled_estimate,
    skeleton_estimate,
)
from assay.bench.explaining.layers import aligned
from assay.bench.machine.host import Host
from assay.bench.stages.measure import INTERRUPTED
from assay.bench.stages.skeletons import skeleton_files
from assay.bench.timing.trials import Group, Tell
from assay.bench.timing.workers import Candidate
from assay.boxed.boxing import Box
from assay.errors import AssayError, DiskError, WorkerError
from assay.files.texts import read_bytes
from assay.fingerprint import Fingerprint
from assay.infer.profile.attribute_job import ATTRIBUTE, AttributedModel, AttributionRequest, Figures
from assay.infer.profile.timing import RecordedOperator
from assay.infer.runtime import ModelFiles
from assay.jobs.host import InEnvironment
from assay.jobs.pace import Pace, allowed
from assay.jobs.running import run_job
from assay.records.attribution import AffineFit, Attribution, Crossover, ProfiledEstimate, SkeletonEstimate
from assay.records.results import Cell
from assay.registry import RUNTIMES
from assay.spec import Settings
from assay.steps import Limit
from assay.store import TRY_AGAIN, Store, file_sha256

ANSWERS_FILE = "answers.json"
FIGURES = TypeAdapter(list[Figures])
PROCESSES = 3
"""Number of fresh processes for every runtime: enough for Student's distribution to be of use."""
SECONDS_A_CELL = 0.3
"""Time for the rounds in one process: short, since time goes into more processes."""
SHARE_OF_TIMING = 0.25
"""The time for attribution, as a share of the timing's budget; each runtime has one process in any case."""
NOT_PROFILED = "nothing was profiled"
NOT_TIMED = "the skeleton was not timed"
NO_VARIANT_SKELETON = "a graph of reduced precision has no skeleton: its ranges are those of trained weights"
NO_SKELETON = "only a model that Assay builds itself has a skeleton: it is rebuilt with small widths"


@dataclass(frozen=True)
class Attributed:
    """The attribution stage's contribution to the results of a study."""

    attributions: list[Attribution] = field(default_factory=list)
    fits: list[AffineFit] = field(default_factory=list)
    crossovers: list[Crossover] = field(default_factory=list)


@dataclass(frozen=True)
class AttributionTask:
    """Work of one process: one runtime with one set of settings, on every model of the study."""

    runtime: str
    settings: Settings
    groups: tuple[Group, ...]

    def box(self) -> Box | None:
        """Return the box for all models where one is a user's; such a box answers by messages alone."""
        theirs = [one for _, one in self.candidates() if one.model.user]
        return Box(trusted=all(one.trusted for one in theirs)) if theirs else None

    def python(self) -> Path | None:
        """Return the interpreter of the environment that the runtime has on this device; None is this one."""
        own = RUNTIMES[self.runtime].environments.get(RUNTIMES[self.runtime].asked_device(self.settings.device))
        return next((one.python for _, one in self.candidates()), None) if own else None

    def candidates(self) -> Iterator[tuple[Group, Candidate]]:
        """Iterate over the runtime's candidates, each with its group."""
        for group in self.groups:
            for candidate in group.candidates:
                if candidate.runtime == self.runtime:
                    yield group, candidate


@dataclass(frozen=True)
class AttributionSettings:
    """Places of attribution's files, and its limits.

    Attributes:
        store: store of the answers.
        opset: operator set of skeletons.
        call_seconds: limit of one load or call.
        host: machine that it is done on.
        seconds: total seconds; every runtime has one process all the same, and no further one beyond them.
    """

    store: Store
    opset: int
    call_seconds: float
    seconds: float = math.inf
    host: Host = field(kw_only=True)


Answers = dict[tuple[str, int], Figures]


def attribute_all(groups: Sequence[Group], cells: Sequence[Cell], place: AttributionSettings, tell: Tell) -> Attributed:
    """Attribute the time of every cell that was timed. A runtime that fails leaves its reason in its own cells."""
    timed = {cell.name: cell for cell in cells if cell.status == "ok" and cell.device is not None and cell.framework}
    found: dict[str, Attribution] = {}
    tasks = _tasks(groups)
    for task, answers in zip(tasks, _answers_of_processes(tasks, timed, place, tell), strict=True):
        for group, candidate in task.candidates():
            for batch in group.batches:
                cell = timed.get(group.cell_name(batch, candidate.label))
                if cell is not None:
                    found[cell.name] = _attribution(cell, group, candidate, answers)
    ordered = [found[name] for name in timed if name in found]
    return Attributed(ordered, affine_fits(cells), crossovers(cells, ordered))


def attribute_stage(
    course: Course,
    groups: Sequence[Group],
    cells: Sequence[Cell],
    *,
    opset: int,
    call_seconds: float,
    minutes: float,
) -> Attributed:
    """Run the stage, see `AttributionSettings`; return nothing if the user ends the wait for it.

    Args:
        minutes: minutes that timing may take, of which attribution has a share more.
    """
    seconds = SHARE_OF_TIMING * minutes * 60
    place = AttributionSettings(course.store("attribution"), opset, call_seconds, seconds, host=course.host)
    with course.stage("attribution", "Attributing the time"):
        try:
            return attribute_all(groups, cells, place, course.narrator.tell)
        except KeyboardInterrupt:
            course.narrator.note(INTERRUPTED)
            return Attributed()


def _tasks(groups: Sequence[Group]) -> list[AttributionTask]:
    """Return one task for each runtime and settings, leaving out the instrument's own zero."""
    runtimes = dict.fromkeys(c.runtime for group in groups for c in group.candidates if c.framework)
    settings = dict.fromkeys(group.settings for group in groups)
    return [
        AttributionTask(runtime, one, tuple(group for group in groups if group.settings == one))
        for one in settings
        for runtime in runtimes
    ]


def _answers_of_processes(
    tasks: Sequence[AttributionTask], timed: dict[str, Cell], place: AttributionSettings, tell: Tell
) -> list[list[Answers]]:
    """Return the answers of each process of every task; all tasks have one before any has two."""
    found: list[list[Answers]] = [[] for _ in tasks]
    taken = [0.0 for _ in tasks]
    spent = 0.0
    for process in range(PROCESSES):
        for number in sorted(range(len(tasks)), key=lambda one: taken[one]):  # the cheapest go first
            task = tasks[number]
            if process and not _worth_another(found[number][0], spent + taken[number], place):
                continue
            tell(f"attributing the time of {task.runtime}, process {process + 1} of {PROCESSES}")
            started = time.monotonic()
            found[number].append(_answers(task, process, timed, place))
            taken[number] = max(taken[number], time.monotonic() - started)
            spent += time.monotonic() - started
    return found


def _worth_another(first: Answers, seconds: float, place: AttributionSettings) -> bool:
    """Check whether the first process of a task had figures, and another would end in time."""
    return seconds <= place.seconds and any(one.plain_ns or one.rounds for one in first.values())


def _answers(task: AttributionTask, process: int, timed: dict[str, Cell], place: AttributionSettings) -> Answers:
    """Return one process's answers by subject and batch, from an earlier run where nothing has changed."""
    subjects, refused = _subjects(task, timed, place)
    limit = place.call_seconds * (len(subjects) + 1)
    paces = [_pace(timed, group, candidate) for group, candidate in task.candidates()]
    if all(paces):
        limit = min(limit, sum(2 * allowed("attribution", pace) for pace in paces))  # with its skeleton
    if not any(not subject.skeleton for subject in subjects):
        return refused
    inputs = _inputs(task, process, subjects, place.host.fingerprint())

    def fill(work: Path) -> dict[str, JsonValue]:
        found, whole = _run(task, subjects, limit, place)
        (work / ANSWERS_FILE).write_bytes(FIGURES.dump_json(found, indent=1))
        return {TRY_AGAIN: not whole}

    name = f"{task.runtime}-p{process}-t{task.settings.threads}"
    versions = RUNTIMES[task.runtime].versions()
    answers = place.store.kept("attribution", inputs, fill, name=name, made_by=versions)
    return refused | _indexed(FIGURES.validate_json(read_bytes(answers.file(ANSWERS_FILE))))


def _run(
    task: AttributionTask, subjects: list[AttributedModel], limit: float, place: AttributionSettings
) -> tuple[list[Figures], bool]:
    """Run the job and return its answers; after a crash, the answers so far, the reason, and that they are partial."""
    told: list[Figures] = []
    request = AttributionRequest(
        runtime=task.runtime, settings=task.settings, subjects=tuple(subjects), seconds=SECONDS_A_CELL
    )
    environment = {"TORCHINDUCTOR_CPP_ENABLE_KERNEL_PROFILE": "1"}
    try:
        run_job(
            ATTRIBUTE,
            request,
            place.store.folder / "logs" / f"{task.runtime}-t{task.settings.threads}.log",
            heard=ATTRIBUTE.heard_by(told.append),
            limit_seconds=Limit(limit, f"Attributing the time of {task.runtime}"),
            environment=environment,
            box=task.box(),
            host=InEnvironment(place.host, python) if (python := task.python()) else place.host,
        )
    except DiskError:
        raise  # the machine's failure, not this one's
    except AssayError as error:
        answered = _indexed(told)
        missing = [(s.name, batch) for s in subjects for batch in s.batches if (s.name, batch) not in answered]
        lost = [Figures(subject=name, batch=batch, reason=str(error)) for name, batch in missing]
        return told + lost, not isinstance(error, WorkerError)
    return told, True


def _subjects(
    task: AttributionTask, timed: dict[str, Cell], place: AttributionSettings
) -> tuple[list[AttributedModel], Answers]:
    """Return the subjects to profile and the skeletons to time; a skeleton that cannot be made leaves its reason."""
    found: dict[str, AttributedModel] = {}
    refused: Answers = {}
    for group, candidate in task.candidates():
        batches = tuple(batch for batch in group.batches if group.cell_name(batch, candidate.label) in timed)
        if not batches:
            continue
        name = _whole_name(group, candidate)
        found[name] = AttributedModel(name=name, model=candidate.model, batches=batches, images=group.images)
        bones = _skeleton_name(candidate)
        if bones in found or (bones, 1) in refused:
            continue
        if candidate.model.user or candidate.model.precision != "fp32":
            refused[(bones, 1)] = _without(bones, 1, NO_SKELETON if candidate.model.user else NO_VARIANT_SKELETON)
            continue
        try:
            files = skeleton_files(
                candidate.model.spec,
                candidate.exporter,
                place.opset,
                Store(place.store.folder / "skeletons"),
                place.host,
                _pace(timed, group, candidate),
            )
            found[bones] = AttributedModel(name=bones, model=files, batches=(1,), skeleton=True)
        except DiskError:
            raise
        except AssayError as error:
            refused[(bones, 1)] = _without(bones, 1, str(error))
    return list(found.values()), refused


def _pace(timed: dict[str, Cell], group: Group, candidate: Candidate) -> Pace | None:
    """Return the time that a model took in a runtime when it was timed, or None where it was not."""
    cells = [timed[name] for batch in group.batches if (name := group.cell_name(batch, candidate.label)) in timed]
    calls = [one.host.median_ms.value / 1000 for one in cells if one.host]
    loads = [one.cold.import_seconds + one.cold.load_seconds for one in cells if one.cold]
    return Pace(load_seconds=max(loads, default=0.0), call_seconds=max(calls)) if calls else None


def _inputs(
    task: AttributionTask, process: int, subjects: list[AttributedModel], machine: Fingerprint
) -> dict[str, JsonValue]:
    """Return everything that determines the job's answers."""
    return {
        "machine": machine.key,
        "runtime": task.runtime,
        "process": process,
        "settings": json.loads(json.dumps(asdict(task.settings))),
        "seconds": SECONDS_A_CELL,
        "versions": dict(RUNTIMES[task.runtime].versions()),
        "subjects": [
            {
                "name": subject.name,
                "batches": list(subject.batches),
                "file": _identity(subject.model),
                "images": file_sha256(subject.images) if subject.images else "",
            }
            for subject in subjects
        ],
    }


def _identity(model: ModelFiles) -> str:
    file = model.onnx or model.weights
    return (file_sha256(file) if file else model.fingerprint) + model.program_key


def _whole_name(group: Group, candidate: Candidate) -> str:
    return f"{group.name}/{candidate.label}"


def _skeleton_name(candidate: Candidate) -> str:
    return f"skeleton/{candidate.model.spec.architecture}/{candidate.label}"


def _without(subject: str, batch: int, reason: str) -> Figures:
    """Return an answer without figures, with the reason."""
    return Figures(subject=subject, batch=batch, reason=reason)


def _indexed(figures: Sequence[Figures]) -> Answers:
    return {(one.subject, one.batch): one for one in figures}


def _attribution(cell: Cell, group: Group, candidate: Candidate, by_process: Sequence[Answers]) -> Attribution:
    """Return one cell's record, from its own answers and its skeleton's."""
    assert cell.device is not None
    assert cell.host is not None
    wall = cell.device.median_ms
    name = _whole_name(group, candidate)
    nothing, untimed = _without(name, cell.batch, NOT_PROFILED), _without(name, 1, NOT_TIMED)
    whole = [answers.get((name, cell.batch), nothing) for answers in by_process]
    bones = [answers.get((_skeleton_name(candidate), 1), untimed) for answers in by_process]
    profiled, operators = ProfiledEstimate(reason=whole[0].reason), list[RecordedOperator]()
    figures = [
        (one, _event_cost(name, group, answers))
        for answers in by_process
        if (one := _figures(answers, name, cell.batch))
    ]
    if figures:
        rounds, costs = [one.rounds for one, _ in figures], [cost for _, cost in figures]
        profiled = profiled_estimate(rounds, costs, wall, cell.device.processes)
        operators = figures[0][0].operators
    skeleton = SkeletonEstimate(reason=bones[0].reason)
    bursts = [one.plain_ns for one in bones if one.plain_ns]
    if bursts:
        skeleton = skeleton_estimate(bursts, wall, cell.device.processes)
    return judged(
        Attribution(
            cell=cell.name,
            wall_ms=wall,
            transfer_ms=cell.host.median_ms.value - wall.value,
            profiled=profiled,
            skeleton=skeleton,
            operators=aligned(operators, None if candidate.model.user else candidate.model.spec, candidate.framework),
        )
    )


def _event_cost(name: str, group: Group, answers: Answers) -> float:
    """Return the cost of recording an event in one process, in nanoseconds."""
    batches = [_figures(answers, name, batch) for batch in group.batches]
    return event_cost_ns([one.rounds for one in batches if one is not None])


def _figures(answers: Answers, name: str, batch: int) -> Figures | None:
    """Return the profile among a process's answers, or None where there is a reason instead."""
    answer = answers.get((name, batch))
    return answer if answer is not None and answer.rounds else None
