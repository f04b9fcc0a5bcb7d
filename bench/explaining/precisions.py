"""Precision or runtime? The gain from a smaller precision, apart from that of the runtime: pure functions.

The logarithm of a time is a mean, plus the effect of the runtime, plus that of the precision, plus that of the graph
where all ONNX runtimes ran several graphs in both precisions, plus what these do not explain (a layout with effects
that sum to zero; Scheffe 1959, "The analysis of variance", chapters 4 and 5). The difference of the two effects of
precision is its gain, on average over runtimes. Runtimes of all tiers are in one table: the gain from a precision is
not a merit of the only runtime timed in it.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from assay.bench.explaining.factors import Timed, interval_over_blocks, level_of
from assay.bench.judging.summary import GroupKey, group_key, ranked
from assay.bench.statistics.stats import block_medians, ratio_estimate
from assay.records.attribution import PrecisionFactors
from assay.records.base import Interval
from assay.records.results import Cell
from assay.registry import RUNTIMES

SIDES = ("graph", "runtime", "precision")
Blocks = Mapping[tuple[int, int], NDArray[np.float64]]  # by process and block, logarithms (graphs, runtimes, 2)


@dataclass(frozen=True)
class Twin:
    """One runtime on one graph, in fp32 and in a smaller precision."""

    full: Cell
    reduced: Cell

    @property
    def runtime(self) -> str:
        return self.full.runtime

    @property
    def graph(self) -> str:
        return self.full.exporter


def precision_factors_of(cells: Sequence[Cell], timed: Timed) -> list[PrecisionFactors]:
    """Return the factors for every group and every precision below fp32 in which two runtimes were timed, as well as in
    fp32.

    Args:
        timed: samples by cell name and boundary.
    """
    groups: dict[GroupKey, list[Cell]] = defaultdict(list)
    for cell in cells:
        if ranked(cell) and cell.name in timed and level_of(cell.runtime) in {"", "all"}:
            groups[group_key(cell)].append(cell)
    found = []
    for members in groups.values():
        smaller = {cell.precision for cell in members if cell.reduced_precision}
        for precision in sorted(smaller):
            twins = _twins_of(members, precision)
            for table in filter(None, (_fastest_graphs(twins), _all_graphs(twins))):
                layout = _layout(precision, table, timed)
                found += [layout] if layout else []
    return found


def _twins_of(members: Sequence[Cell], precision: str) -> list[Twin]:
    """Return each cell of a precision with its counterpart in fp32, if that was timed.

    A runtime that has a precision in two ways, such as bf16 by autocast and by weights, appears with the faster one.
    """
    found: dict[tuple[str, str], Twin] = {}
    for cell in sorted((one for one in members if one.precision == precision), key=_median_ms):
        full = next((one for one in members if one.is_fp32_of(cell) and _runs_fp32_of(one, cell)), None)
        if full:
            found.setdefault((full.runtime, full.exporter), Twin(full, cell))
    return list(found.values())


def _runs_fp32_of(full: Cell, cell: Cell) -> bool:
    """Return whether `full` is the fp32 counterpart of a cell, which may be another runtime."""
    entry = RUNTIMES.find(cell.runtime)
    return full.runtime == (entry.reduces if entry and entry.reduces else cell.runtime)


def _median_ms(cell: Cell) -> float:
    assert cell.host is not None  # it is ranked
    return cell.host.median_ms.value


def _fastest_graphs(twins: Sequence[Twin]) -> list[list[Twin]]:
    """Return one row: every runtime with the graph that it runs fastest in the smaller precision; none for a single
    runtime.
    """
    best: dict[str, Twin] = {}
    for one in sorted(twins, key=lambda twin: _median_ms(twin.reduced)):
        best.setdefault(one.runtime, one)
    return [list(best.values())] if len(best) > 1 else []


def _all_graphs(twins: Sequence[Twin]) -> list[list[Twin]]:
    """Return a row for each graph, without a gap; none where that leaves fewer than two graphs or runtimes."""
    rows: dict[str, dict[str, Twin]] = defaultdict(dict)
    for one in twins:
        if one.graph:
            rows[one.graph][one.runtime] = one
    runtimes = {name for row in rows.values() for name in row}
    whole = [[row[name] for name in sorted(runtimes)] for row in rows.values() if row.keys() == runtimes]
    return whole if len(whole) > 1 and len(runtimes) > 1 else []


def _layout(precision: str, table: Sequence[Sequence[Twin]], timed: Timed) -> PrecisionFactors | None:
    """Decompose a table; None where no block has all of its cells."""
    blocks = _blocks(table, timed)
    if not blocks:
        return None
    planned = max(timed[one.full.name]["host"].planned for row in table for one in row)

    def estimate(logs: Sequence[float]) -> Interval:
        return interval_over_blocks(list(blocks), logs, planned)

    first = table[0][0].full
    graphs = [row[0].graph for row in table] if len(table) > 1 else []
    effects = [main_effects(block) for block in blocks.values()]
    return PrecisionFactors(
        architecture=first.architecture,
        size=first.size,
        batch=first.batch,
        threads=first.threads,
        precision=precision,
        gain=estimate([float(found[2][0] - found[2][1]) for found in effects]),
        between=_between([one.reduced for row in table for one in row], timed),
        runtimes={
            one.reduced.label: estimate([float(-np.diff(block[row, column])[0]) for block in blocks.values()])
            for row, twins in enumerate(table)
            for column, one in enumerate(twins)
        },
        graphs={name: estimate([float(found[0][row]) for found in effects]) for row, name in enumerate(graphs)},
        shares=shares_of_sides(np.mean(list(blocks.values()), axis=0)),
        processes=len({process for process, _ in blocks}),
        blocks=len(blocks),
    )


def _blocks(table: Sequence[Sequence[Twin]], timed: Timed) -> Blocks:
    """Return a table of logarithms for every block in which all of its cells were timed."""
    medians = [
        [[block_medians(timed[cell.name]["host"]) for cell in (one.full, one.reduced)] for one in row] for row in table
    ]
    shared = set.intersection(*(set(cell) for row in medians for pair in row for cell in pair))
    return {
        block: np.log([[[cell[block] for cell in pair] for pair in row] for row in medians]) for block in sorted(shared)
    }


def _between(cells: Sequence[Cell], timed: Timed) -> Interval:
    """Return the slowest over the fastest, both of which were chosen from so many pairs."""
    ordered = sorted(cells, key=_median_ms)
    found = ratio_estimate(timed[ordered[-1].name]["host"], timed[ordered[0].name]["host"])
    assert found is not None  # the table's blocks have both
    return found.chosen(1, len(cells) * (len(cells) - 1)).interval


def main_effects(table: NDArray[np.float64]) -> list[NDArray[np.float64]]:
    """Return the effect of each place of each side of a table with any number of sides; the effects of a side sum to
    zero.
    """
    sides = range(table.ndim)
    return [table.mean(axis=tuple(one for one in sides if one != side)) - table.mean() for side in sides]


def shares_of_sides(table: NDArray[np.float64]) -> dict[str, float]:
    """Return the share of a table's variation that each of `SIDES` explains, and the share they explain only
    together.
    """
    squares = {
        name: float(np.sum(effect**2)) * table.size / len(effect)
        for name, effect in zip(SIDES, main_effects(table), strict=True)
    }
    whole = float(np.sum((table - table.mean()) ** 2))
    squares["interaction"] = max(whole - sum(squares.values()), 0.0)
    return {name: square / whole if whole else 0.0 for name, square in squares.items()}
