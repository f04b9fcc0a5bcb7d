"""The atlas made: every operator's job, several at a time, each kept as soon as it ends."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

from pydantic import JsonValue

from assay import __version__
from assay.bench.atlas.attempts import Attempt, News, OperatorRequest, finding_on
from assay.bench.atlas.operator_job import JUDGE, LIST, ListRequest
from assay.bench.atlas.record import DEFECTS, Atlas, Finding, OperatorFindings
from assay.bench.atlas.suites.entries import SUITES
from assay.bench.atlas.versions.others import OtherVersions, pins_of, routes_with, with_others
from assay.bench.machine.host import LOCAL, Host
from assay.bench.words.progress import Narrator
from assay.errors import DiskError, InputError, WorkerError
from assay.jobs.host import InEnvironment, Starter
from assay.jobs.kept import keeping
from assay.jobs.running import run_job
from assay.jobs.sharing import shared
from assay.jobs.side_by_side import side_by_side
from assay.registry import installed_versions
from assay.steps import Limit
from assay.store import TRY_AGAIN, Store, may_end_otherwise

KIND, OPERATORS, FOUND = "atlas-operator", "operators", "found.json"
LIST_SECONDS, OPERATOR_SECONDS = 300.0, 3600.0
OPSET = 18
KEPT_WITH_FILES = (*DEFECTS, "undecided", "not judged")
"""Verdicts whose files are kept, with the repro of each node."""
MAY_END_OTHERWISE = ("given up", "crashed", "not judged")
"""Verdicts that the next run looks at again: a machine may have been busy."""


@dataclass(frozen=True)
class Asked:
    """A request for an atlas.

    Attributes:
        operators: names to judge; empty for all.
        most: number of samples of an operator.
        limit: number of operators, the first by name; None for all.
        anew: whether to judge what an earlier run has judged.
        others: packages in other versions, with which the routes that use them are judged; None for the installed ones.
    """

    suite: str
    operators: tuple[str, ...] = ()
    dtype: str = "float32"
    most: int = 3
    limit: int | None = None
    opset: int = OPSET
    anew: bool = False
    others: OtherVersions | None = None

    @property
    def routes(self) -> tuple[str, ...]:
        """The routes that are judged."""
        suite = SUITES[self.suite]
        return routes_with(self.others.pins, suite) if self.others else suite.routes

    @property
    def other_versions(self) -> str:
        return self.others.words if self.others else ""


def make_atlas(asked: Asked, folder: Path, narrator: Narrator, host: Host = LOCAL) -> Atlas:
    """Judge operators, or take what an earlier run judged with the same versions.

    Raises:
        InputError: the suite has none of the operators.
        NotInstalledError: a package is missing.
    """
    suite = SUITES[asked.suite]
    installed = installed_versions(suite.packages)
    versions = {**installed, **asked.others.versions} if asked.others else installed
    store, routes = Store(folder / OPERATORS), ", ".join(asked.routes)
    cores, starter = len(host.cores()), InEnvironment(host, asked.others.python) if asked.others else host
    told = f" with {asked.other_versions}" if asked.others else ""
    with keeping(starter, folder / "logs") as kept, narrator.showing():
        workers = shared(kept.of(asked.suite), cores, cores)
        names = _names(asked, workers, folder)
        narrator.note(f"{len(names)} operators of {suite.title}, {asked.dtype}, by {routes}{told}")
        every = [partial(_kept, asked, name, store, versions, workers, folder, narrator) for name in names]
        judged = side_by_side(every, cores)
    return Atlas(
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        assay_version=__version__,
        versions=installed,
        operators={asked.suite: len(names)},
        findings=[one for some in judged for one in some.findings],
    )


def in_others(asked: Sequence[Asked], packages: Sequence[str], narrator: Narrator) -> list[Asked]:
    """Return the same requests with packages in other versions, whose environment is made first if there is none; none
    where no package is named.

    Args:
        packages: packages as NAME==VERSION.

    Raises:
        InputError: a package is not named so, or no route of a suite uses one.
        NotInstalledError: the environment cannot be made.
    """
    if not packages:
        return []
    pins = pins_of(packages)
    for one in asked:
        routes_with(pins, SUITES[one.suite])
    with narrator.showing():
        others = with_others(pins, narrator.bar)
    return [replace(one, others=others) for one in asked]


def together(atlases: Sequence[Atlas]) -> Atlas:
    """Return the findings of several suites as one atlas."""
    first = atlases[0]
    return first.model_copy(
        update={
            "versions": {name: version for one in atlases for name, version in one.versions.items()},
            "operators": {name: many for one in atlases for name, many in one.operators.items()},
            "findings": [finding for one in atlases for finding in one.findings],
        }
    )


def _names(asked: Asked, workers: Starter, folder: Path) -> Sequence[str]:
    """Return the operators to judge."""
    request = ListRequest(suite=asked.suite, dtype=asked.dtype)
    limit = Limit(LIST_SECONDS, f"Listing the operators of {SUITES[asked.suite].title}")
    known = run_job(LIST, request, folder / "logs" / "list.log", limit_seconds=limit, host=workers).operators
    missing = [one for one in asked.operators if one not in known]
    if missing:
        near = sorted(one for one in known if missing[0].rpartition(".")[2] in one)[:5]
        raise InputError(
            f"{SUITES[asked.suite].title} has no operator in {asked.dtype} of that name",
            expected=f"one such as {', '.join(near or known[:3])}",
            found=missing[0],
        )
    return (asked.operators or known)[: asked.limit]


def _kept(
    asked: Asked,
    name: str,
    store: Store,
    versions: dict[str, str],
    workers: Starter,
    folder: Path,
    narrator: Narrator,
) -> OperatorFindings:
    """Return the findings on one operator, kept or made now."""

    def fill(place: Path) -> dict[str, JsonValue]:
        found = _judged(asked, name, place, workers, folder / "logs" / f"{name}.log")
        bad = sorted({f"{one.route or 'native'}: {one.verdict}" for one in found.findings if one.verdict != "right"})
        narrator.note(f"{name}: {'; '.join(bad) or 'right'}")
        return keep(found, place)

    inputs: dict[str, JsonValue] = {
        "suite": asked.suite,
        "operator": name,
        "dtype": asked.dtype,
        "most": asked.most,
        "opset": asked.opset,
        "versions": dict(versions),
        "assay": __version__,
    }
    anew = asked.anew or may_end_otherwise
    return store.kept(KIND, inputs, fill, name=name, made_by=versions, anew=anew).record(OperatorFindings, FOUND)


def keep(found: OperatorFindings, place: Path) -> dict[str, JsonValue]:
    """Write the findings, and return the facts of their artifact: whether another run may find otherwise."""
    (place / FOUND).write_text(found.model_dump_json(), encoding="utf-8")
    return {TRY_AGAIN: any(one.verdict in MAY_END_OTHERWISE for one in found.findings)}


def _judged(asked: Asked, name: str, place: Path, workers: Starter, log: Path) -> OperatorFindings:
    """Run an operator's job, and keep the files of what it found. Where the job itself ends, that is a finding."""
    found: list[Finding] = []
    last = Attempt(sample=0)

    def heard(told: News) -> None:
        nonlocal last
        last = told.begun or last
        if told.finding:
            found.append(told.finding)

    with tempfile.TemporaryDirectory(prefix="assay-atlas-") as scratch:
        request = OperatorRequest(
            suite=asked.suite,
            operator=name,
            dtype=asked.dtype,
            most=asked.most,
            routes=asked.routes,
            opset=asked.opset,
            folder=Path(scratch),
        )
        limit = Limit(OPERATOR_SECONDS, f"Judging {name}")
        try:
            run_job(JUDGE, request, log, limit_seconds=limit, heard=JUDGE.heard_by(heard), host=workers)
        except DiskError:
            raise
        except WorkerError as error:
            found.append(finding_on(request, last, "not judged", str(error)))
        _keep_files(found, Path(scratch), place)
    return OperatorFindings(findings=[one.model_copy(update={"other_versions": asked.other_versions}) for one in found])


def _keep_files(findings: Sequence[Finding], scratch: Path, place: Path) -> None:
    """Keep the model, inputs, file and repros of every finding that somebody may want to look at."""
    for one in findings:
        made, kept = scratch / one.place, place / one.place
        if one.verdict in KEPT_WITH_FILES and one.route and (made / one.route).is_dir():
            shutil.copytree(made / one.route, kept / one.route, dirs_exist_ok=True)
            for beside in made.glob("*.*"):
                shutil.copy2(beside, kept)
