"""Each cell on each kind of machine: times, throughput and cost, of the machines on which it may be ranked."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from assay.bench.choosing.whole_machine import best_instances, cost_of_a_million, reason_against_price
from assay.bench.comparing.compare import why_no_time
from assay.bench.fleet.levels import estimate_of_kind, of_machine, spread_between
from assay.bench.fleet.runs import RunApart
from assay.bench.judging.summary import ranked
from assay.fleet.joined import KindCell
from assay.records.base import Interval
from assay.records.results import Cell

NO_PRICE = "this kind of machine has no hourly price"


@dataclass(frozen=True)
class OfKind:
    """The runs on one kind of machine.

    Attributes:
        machines: runs on each machine, by letter.
        price_per_hour: price of an hour; None where unknown.
    """

    key: str
    machines: Mapping[str, Sequence[RunApart]]
    price_per_hour: float | None

    @property
    def runs(self) -> list[RunApart]:
        return [run for runs in self.machines.values() for run in runs]


def cells_of_kind(kind: OfKind) -> list[KindCell]:
    """Return every cell that a run on this kind has, in their order."""
    names = dict.fromkeys(name for run in kind.runs for name in run.cells)
    return [_cell(kind, name) for name in names]


def with_front(cells: Sequence[KindCell]) -> list[KindCell]:
    """Return the same cells, marked where none of the same model, on any kind, is both quicker and cheaper."""
    by_model = defaultdict[tuple[str, int], set[tuple[float, float]]](set)
    for one in cells:
        if place := _place(one):
            by_model[one.architecture, one.size].add(place)
    fronts = {model: _front(places) for model, places in by_model.items()}
    return [
        one.model_copy(update={"front": _place(one) in fronts.get((one.architecture, one.size), ())}) for one in cells
    ]


def _front(places: Iterable[tuple[float, float]]) -> set[tuple[float, float]]:
    """Return the places that no other one is at least as quick and as cheap as: those cheaper than all quicker ones."""
    front, cheapest = set(), math.inf
    for place in sorted(places):
        if place[1] < cheapest:
            front.add(place)
            cheapest = place[1]
    return front


def _place(one: KindCell) -> tuple[float, float] | None:
    """Return its place in the plane of time and cost, or None where it has none."""
    if one.median_ms is None or one.cost_per_million is None:
        return None
    return one.median_ms.value, one.cost_per_million.value


def _cell(kind: OfKind, name: str) -> KindCell:
    seen = {machine: [run for run in runs if name in run.cells] for machine, runs in kind.machines.items()}
    every = [run.cells[name] for runs in seen.values() for run in runs]
    like = every[0]
    blank = KindCell(
        kind=kind.key,
        cell=name,
        architecture=like.architecture,
        size=like.size,
        batch=like.batch,
        threads=like.threads,
        label=like.label,
        precision=next((cell.precision for cell in every if cell.precision), ""),
        native=like.is_native,
    )
    if reason := _why_not_ranked(every):
        return blank.model_copy(update={"reason": reason})
    good = {machine: kept for machine, runs in seen.items() if (kept := [run for run in runs if _counts(run, name)])}
    return _timed(blank, kind, name, good)


def _counts(run: RunApart, name: str) -> bool:
    return ranked(run.cells[name])


def _why_not_ranked(every: Sequence[Cell]) -> str:
    """Say why a cell is not ranked on a kind: it is wrong somewhere, or has no time that counts anywhere."""
    wrong = [cell for cell in every if cell.agreement is not None and not cell.agreement.passed]
    if wrong:
        return why_no_time(wrong[0])
    return "" if any(ranked(cell) for cell in every) else why_no_time(every[0])


def _timed(blank: KindCell, kind: OfKind, name: str, good: Mapping[str, Sequence[RunApart]]) -> KindCell:
    medians = {machine: of_machine([_median(run.cells[name]) for run in runs]) for machine, runs in good.items()}
    tails = [timed.p99_ms.value for runs in good.values() for run in runs if (timed := run.cells[name].host)]
    given = {machine: [_throughput(run, name) for run in runs] for machine, runs in good.items()}
    instances = {count for runs in given.values() for _, count in runs}
    throughput = estimate_of_kind([of_machine([rate for rate, _ in runs]) for runs in given.values()])
    first = next(iter(good.values()))[0]
    not_priced = NO_PRICE if kind.price_per_hour is None else reason_against_price(first.results, first.cells[name])
    if len(instances) > 1:
        not_priced = not_priced or "its machines give most with different numbers of instances"
    cost = None if not_priced or kind.price_per_hour is None else cost_of_a_million(kind.price_per_hour, throughput)
    return blank.model_copy(
        update={
            "median_ms": estimate_of_kind(list(medians.values())),
            "by_machine": {machine: one.value for machine, one in medians.items()},
            "spread": spread_between([one.value for one in medians.values()]),
            "p99_ms": max(tails),
            "throughput": throughput,
            "instances": max(instances),
            "cost_per_million": cost,
            "not_priced": not_priced,
        }
    )


def _median(cell: Cell) -> Interval:
    assert cell.host is not None  # it is ranked
    return cell.host.median_ms


def _throughput(run: RunApart, name: str) -> tuple[Interval, int]:
    """Return the rows per second of the machine, and the number of instances."""
    several = best_instances(run.results, name)
    if several and several.throughput:
        return several.throughput, several.instances
    alone = run.cells[name].throughput
    assert alone is not None  # it is ranked
    return alone, 1
