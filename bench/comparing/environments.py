"""Two environments on one study, measured in turns: the same weights and files, run by two sets of packages. Training
and exporting happen in Assay's own environment. Then every candidate is timed twice in the same blocks, by a worker in
each environment, so that other work on the machine affects both alike.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, replace
from pathlib import Path

from assay import toolenv
from assay.bench.comparing.compare import Outcome, changed_versions, changes_of
from assay.bench.comparing.turns import BASE, NEW, disturbed, pairs_in_turns
from assay.bench.conductor import check_machine
from assay.bench.machine.host import LOCAL
from assay.bench.machine.machine import RECORDED_PACKAGES
from assay.bench.run import Run
from assay.bench.stages.exports import export_all
from assay.bench.stages.time import groups_of, time_groups
from assay.bench.stages.train import choose_subjects, train_all
from assay.bench.timing.trials import Group
from assay.bench.words.progress import Narrator
from assay.errors import InputError, NotInstalledError
from assay.files.mistakes import mistake_in
from assay.jobs.programs import run_program
from assay.jobs.running import LateError
from assay.study import Study

NEEDED = ("numpy", "pydantic", "safetensors")
ASK = (
    "import importlib.metadata as m, json, re, sys; "
    "print(json.dumps({re.sub('[-_.]+', '-', d.metadata['Name'] or '').lower(): d.version for d in m.distributions()} "
    "| {'python': sys.version.split()[0]}))"
)
ASK_SECONDS = 60


@dataclass(frozen=True)
class Environment:
    """The environment of workers: the path that the user named, its interpreter, and its packages."""

    named: str
    python: Path
    versions: dict[str, str]


def compare_environments(
    base: Path, new: Path, study: Study, out: Path, data_root: Path | None, *, threshold: float
) -> Outcome:
    """Measure a study's runtimes in two environments and judge the second against the first.

    Args:
        base, new: a virtual environment's folder, an interpreter, or a pinned list of packages (.txt).
        out, data_root: as for `assay run`; training and exports found there are not made again.

    Raises:
        InputError: an environment cannot be used.
        NotInstalledError: an environment lacks packages that every worker needs.
    """
    study = study.model_copy(update={"data": study.data.model_copy(update={"root": data_root or study.data.root})})
    check_machine(study, LOCAL)
    run = Run(study, (out / study.name).resolve(), (out / "data").resolve(), Narrator())
    with run.narrator.showing():
        sides = {BASE: environment_of(base, run.narrator), NEW: environment_of(new, run.narrator)}
        trainings, _ = train_all(run)
        subjects = choose_subjects(run, trainings)
        groups = [in_both(group, sides) for group in groups_of(run, subjects, export_all(run, subjects))]
        measured, cells = time_groups(run, subjects, groups, run.store(f"compared/{_key(sides)}"), interval_width=0)
    pairs = pairs_in_turns(cells, measured)
    return Outcome(
        base=sides[BASE].named,
        new=sides[NEW].named,
        interleaved=True,
        threshold=threshold,
        versions=_telling(changed_versions(sides[BASE].versions, sides[NEW].versions)),
        changes=changes_of(pairs, threshold),
        remarks=disturbed(pairs),
    )


def environment_of(named: Path, narrator: Narrator) -> Environment:
    """Return the environment behind a path.

    Raises:
        InputError: there is none, or its interpreter does not answer.
        NotInstalledError: it lacks packages that every worker needs.
    """
    if named.suffix == ".txt":
        python = toolenv.ensure(named.stem, named, narrator.bar, hashed=False)
    else:
        python = toolenv.python_in(named) if named.is_dir() else named
    if not python.is_file():
        raise InputError(
            f"--env {named} is not an environment",
            expected="a virtual environment's folder, a Python interpreter, or a pinned list of packages (.txt)",
            found=f"no file {python}",
        )
    versions = _versions(named, python.absolute())
    missing = [name for name in NEEDED if name not in versions]
    if missing:
        raise NotInstalledError(
            f"The environment {named} cannot run a worker",
            expected=", ".join(NEEDED),
            found=f"no {', '.join(missing)}",
            remedy=f"Install them there: {python} -m pip install {' '.join(missing)}",
        )
    return Environment(str(named), python.absolute(), versions)


def _versions(named: Path, python: Path) -> dict[str, str]:
    try:
        answer = run_program([str(python), "-I", "-c", ASK], ASK_SECONDS)
        if answer.status:
            raise ValueError(f"exit status {answer.status}")
        return {str(name): str(version) for name, version in json.loads(answer.out).items()}
    except (OSError, ValueError, LateError) as error:
        raise InputError(f"--env {named} does not respond as a Python interpreter", found=mistake_in(error)) from error


def in_both(group: Group, sides: dict[str, Environment]) -> Group:
    """Return the group with each of the frameworks' candidates once in every environment."""
    candidates = tuple(
        replace(candidate, variant=variant, python=side.python)
        for candidate in group.candidates
        if candidate.framework
        for variant, side in sides.items()
    )
    return replace(group, candidates=candidates)


def _telling(versions: dict[str, tuple[str, str]]) -> dict[str, tuple[str, str]]:
    """Return the versions, of packages that both have, that matter to a measurement, including the interpreter's."""
    known = {name.lower() for name in RECORDED_PACKAGES} | {"python"}
    return {name: pair for name, pair in versions.items() if name in known and "none" not in pair}


def _key(sides: dict[str, Environment]) -> str:
    """Return a key for the results of two environments: other packages or interpreters are measured again."""
    told = {variant: [str(side.python), side.versions] for variant, side in sides.items()}
    return hashlib.sha256(json.dumps(told, sort_keys=True).encode()).hexdigest()[:16]
