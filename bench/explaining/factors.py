"""Graph or runtime? Exporter by runtime as a two-way layout: pure functions from cells and samples to effects.

With the same weights, size and batch, the logarithm of a time is a mean, plus the effect of the exporter, plus that of
the runtime, plus their interaction (the two-way layout with effects that sum to zero; Scheffe 1959, "The analysis of
variance", chapter 4). Multiplied effects are added logarithms. Every interleaved block in which all cells of the table
were timed gives one table; the variation of its numbers over blocks and processes gives their intervals.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from assay.bench.judging.summary import ranked
from assay.bench.statistics.stats import Samples, block_medians, paired_ratio
from assay.records.attribution import Factors, Question
from assay.records.base import Interval
from assay.records.results import Cell
from assay.registry import RUNTIMES

Timed = Mapping[str, Mapping[str, Samples]]
Table = dict[str, dict[str, Cell]]  # by exporter, then runtime
Blocks = dict[tuple[int, int], NDArray[np.float64]]  # by process and block, logarithms (exporters, runtimes)


def factors_of(cells: Sequence[Cell], timed: Timed) -> list[Factors]:
    """Return the table of every group of ONNX cells with two exporters and two runtimes, and that of the levels.

    Args:
        timed: samples by cell name and boundary.
    """
    groups: dict[tuple[str, int, int, int], list[Cell]] = defaultdict(list)
    for cell in cells:
        if ranked(cell) and cell.exporter and not cell.reduced_precision:  # an int8 graph is not another exporter's
            groups[(cell.architecture, cell.size, cell.batch, cell.threads)].append(cell)
    questions: dict[Question, Callable[[str], bool]] = {
        "runtime": lambda runtime: level_of(runtime) in {"", "all"},
        "optimisation level": lambda runtime: level_of(runtime) != "",
    }
    found = []
    for members in groups.values():
        for question, belongs in questions.items():
            table = whole_table([cell for cell in members if belongs(cell.runtime)])
            blocks = _blocks(table, timed) if table else {}
            if blocks:
                planned = max(timed[cell.name]["host"].planned for row in table.values() for cell in row.values())
                found.append(_factors(question, table, blocks, planned))
    return found


def level_of(runtime: str) -> str:
    """Return a runtime's level of graph optimisation, "" where there are no levels to compare."""
    entry = RUNTIMES.find(runtime)
    return entry.level if entry else ""


def whole_table(cells: Sequence[Cell]) -> Table:
    """Return exporters by runtimes without a gap; empty where that leaves fewer than two of either.

    An exporter for which some runtime has no time is left out, since a table with gaps would mix up the two effects.
    """
    rows: Table = defaultdict(dict)
    for cell in cells:
        rows[cell.exporter][cell.runtime] = cell
    runtimes = {cell.runtime for cell in cells}
    whole = {exporter: row for exporter, row in rows.items() if row.keys() == runtimes}
    return whole if len(whole) > 1 and len(runtimes) > 1 else {}


def _blocks(table: Table, timed: Timed) -> Blocks:
    """Return a table of logarithms for every block in which all of its cells were timed."""
    runtimes = list(next(iter(table.values())))
    medians = [
        [block_medians(timed[row[runtime].name]["host"]) for runtime in runtimes if row[runtime].name in timed]
        for row in table.values()
    ]
    if any(len(row) != len(runtimes) for row in medians):
        return {}
    shared = set.intersection(*(set(cell) for row in medians for cell in row))
    return {block: np.log([[cell[block] for cell in row] for row in medians]) for block in sorted(shared)}


def effects(table: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Return effects of rows (rows,) and columns (columns,), and the interaction (rows, columns); each sums to zero."""
    mean = table.mean()
    rows, columns = table.mean(axis=1) - mean, table.mean(axis=0) - mean
    return rows, columns, table - mean - rows[:, None] - columns[None, :]


def shares_of(table: NDArray[np.float64]) -> dict[str, float]:
    """Return the shares of the table's variation that the rows, the columns and their interaction explain."""
    rows, columns, interaction = effects(table)
    squares = {
        "exporter": float(np.sum(rows**2)) * table.shape[1],
        "runtime": float(np.sum(columns**2)) * table.shape[0],
        "interaction": float(np.sum(interaction**2)),
    }
    whole = sum(squares.values())
    return {name: square / whole if whole else 0.0 for name, square in squares.items()}


def _factors(question: Question, table: Table, blocks: Blocks, planned: int) -> Factors:
    parts = [effects(block) for block in blocks.values()]

    def estimate(part: int, *place: int) -> Interval:
        return interval_over_blocks(list(blocks), [float(found[part][place]) for found in parts], planned)

    exporters, runtimes = list(table), list(next(iter(table.values())))
    first = table[exporters[0]][runtimes[0]]
    return Factors(
        architecture=first.architecture,
        size=first.size,
        batch=first.batch,
        threads=first.threads,
        question=question,
        exporters={name: estimate(0, row) for row, name in enumerate(exporters)},
        runtimes={name: estimate(1, column) for column, name in enumerate(runtimes)},
        interaction={
            name: {other: estimate(2, row, column) for column, other in enumerate(runtimes)}
            for row, name in enumerate(exporters)
        },
        shares=shares_of(np.mean(list(blocks.values()), axis=0)),
        processes=len({process for process, _ in blocks}),
        blocks=len(blocks),
    )


def interval_over_blocks(blocks: Sequence[tuple[int, int]], logs: Sequence[float], planned: int) -> Interval:
    """Return an effect as a ratio with its interval, which `assay.bench.statistics.stats` derives from the blocks'
    ratios to one.
    """
    process, block = (np.array([pair[place] for pair in blocks], dtype=np.int64) for place in (0, 1))
    found = paired_ratio(Samples(process, block, np.exp(logs), planned), Samples(process, block, np.ones(len(logs))))
    assert found is not None  # both have the same blocks
    return found
