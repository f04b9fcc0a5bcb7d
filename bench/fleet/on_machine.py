"""The jobs of a fleet, done on one of its machines: prepare an architecture, time a group.

Each works in a folder of its machine, which stays there: a job that is begun again goes on where it was. Only what
other machines need, and results, leave the machine. Timing is conducted from here, not over a network.
"""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path

from pydantic import Field

from assay.alone import timing_alone
from assay.bench.conductor import run_study
from assay.bench.judging.validity import to_time_again
from assay.bench.machine.host import LOCAL
from assay.bench.machine.kept import kept_of_machine
from assay.bench.run import Run
from assay.bench.selfcheck.selfcheck import kept_selfcheck, run_selfcheck, store_selfcheck, stored_selfcheck
from assay.bench.stages.exports import export_all
from assay.bench.stages.train import choose_subjects, train_all
from assay.bench.timing.unit_files import BURSTS_FILE, SAMPLES_FILE
from assay.bench.words.progress import Narrator
from assay.bench.words.selfcheck import measured, required
from assay.files.locks import in_turn, working_in
from assay.fleet.kind import identity_in
from assay.fleet.shelf import FolderShelf, shelf_at
from assay.fleet.tier import SharedTier
from assay.jobs.files import Written
from assay.jobs.job import Job
from assay.jobs.killed import noting_ended
from assay.jobs.serving import serve_job
from assay.records.base import Record
from assay.records.results import RESULTS_FILE, Cell
from assay.store import SharingTier, file_sha256
from assay.study import Study
from assay.toolenv import cache_folder
from assay.train.job import WEIGHTS_FILE

RESULT_FILES = (RESULTS_FILE, SAMPLES_FILE, BURSTS_FILE)
MOST_REASONS = 3


class OfAStudy(Record):
    """The part that all requests of a fleet have.

    Attributes:
        study: the study, its data set resolved.
        images: its images, where they are files of the conductor.
        groups: names of the groups that are prepared or timed.
        course: name of the conductor's course on each machine, for the folder of its work there.
        store: the shared store that the machines reach by themselves, "" where files are sent.
    """

    study: Study
    images: Path | None
    groups: tuple[str, ...]
    course: str = Field(pattern=r"^[\w.-]+$")
    store: str = ""


class ToPrepare(OfAStudy):
    """A request for weights and exports.

    Attributes:
        shelf: folder that takes what is made, without a store.
    """

    shelf: Written | None


class Ready(Record):
    """The things that groups are timed with.

    Attributes:
        made: by name, the sha256 of weights, the keys of exports, and the hash of the images.
    """

    made: dict[str, str]


class ToTimeGroup(OfAStudy):
    """A request for the times of groups.

    Attributes:
        shelf: folder of what was prepared, without a store.
        again: whether what this machine has timed is timed again.
        out: folder that takes the results.
    """

    shelf: Path | None
    again: bool = False
    out: Written


class GroupTimed(Record):
    """The end of timing.

    Attributes:
        disturbed: reasons for which cells may be valid elsewhere that are not here; "" without any.
        cut: processes that somebody ended meanwhile, so that something may be missing; "" without any.
        unfit: reason for which this machine may not time, so that nothing was timed; "" where it may.
    """

    disturbed: str = ""
    cut: str = ""
    unfit: str = ""


PREPARE = Job("assay.bench.fleet.on_machine", "prepare", ToPrepare, Ready, sees_gpu=True)
TIME_GROUP = Job("assay.bench.fleet.on_machine", "time", ToTimeGroup, GroupTimed, sees_gpu=True)


def machine_folder() -> Path:
    """Return the folder of this machine for the work of fleets; several that share a disk have one each."""
    return cache_folder() / "fleet" / (identity_in(LOCAL.environment()).machine or "machine")


