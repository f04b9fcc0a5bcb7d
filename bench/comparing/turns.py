"""Two sides that were measured in turns: cells that both have, told apart by their variant, and their ratios."""

from __future__ import annotations

from collections.abc import Sequence

from assay.bench.comparing.compare import CellPair
from assay.bench.judging.summary import CellSamples
from assay.bench.statistics.stats import ratio_estimate
from assay.records.results import Cell

BASE, NEW = "base", "new"
"""The variants: see `assay.bench.timing.workers.Candidate`."""


def pairs_in_turns(cells: Sequence[Cell], timed: CellSamples) -> list[CellPair]:
    """Cells of base and new that differ in nothing else, with the ratio of their calls in the same blocks."""
    named = {cell.name: cell for cell in cells}
    found = []
    for name, before in named.items():
        plain, variant = parted(name)
        after = named.get(f"{plain}[{NEW}]")
        if variant == BASE and after is not None:
            ours, theirs = (timed.get(cell.name, {}).get("host") for cell in (before, after))
            ratio = ratio_estimate(theirs, ours) if ours and theirs else None
            found.append(CellPair(before, after.model_copy(update={"name": plain}), ratio))
    return found


def alone(cells: Sequence[Cell], variant: str) -> list[str]:
    """Names of cells of one side that the other does not have."""
    names = {cell.name for cell in cells}
    other = NEW if variant == BASE else BASE
    plain = [parted(name)[0] for name in names if parted(name)[1] == variant]
    return sorted(name for name in plain if f"{name}[{other}]" not in names)


def parted(name: str) -> tuple[str, str]:
    """A cell's name without its variant, and the variant."""
    plain, _, variant = name.rpartition("[")
    return plain, variant.rstrip("]")
