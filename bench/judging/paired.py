"""Whether the ratio of two cells that were timed in turns counts, whatever else the machine did. Pure functions.

Other load on the processor makes a cell's own times worthless (`assay.bench.judging.validity`), and a ratio only less
sure: it falls on a block of both, in random order, so that it is noise that the interval over fresh processes holds, as
in randomised blocks (Fisher 1935, "The design of experiments"; of machines that are shared: Abedi & Brecht 2017,
"Conducting repeatable experiments in highly variable cloud computing environments", and Bulej, Horký, Tůma, Farquet &
Prokopec 2020, "Duet benchmarking: improving measurement accuracy in the cloud"). Two things would mislead, and are
looked for: that one side lost more than the other, and a ratio that changes from block to block. How often such a ratio
is wrong is measured in tests/bench/judging/test_paired.py, and on a machine under load in tests/bench/comparing.
"""

from __future__ import annotations

import polars

from assay.bench.judging.validity import MOST_STOLEN, taken_by_others
from assay.bench.judging.verdicts import difference_p_value
from assay.bench.statistics.stats import Samples, block_ratios, ratio_estimate
from assay.bench.statistics.steadiness import DRIFT_LARGEST, DRIFT_LEVEL, steadiness
from assay.records.results import Cell


def for_a_ratio(cell: Cell) -> Cell:
    """Return the cell with those reasons against its times that count against a ratio too."""
    return cell.model_copy(update={"invalid": [one for one in cell.invalid if one not in taken_by_others(cell)]})


def why_no_ratio(base: Cell, new: Cell, ours: Samples, theirs: Samples, bursts: polars.DataFrame) -> str:
    """Return why the ratio of two cells does not count although each side's times would do for one, or "".

    Args:
        base, new: the cells as they were judged by themselves.
        ours, theirs: their calls.
        bursts: conditions of all blocks (`assay.files.columns.BURST_COLUMNS`).
    """
    found = steadiness(block_ratios(theirs, ours))
    if found.drifts:
        return f"their ratio drifts: {found.drift:+.1%} over the blocks of a process, {DRIFT_LARGEST:.0%} is tolerated"
    if not (taken_by_others(base) or taken_by_others(new)):
        return ""  # what each waits for is its own
    lost = ratio_estimate(_stretch(new, bursts), _stretch(base, bursts))
    if lost is None or difference_p_value(lost) >= DRIFT_LEVEL or abs(lost.interval.value - 1) <= MOST_STOLEN:
        return ""
    more, less = ("new", "base") if lost.log_mean > 0 else ("base", "new")
    return (
        f"{more} was kept from its processor more than {less}: "
        f"{max(lost.interval.value, 1 / lost.interval.value) - 1:.0%}, {MOST_STOLEN:.0%} is tolerated"
    )


def _stretch(cell: Cell, bursts: polars.DataFrame) -> Samples:
    """Return how many times as long as its processor time each block took."""
    mine = bursts.filter((polars.col("cell") == cell.name) & (polars.col("processor_ns") > 0))
    process, block, wall, used = (mine[name].to_numpy() for name in ("process", "block", "wall_ns", "processor_ns"))
    return Samples(process, block, wall / used)
