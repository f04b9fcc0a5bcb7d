"""Numbers over runs: ratios of times within each run, and accuracies; and the changes that they show.

Times of two runs are not comparable. Ratios of runtimes that were timed in turns within each run are, as far as the
machines are of one kind. A change from run to run is the quotient of two independent ratios, with Welch's standard
error (see `assay.bench.comparing.compare`), and the changes of a history are a family, corrected by Holm's method. A
change has more causes than the version that is looked for: other packages, the day, the machine's state. Only versions
timed in turns in one session (`assay compare --env`) leave all others out.
"""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from pydantic import JsonValue

from assay.bench.comparing.compare import changed_versions, quotient
from assay.bench.history.read import Release
from assay.bench.history.record import ChangePoint, RunChange, RunSeries
from assay.bench.judging.summary import ranked
from assay.bench.judging.verdicts import holm, judge
from assay.bench.report.evidence import CellGroup, conditions, group_of
from assay.bench.statistics.change import LEVEL, change_points, clearest_cut
from assay.bench.statistics.intervals import difference
from assay.bench.statistics.stats import Ratio, ratio_estimate
from assay.errors import InputError
from assay.records.base import Interval
from assay.records.results import Cell, Results
from assay.records.trainings import Training


@dataclass(frozen=True)
class Ratios:
    """The ratio of one runtime's time to another's in each run that has both."""

    group: CellGroup
    label: str
    over: str
    points: dict[int, Ratio]


def series_of(releases: Sequence[Release], over: str = "") -> list[RunSeries]:
    """Return all series, latencies first.

    Args:
        releases: the oldest first.
        over: runtime that all others are divided by; "" chooses one for each case.

    Raises:
        InputError: no run has that runtime.
    """
    found = [*_latencies(releases, over), *_qualities(releases)]
    return _with_change_points(found)


def _latencies(releases: Sequence[Release], over: str) -> list[RunSeries]:
    ratios = [one for group, cells in _groups(releases).items() for one in _ratios(releases, group, cells, over)]
    if over and not ratios:
        raise InputError(
            f"--over {over} is not in these results", expected="a runtime that was timed beside others in a run"
        )
    steps = [(one, before, after) for one in ratios for before, after in pairwise(one.points)]
    alike = [releases[before].machine == releases[after].machine for _, before, after in steps]
    changes = [quotient(one.points[after], one.points[before]) for one, before, after in steps]
    judged = iter(judge([change for change, same in zip(changes, alike, strict=True) if same]))
    told: dict[tuple[CellGroup, str], list[RunChange]] = {}
    for (one, before, after), change, same in zip(steps, changes, alike, strict=True):
        packages = _packages(releases[before], releases[after])
        verdict = next(judged) if same else "not judged"
        step = RunChange(before=before, after=after, change=change.interval, verdict=verdict, packages=packages)
        told.setdefault((one.group, one.label), []).append(step)
    return [
        RunSeries(
            kind="latency",
            subject=conditions(one.group, size=bool(one.group.size), batch=True, threads=True),
            label=one.label,
            over=one.over,
            points={place: ratio.interval for place, ratio in one.points.items()},
            steps=told.get((one.group, one.label), []),
        )
        for one in ratios
    ]


def _groups(releases: Sequence[Release]) -> dict[CellGroup, list[dict[str, Cell]]]:
    """Return the cells that may be ranked, by label, in each run of each case that was timed."""
    groups = sorted({group_of(cell) for one in releases for cell in one.results.cells if ranked(cell)})
    return {
        group: [
            {cell.label: cell for cell in one.results.cells if ranked(cell) and group_of(cell) == group}
            for one in releases
        ]
        for group in groups
    }


def _ratios(
    releases: Sequence[Release], group: CellGroup, cells: Sequence[Mapping[str, Cell]], over: str
) -> Iterator[Ratios]:
    base = over or denominator(cells)
    labels = dict.fromkeys(label for one in cells for label in one if label != base)
    for label in labels:
        points = {}
        for place, (release, mine) in enumerate(zip(releases, cells, strict=True)):
            if label in mine and base in mine:
                above, below = (release.timed.get(mine[name].name, {}).get("host") for name in (label, base))
                ratio = ratio_estimate(above, below) if above and below else None
                if ratio is not None:
                    points[place] = ratio
        if points:
            yield Ratios(group, label, base, points)


def denominator(cells: Sequence[Mapping[str, Cell]]) -> str:
    """Return the runtime that the others of a case are divided by: native in fp32, in most of the runs, and of several
    such the fastest in the newest run that has it.

    Args:
        cells: cells by label, of each run from the oldest on.
    """
    able = [
        {label: cell for label, cell in one.items() if cell.is_native and not cell.reduced_precision} for one in cells
    ]
    counts = Counter(label for one in able for label in one)
    newest = {label: cell for one in able for label, cell in one.items()}
    return min(counts, key=lambda label: (-counts[label], _median(newest[label])), default="")


