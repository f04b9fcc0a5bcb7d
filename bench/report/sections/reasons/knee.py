"""Table of the knee of each model with several sizes: the size after which more time buys less accuracy than before."""

from __future__ import annotations

from collections.abc import Sequence

from assay.bench.report.contenders import Case, cases
from assay.bench.report.evidence import Evidence, median_of, training_of
from assay.bench.report.page.blocks import Table, Value, headings
from assay.bench.report.page.values import whole
from assay.bench.statistics.knee import Knee, Point, knee_with_uncertainty
from assay.bench.words.numbers import percent, pixels, significant
from assay.records.results import Cell
from assay.records.trainings import Metrics

CAPTION = (
    "The knee of each model: the size furthest above the straight line from its fastest to its best size, on the "
    "Pareto front of time and test accuracy, both scaled to 0..1. Times are those of the fastest cell in fp32. "
    "Candidates together are the knee in 95 % of the draws in which accuracies and times are drawn again"
)
NONE = "none"


def knees(evidence: Evidence) -> list[Table]:
    """Tabulate the knees of a study; empty where no model has several sizes with a known accuracy."""
    models: dict[tuple[str, int, int], list[tuple[Case, Cell, Metrics]]] = {}
    for case in cases(evidence):
        training = training_of(evidence.results, case.exact.weights) if case.exact else None
        if case.exact and training:
            key = (case.group.architecture, case.group.batch, case.group.threads)
            models.setdefault(key, []).append((case, case.exact, training.test))
    rows = tuple(_row(points) for _, points in sorted(models.items()) if len(points) > 1)
    columns = headings("Architecture | # Batch | # Threads | Sizes | Knee | # In draws, % | Candidates")
    return [Table("knees", CAPTION, columns, rows)] if rows else []


def _point_of(cell: Cell, test: Metrics) -> Point:
    """Return the point of a timed cell whose weights have this accuracy."""
    return Point(median_of(cell), round(test.accuracy.value * test.count), test.count)


def _row(points: Sequence[tuple[Case, Cell, Metrics]]) -> tuple[Value, ...]:
    group = points[0][0].group
    found = knee_with_uncertainty([_point_of(cell, test) for _, cell, test in points])
    sizes = [case.group.size for case, _, _ in points]
    told = [
        f"{pixels(case.group.size)}: {significant(median_of(cell).value)} ms, {percent(test.accuracy)}"
        for case, cell, test in points
    ]
    share = found.shares.get(found.place, 0.0) if found.place is not None else 1 - sum(found.shares.values())
    return (
        Value(group.architecture),
        whole(group.batch),
        whole(group.threads),
        Value("; ".join(told)),
        Value(_named(found.place, sizes)),
        Value(significant(100 * share), 100 * share),
        Value(_candidates(found, sizes)),
    )


def _candidates(found: Knee, sizes: Sequence[int]) -> str:
    return " or ".join(_named(place, sizes) for place in found.candidates)


def _named(place: int | None, sizes: Sequence[int]) -> str:
    return NONE if place is None else pixels(sizes[place])
