"""The candidates for a recommendation: the fastest of each case that agrees and keeps its accuracy, and its gain."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from assay.bench.choosing.best import is_tie
from assay.bench.judging.summary import by_cell, planned_of
from assay.bench.report.drawing.palette import series_of
from assay.bench.report.evidence import CellGroup, Evidence, group_of, median_of
from assay.bench.report.quality import qualities
from assay.bench.statistics.stats import ratio_estimate
from assay.bench.words.no_verdict import may_be_ranked
from assay.bench.words.numbers import inverse
from assay.records.base import Interval, Verdict
from assay.records.races import SpeedComparison
from assay.records.results import Cell
from assay.registry import RUNTIMES


@dataclass(frozen=True)
class Case:
    """One group's cells that may be ranked, the fastest first.

    Attributes:
        comparison: the comparison of both sides; None if one is missing.
    """

    group: CellGroup
    ranked: tuple[Cell, ...]
    comparison: SpeedComparison | None

    @property
    def fastest(self) -> Cell:
        return self.ranked[0]

    @property
    def exact(self) -> Cell | None:
        """The fastest cell that computes in no less than fp32."""
        return next((cell for cell in self.ranked if not cell.reduced_precision), None)

    @property
    def native(self) -> Cell | None:
        """The basis of gains: the fastest native cell in the precision of the comparison."""
        wanted = self.comparison.native.rsplit("/", 1)[-1] if self.comparison else ""
        return next((cell for cell in self.ranked if cell.label == wanted), None)

    def gain(self, cell: Cell) -> Interval | None:
        """Return how many times as fast as the fastest native cell it is."""
        if self.comparison is None or cell.label not in self.comparison.ratios:
            return None
        return inverse(self.comparison.ratios[cell.label])

    def verdict(self, cell: Cell) -> Verdict | None:
        """Return a cell's verdict against the fastest native cell."""
        if self.comparison is None:
            return None
        if cell.label == self.comparison.onnx.rsplit("/", 1)[-1]:
            return self.comparison.verdict
        return self.comparison.verdicts.get(cell.label)

    def firsts(self) -> list[Cell]:
        """Return the fastest of each family and precision, the fastest first."""
        return firsts_of(self.ranked)


def firsts_of(cells: Iterable[Cell]) -> list[Cell]:
    """Return the first of each family and precision among cells in order."""
    found: dict[tuple[str, str], Cell] = {}
    for cell in cells:
        family = series_of(cell.label, cell.framework).family
        found.setdefault((family, cell.precision if cell.reduced_precision else ""), cell)
    return list(found.values())


def cases(evidence: Evidence) -> list[Case]:
    """Return every group in which something may be ranked, in the order of groups."""
    results = evidence.results
    comparisons = {CellGroup(c.architecture, c.size, c.batch, c.threads): c for c in results.comparisons}
    members: dict[CellGroup, list[Cell]] = defaultdict(list)
    for cell in evidence.timed:
        if may_be_ranked(cell, results):
            members[group_of(cell)].append(cell)
    return [
        Case(group, tuple(sorted(cells, key=lambda cell: median_of(cell).value)), comparisons.get(group))
        for group, cells in sorted(members.items())
    ]


def recommended(found: Sequence[Case], evidence: Evidence) -> tuple[Case, Cell] | None:
    """Return what to run when one call has to be fast: the fastest of the models that no other is known to beat in
    quality.

    Models are compared at the smallest batch and the fewest threads. One whose accuracy has an interval below that of
    the best is left out; if no accuracy is known, the first model is taken.
    """
    least = min(((case.group.threads, case.group.batch) for case in found), default=None)
    first = [case for case in found if (case.group.threads, case.group.batch) == least]
    known = qualities(evidence)
    rated = [(case, cell) for case in first for cell in case.ranked if cell.name in known]
    if not rated:
        return (first[0], first[0].fastest) if first else None
    best = max((known[cell.name] for _, cell in rated), key=lambda one: one.value)
    kept = [(case, cell) for case, cell in rated if known[cell.name].high >= best.low]
    return min(kept, key=lambda pair: median_of(pair[1]).value)


def not_told_from(cell: Cell, case: Case, evidence: Evidence) -> list[Cell]:
    """Return the first of other families and precisions that the samples cannot tell from this one; empty without
    samples.
    """
    if evidence.samples is None:
        return []
    others = [one for one in case.firsts() if one.name != cell.name]
    wanted = [one.name for one in (cell, *others)]
    samples = evidence.samples.filter(evidence.samples["cell"].is_in(wanted))
    timed = by_cell(samples, planned_of(evidence.results.settings))
    mine = timed.get(cell.name, {}).get("host")
    pairs = [(one, timed.get(one.name, {}).get("host")) for one in others]
    ratios = [(one, ratio_estimate(theirs, mine)) for one, theirs in pairs if theirs is not None and mine is not None]
    return [one for one, ratio in ratios if ratio is not None and is_tie(ratio)]


def runtime_name(cell: Cell) -> str:
    """Return readers' name of a cell's runtime."""
    entry = RUNTIMES.find(cell.runtime)
    return (entry.words or entry.name) if entry else cell.runtime


def called(cell: Cell) -> str:
    """Return "ONNX Runtime int8": the runtime, and its precision if that is less than fp32."""
    name = runtime_name(cell)
    return f"{name} {cell.precision}" if cell.reduced_precision and cell.precision not in name else name