def _median(cell: Cell) -> float:
    return cell.host.median_ms.value if cell.host else math.inf


def _qualities(releases: Sequence[Release]) -> Iterator[RunSeries]:
    """Iterate over the accuracies of trainings by the same recipe on the same images; the same weights count once."""
    found: dict[tuple[str, ...], dict[int, Training]] = {}
    for place, release in enumerate(releases):
        for one in release.results.trainings:
            own = (one.architecture, str(one.size), one.framework, str(one.seed), one.changed)
            key = (*own, release.results.data.content_hash, _recipe_of(release.results, one))
            known = found.setdefault(key, {})
            if one.weights not in {training.weights for training in known.values()} or _differs(one, known.values()):
                known[place] = one
    for points in found.values():
        first = next(iter(points.values()))
        said = [f"seed {first.seed}", *([first.changed] if first.changed else [])]
        shares = {place: one.test.accuracy for place, one in points.items()}
        yield RunSeries(
            kind="accuracy",
            subject=f"{conditions(CellGroup(first.architecture, first.size, 1, 1), size=True)}, {', '.join(said)}",
            label=first.framework,
            points=shares,
            steps=[_quality_step(releases, shares, *pair) for pair in pairwise(shares)],
        )


def _differs(one: Training, known: Iterable[Training]) -> bool:
    """Whether a training with a known key has another result: it was done again, and is not a copy."""
    return all(one.test.confusion != other.test.confusion for other in known if other.weights == one.weights)


def _recipe_of(results: Results, training: Training) -> str:
    """Return how a model was trained, as the study says: passes over the images up to its size, and [train]."""
    models = results.settings.get("models")
    sections = [one for one in models if isinstance(one, dict)] if isinstance(models, list) else []
    mine: list[JsonValue] = []
    for section in (one for one in sections if one.get("architecture") == training.architecture):
        sizes, epochs = section.get("sizes"), section.get("epochs")
        if isinstance(sizes, list) and isinstance(epochs, list):
            kept = [pair for pair in zip(sizes, epochs, strict=False) if int(str(pair[0])) <= training.size]
            mine.append([*map(list, kept), section.get("batch_size"), section.get("peak_learning_rate")])
    train = results.settings.get("train")
    told = {name: value for name, value in train.items() if name in RECIPE} if isinstance(train, dict) else {}
    return json.dumps([mine, told], sort_keys=True)


RECIPE = {"batch_size", "peak_learning_rate", "own_defaults", "progressive", "minutes", "evaluated_images"}
"""Keys of [train] that decide what is learned, and on how many images it is evaluated."""


def _quality_step(releases: Sequence[Release], points: Mapping[int, Interval], before: int, after: int) -> RunChange:
    """Judge a change of accuracy by the interval of the difference (Newcombe 1998, "Interval estimation for the
    difference between independent proportions: comparison of eleven methods", Statistics in Medicine 17, method 10).
    """
    change = difference(points[after], points[before])
    verdict = "higher" if change.low > 0 else "lower" if change.high < 0 else "undecided"
    packages = _packages(releases[before], releases[after])
    return RunChange.model_validate(
        {"before": before, "after": after, "change": change, "verdict": verdict, "packages": packages}
    )


def _packages(before: Release, after: Release) -> dict[str, tuple[str, str]]:
    found = changed_versions(before.told.packages, after.told.packages)
    if before.results.assay_version != after.results.assay_version:
        found["onnx-assay"] = (before.results.assay_version, after.results.assay_version)
    return found


def _with_change_points(found: Sequence[RunSeries]) -> list[RunSeries]:
    """Return the series with their change points, tested as one family."""
    values = [_values(one) for one in found]
    cuts = [clearest_cut(one) for one in values]
    adjusted = iter(holm([cut[1] for cut in cuts if cut]))
    kept = []
    for one, numbers, cut in zip(found, values, cuts, strict=True):
        p_value = next(adjusted) if cut else 1.0
        if p_value > LEVEL:
            kept.append(one)
            continue
        places = list(one.points)
        changes = [
            ChangePoint(
                run=places[each.place],
                p_value=max(p_value, each.p_value),
                before=_told(one, each.before),
                after=_told(one, each.after),
            )
            for each in change_points(numbers)
        ]
        kept.append(one.model_copy(update={"changes": changes}))
    return kept


def _values(one: RunSeries) -> list[float]:
    """Return the numbers that are searched: logarithms of ratios, accuracies as they are."""
    return [math.log(point.value) if one.kind == "latency" else point.value for point in one.points.values()]


def _told(one: RunSeries, value: float) -> float:
    return math.exp(value) if one.kind == "latency" else value
