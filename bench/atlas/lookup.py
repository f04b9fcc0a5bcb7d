"""The published atlas, looked up for a model: which of its operators some route was seen to export wrongly.

An entry is found by the kernel that a sample reaches in its framework, so that it is found however a model calls it.
Where all wrong samples call it in a form that the model does not use, such as BatchNorm in training, it is not the
model's. Operators that are put together from several kernels are not looked up: a model that has those has not
therefore used the operator. For an ONNX file the kernels are its operators, and the routes are runtimes.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Collection, Iterable, Mapping
from importlib import resources

from pydantic import ValidationError

from assay.bench.atlas.record import DEFECTS, Atlas, Finding, Verdict
from assay.bench.atlas.suites.entries import SUITES
from assay.bench.atlas.summary import Square, squares
from assay.records.base import Record
from assay.records.results import Export
from assay.registry import GIVEN, RUNTIMES, installed_versions
from assay.runtimes.ort import CPU

PUBLISHED_FILE = "published.json"
MOST_LINES = 6
IN_A_SENTENCE: Mapping[Verdict, str] = {
    "wrong": "is wrong",
    "wrong in the runtime": "is wrong in ONNX Runtime",
    "only unoptimised": "is right in ONNX Runtime without optimisations alone",
    "crashed": "crashes",
    "given up": "takes more than a minute or 4 GB",
}
Installed = Callable[[Iterable[str]], Mapping[str, str]]
"""Returns the versions of packages by name, without those that are not installed."""


class KnownDefect(Record):
    """An operator that a route was seen to export wrongly.

    Attributes:
        kernel: the framework's operator or layer that computes it, such as "aten::softplus" or "keras::GRU"; of an ONNX
            file, the operator.
        having: the arguments that choose a form of the kernel, such as "training", and that every wrong sample has. A
            call that has none of them is another form.
        wrong, of: number of samples that are wrong, and of all that the route exported or refused.
    """

    suite: str
    operator: str
    kernel: str
    having: tuple[str, ...] = ()
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


def published_of(atlas: Atlas) -> Published:
    """Return what is shipped of an atlas."""
    found = [(one, kernel) for one in squares(atlas) if one.verdict in DEFECTS and (kernel := _kernel(one))]
    return Published(
        created=atlas.created,
        versions=atlas.versions,
        operators=atlas.operators,
        entries=[_entry(one, kernel) for one, kernel in found],
    )


@functools.cache
def read_published() -> Published | None:
    """Return the atlas that is shipped, None where there is none that this version reads."""
    file = resources.files("assay.bench.atlas").joinpath(PUBLISHED_FILE)
    try:
        return Published.model_validate_json(file.read_text(encoding="utf-8"))
    except (OSError, ValidationError):
        return None


def entries_for(kernels: Collection[str], routes: Collection[str], published: Published | None) -> list[KnownDefect]:
    """Return the entries on these kernels, in the forms in which they are called, by these routes."""
    called = [_parted(one) for one in kernels]
    return [
        one
        for one in (published.entries if published else ())
        if one.route in routes
        and any(name == one.kernel and (not one.having or switches & set(one.having)) for name, switches in called)
    ]


def known_defects(
    kernels: Collection[str], routes: Collection[str], installed: Installed = installed_versions
) -> list[str]:
    """Say in one line each what the shipped atlas has on a model's kernels by these routes: before an export, and after
    one that failed its check or its audit. If the versions differ from the installed ones, the line names both.

    Args:
        kernels: as `assay.train.brought.loaders.loaded.LoadedModel` names them.
    """
    published = read_published()
    return said_of(entries_for(kernels, routes, published), published, installed) if published else []


def known_of_export(
    export: Export, kernels: Collection[str], runtimes: Iterable[str], installed: Installed = installed_versions
) -> list[str]:
    """Return what `known_defects` says of one export: of the model's kernels by its route, or of the operators of a
    file that was given in the runtimes that are to run it.

    Args:
        runtimes: names of runtimes; every file is checked in ONNX Runtime.
    """
    if export.exporter != GIVEN:
        return known_defects(kernels, [export.exporter], installed)
    return known_of_file(export.operators, {CPU.name, *runtimes}, installed)


def known_of_file(
    operators: Collection[str], runtimes: Iterable[str], installed: Installed = installed_versions
) -> list[str]:
    """Return what `known_defects` says of an ONNX file's operators in some runtimes, by name."""
    packages = {RUNTIMES[name].family.packages for name in runtimes}
    routes = [route for suite in SUITES.values() for route, mine in suite.runs_in.items() if mine in packages]
    return known_defects(operators, routes, installed)


