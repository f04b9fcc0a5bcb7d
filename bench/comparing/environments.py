"""Two environments on one study, measured in turns: the same weights and files, run by two sets of packages. Training
and exporting happen in Assay's own environment. Then every candidate is timed twice in the same blocks, by a worker in
each environment, so that other work on the machine affects both alike.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
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
from assay.registry import RUNTIMES
from assay.runtimes.entry import RuntimeEntry
from assay.study import Study

NEEDED = ("numpy", "pydantic", "safetensors")
OBSERVED_BY = "onnx"
"""The package by which a worker observes what a runtime makes of an ONNX file."""
ASK = (
    "import importlib.metadata as m, importlib.util as u, json, re, sys; "
    "print(json.dumps([[name for name in sys.argv[1:] if u.find_spec(name) is None], "
    "{re.sub('[-_.]+', '-', d.metadata['Name'] or '').lower(): d.version for d in m.distributions()} "
    "| {'python': sys.version.split()[0]}]))"
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
        NotInstalledError: an environment lacks packages that the study's workers need.
    """
    study = study.model_copy(update={"data": study.data.model_copy(update={"root": data_root or study.data.root})})
    check_machine(study, LOCAL)
    run = Run(study, (out / study.name).resolve(), (out / "data").resolve(), Narrator())
    with run.narrator.showing():
        sides = {
            variant: environment_of(named, run.narrator, study.runtimes)
            for variant, named in ((BASE, base), (NEW, new))
        }
        trainings, _ = train_all(run)
        subjects = choose_subjects(run, trainings)
        groups = [_in_both(group, sides) for group in groups_of(run, subjects, export_all(run, subjects))]
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


def environment_of(named: Path, narrator: Narrator, runtimes: Sequence[str] = ()) -> Environment:
    """Return the environment behind a path.

    Args:
        runtimes: the runtimes that its workers run.

    Raises:
        InputError: there is none, or its interpreter does not answer.
        NotInstalledError: it lacks packages that these workers need.
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
    needed = {name: needed_for(RUNTIMES[name]) for name in runtimes}
    packages = list(dict.fromkeys([*NEEDED, *(one for some in needed.values() for one in some)]))
    lacking, versions = _told(named, python.absolute(), packages)
    if lacking:
        needed_by_all = set(NEEDED).intersection(lacking)
        without = [name for name, some in needed.items() if some.intersection(lacking)]
        others = [name for name in runtimes if name not in without]
        remedy = f"Install them there: {python} -m pip install {' '.join(lacking)}"
        if named.suffix == ".txt":
            remedy = f"Add them to {named}: {', '.join(lacking)}"
        if others and not needed_by_all:
            remedy += f"; or leave out those runtimes: --set 'bench.runtimes=[{', '.join(others)}]'"
        raise NotInstalledError(
            f"The environment {named} cannot run {'a worker' if needed_by_all else ', '.join(without)}",
            expected=", ".join(packages),
            found=f"no {', '.join(lacking)}",
            remedy=remedy,
        )
    return Environment(str(named), python.absolute(), versions)


def needed_for(runtime: RuntimeEntry) -> set[str]:
    """Return the import names of the packages that a worker needs for a runtime."""
    needed = {name.partition(".")[0] for name in runtime.needed}
    return needed | {OBSERVED_BY} if runtime.runs_files else needed


def _told(named: Path, python: Path, packages: Sequence[str]) -> tuple[list[str], dict[str, str]]:
    """Return which of these packages, by import name, an interpreter lacks, and its versions by distribution."""
    try:
        answer = run_program([str(python), "-I", "-c", ASK, *packages], ASK_SECONDS)
        if answer.status:
            raise ValueError(f"exit status {answer.status}")
        lacking, versions = json.loads(answer.out)
        return list(map(str, lacking)), {str(name): str(version) for name, version in versions.items()}
    except (OSError, TypeError, ValueError, AttributeError, LateError) as error:
        raise InputError(f"--env {named} does not respond as a Python interpreter", found=mistake_in(error)) from error


def _in_both(group: Group, sides: dict[str, Environment]) -> Group:
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