def prepare(asked: ToPrepare) -> Ready:
    """Train and export what the groups are timed with."""
    folder = _folder(asked)
    with in_turn(_turn(folder), _say), working_in(folder):
        run = Run(_study(asked), folder, _data(), Narrator(), tier=_tier(asked, asked.shelf), groups=asked.groups)
        trainings, _ = train_all(run)
        subjects = choose_subjects(run, trainings)
        exports = export_all(run, subjects)
        made = {f"weights at {one.spec.size}": file_sha256(one.weights / WEIGHTS_FILE) for one in subjects}
        made |= {f"images at {one.spec.size}": run.data(one.spec.size)[1].content_hash for one in subjects}
        made |= {f"{one.exporter} at {one.size}": one.key for one in exports if one.key}
    return Ready(made=made)


def _time_group(asked: ToTimeGroup) -> GroupTimed:
    """Time groups while nothing else of Assay's times here, and leave their results."""
    folder = _folder(asked)
    with timing_alone(_say), in_turn(_turn(folder), _say), working_in(folder):
        if unfit := why_unfit(asked.study.fleet.selfcheck_minutes, folder.parent):
            return GroupTimed(unfit=unfit)
        with noting_ended() as ended:
            results = run_study(
                _study(asked),
                folder,
                _data(),
                Narrator(),
                again=asked.again,
                tier=_tier(asked, asked.shelf),
                groups=asked.groups,
            )
        asked.out.mkdir(parents=True, exist_ok=True)
        for name in RESULT_FILES:
            shutil.copyfile(folder / name, asked.out / name)
    return GroupTimed(disturbed=_told(disturbed_in(results.cells)), cut=_told(ended))


def disturbed_in(cells: Sequence[Cell]) -> list[str]:
    """Return why another machine may give a group times that this one did not: INVALID cells, or no time at all since
    its minutes were spent before anything was ready.
    """
    of_models = [one for one in cells if one.framework]
    late = [one for one in of_models if one.lacks == "time"]
    told = [(one, one.invalid[0]) for one in to_time_again(cells)]
    if all(one.status != "ok" for one in of_models):
        told += [(one, one.reason) for one in late]
    return [f"{one.label} at batch {one.batch}: {why}" for one, why in told]


def why_unfit(minutes: float, folder: Path) -> str:
    """Return why this machine may not time: the self-check that it failed since it was started; "" if it passed.

    The first to ask has the self-check made, with the design of `assay selfcheck`, within so many minutes.

    Args:
        minutes: 0 for no self-check.
        folder: folder that takes its record where none can be kept of the machine.
    """
    if not minutes:
        return ""
    found = kept_selfcheck() if kept_of_machine(LOCAL) else stored_selfcheck(folder)
    if found is None:
        found = run_selfcheck(minutes * 60, Narrator().tell)
        store_selfcheck(found, folder)
    failed = [f"{one.name} {measured(one)}, required {required(one)}" for one in found.checks if not one.passed]
    return f"it did not pass its self-check of {found.created}: {'; '.join(failed)}" if failed else ""


def _told(reasons: Sequence[str]) -> str:
    """Return the first reasons, and how many more there are."""
    more = len(reasons) - MOST_REASONS
    return "; ".join(reasons[:MOST_REASONS]) + (f"; and {more} more" if more > 0 else "")


def _study(asked: OfAStudy) -> Study:
    """Return the study with its images where they are on this machine."""
    if asked.images is None:
        return asked.study
    here = {"name": f"pbc:{asked.images}"} if asked.study.data.name.startswith("pbc:") else {"root": asked.images}
    return asked.study.model_copy(update={"data": asked.study.data.model_copy(update=here)})


def _tier(asked: OfAStudy, shelf: Path | None) -> SharingTier | None:
    if asked.store:
        return SharedTier(shelf_at(asked.store))
    return SharedTier(FolderShelf(shelf)) if shelf else None


def _folder(asked: OfAStudy) -> Path:
    """Return the folder of an architecture: several may be prepared side by side."""
    return machine_folder() / asked.course / asked.groups[0].partition("/")[0]


def _data() -> Path:
    return machine_folder() / "data"


def _turn(folder: Path) -> Path:
    return folder.with_name(f"{folder.name}.lock")


def _say(who: str) -> None:
    sys.stderr.write(json.dumps({"waiting for": who}) + "\n")


if __name__ == "__main__":
    serve_job(PREPARE.done_by(prepare), TIME_GROUP.done_by(_time_group))