def said_of(
    entries: Iterable[KnownDefect], published: Published, installed: Installed = installed_versions
) -> list[str]:
    """Say in one line each what the atlas has on kernels; the entries on one kernel in one form are one."""
    alike: dict[tuple[str, tuple[str, ...], str], list[KnownDefect]] = {}
    for one in entries:
        alike.setdefault((one.kernel, one.having, one.route), []).append(one)
    lines = [_line(some, published, installed) for some in alike.values()]
    more = [f"In the atlas are {len(lines) - MOST_LINES} more of its operators"] if len(lines) > MOST_LINES else []
    return lines[:MOST_LINES] + more


def _line(some: list[KnownDefect], published: Published, installed: Installed) -> str:
    """Say what the atlas has on one kernel by one route, with the versions that decide it."""
    worst = max(some, key=lambda one: one.wrong)
    suite = SUITES[worst.suite]
    wrong, of = sum(one.wrong for one in some), sum(one.of for one in some)
    form = f" with {', '.join(worst.having)}" if worst.having else ""
    by = f"in {worst.route} is wrong" if suite.has_files else f"by {worst.route} {IN_A_SENTENCE[worst.verdict]}"
    asked = "" if worst.suite == next(iter(SUITES)) else f"--suite {worst.suite} "
    seen = {name: published.versions[name] for name in suite.packages_of(worst.route) if name in published.versions}
    return (
        f"In the atlas, {worst.kernel}{form} {by} in {wrong} of {of} samples, {_versions(seen, installed(seen))}: "
        f"assay atlas {asked}--operator {worst.operator}"
    )


def _versions(seen: Mapping[str, str], here: Mapping[str, str]) -> str:
    """Say whether versions are the installed ones. Builds of one version, such as 2.13.0+cpu, export alike."""
    others = {name: one for name, one in seen.items() if here.get(name, "").partition("+")[0] != one.partition("+")[0]}
    if not others:
        return "with the installed versions"
    saw, have = (", ".join(f"{name} {versions.get(name, 'none')}" for name in others) for versions in (seen, here))
    return f"with {saw}, where {have} is installed"


def _entry(square: Square, kernel: str) -> KnownDefect:
    wrong = [one for one in square.findings if one.route == square.route and one.verdict in DEFECTS]
    forms = [_switches(one) for one in wrong]
    return KnownDefect(
        suite=square.suite,
        operator=square.operator,
        kernel=kernel,
        having=tuple(sorted(frozenset.intersection(*forms))),
        route=square.route,
        verdict=square.verdict,
        wrong=len(wrong),
        of=square.of,
    )


def _kernel(square: Square) -> str:
    """Return the one kernel that all samples of an operator reach, "" where there are several."""
    if SUITES[square.suite].has_files:
        return square.operator
    names = {_parted(name)[0] for one in square.findings for name in one.kernels}
    return names.pop() if len(names) == 1 else ""


def _switches(finding: Finding) -> frozenset[str]:
    """Return the arguments that choose the forms of its kernels."""
    return frozenset[str]().union(*(_parted(one)[1] for one in finding.kernels))


def _parted(kernel: str) -> tuple[str, frozenset[str]]:
    """Part "aten::batch_norm(training)" into its name and the arguments that choose its form."""
    name, _, switches = kernel.partition("(")
    return name, frozenset(filter(None, switches.rstrip(")").split(", ")))
