"""The published atlas, looked up for a model: which of its operators some route was seen to export wrongly.

An entry is found by the kernel that a sample reaches in its framework, so that it is found however a model calls it.
Operators that are put together from several kernels are not looked up: a model that has those has not therefore used
the operator.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from importlib import resources

from pydantic import ValidationError

from assay.bench.atlas.record import DEFECTS, Atlas, Verdict
from assay.bench.atlas.suites.entries import SUITES
from assay.bench.atlas.summary import Square, squares
from assay.bench.words.numbers import counted
from assay.records.base import Record
from assay.registry import installed_versions

PUBLISHED_FILE = "published.json"
MOST_NAMED = 4


class KnownDefect(Record):
    """An operator that a route was seen to export wrongly.

    Attributes:
        kernel: the framework's operator or layer that computes it, such as "aten::softplus" or "keras::GRU".
        wrong, of: number of samples that are wrong, and of all that the route exported or refused.
    """

    suite: str
    operator: str
    kernel: str
    route: str
    verdict: Verdict
    wrong: int
    of: int


class Published(Record):
    """The part of an atlas that is shipped.

    Attributes:
        created: date and time of the run, UTC.
        versions: versions of the packages that it saw, by name.
        operators: number of operators judged, by suite.
    """

    created: str
    versions: dict[str, str]
    operators: dict[str, int]
    entries: list[KnownDefect]

    def holds_for(self, suite: str, installed: Callable[[Iterable[str]], Mapping[str, str]]) -> bool:
        """Return whether the packages of a suite are installed in the versions that were seen."""
        packages = SUITES[suite].packages
        return dict(installed(packages)) == {name: one for name, one in self.versions.items() if name in packages}


def published_of(atlas: Atlas) -> Published:
    """Return what is shipped of an atlas."""
    found = [(one, kernel) for one in squares(atlas) if one.verdict in DEFECTS and (kernel := _kernel(one))]
    return Published(
        created=atlas.created,
        versions=atlas.versions,
        operators=atlas.operators,
        entries=[
            KnownDefect(
                suite=one.suite,
                operator=one.operator,
                kernel=kernel,
                route=one.route,
                verdict=one.verdict,
                wrong=sum(part.verdict in DEFECTS for part in one.findings if part.route == one.route),
                of=one.of,
            )
            for one, kernel in found
        ],
    )


def read_published() -> Published | None:
    """Return the atlas that is shipped, None where there is none that this version reads."""
    file = resources.files("assay.bench.atlas").joinpath(PUBLISHED_FILE)
    try:
        return Published.model_validate_json(file.read_text(encoding="utf-8"))
    except (OSError, ValidationError):
        return None


def entries_for(
    kernels: Collection[str],
    routes: Collection[str],
    published: Published | None,
    installed: Callable[[Iterable[str]], Mapping[str, str]] = installed_versions,
) -> list[KnownDefect]:
    """Return the entries on these kernels by these routes, where the versions seen are the installed ones."""
    if published is None:
        return []
    found = [one for one in published.entries if one.kernel in kernels and one.route in routes]
    holds = {suite: published.holds_for(suite, installed) for suite in {one.suite for one in found}}
    return [one for one in found if holds[one.suite]]


def known_defects(
    kernels: Collection[str],
    routes: Collection[str],
    installed: Callable[[Iterable[str]], Mapping[str, str]] = installed_versions,
) -> str:
    """Say in one line what the shipped atlas has on a model's kernels by these routes, or "" for nothing: before an
    export, and after one that failed its check.
    """
    return said_of(entries_for(kernels, routes, read_published(), installed), kernels)


def said_of(entries: Collection[KnownDefect], kernels: Collection[str]) -> str:
    """Say in one line what the atlas has on a model's kernels, or "" for nothing."""
    if not entries:
        return ""
    named = [f"{one.kernel} by {one.route} ({one.wrong} of {one.of} samples)" for one in entries]
    more = f" and {len(named) - MOST_NAMED} more" if len(named) > MOST_NAMED else ""
    bad = len({one.kernel for one in entries})
    first = next(iter(entries))
    suite = "" if first.suite == next(iter(SUITES)) else f"--suite {first.suite} "
    return (
        f"The atlas has wrong exports of {bad} of its {counted(len(kernels), 'operator')}, with the installed "
        f"versions: "
        f"{', '.join(named[:MOST_NAMED])}{more}. assay atlas {suite}--operator {first.operator} shows them"
    )


def _kernel(square: Square) -> str:
    """Return the one kernel that all samples of an operator reach, "" where there are several."""
    if SUITES[square.suite].has_files:
        return square.operator
    seen = {one.kernels for one in square.findings if one.kernels}
    names = {name for some in seen for name in some}
    return names.pop() if len(names) == 1 else ""
