"""Two sides that were measured in turns: cells that both have, distinguished by their variant, and their ratios."""

from __future__ import annotations

from collections.abc import Sequence

from assay.bench.comparing.compare import CellPair
from assay.bench.judging.paired import for_a_ratio, why_no_ratio
from assay.bench.judging.validity import taken_by_others
from assay.bench.statistics.stats import ratio_estimate
from assay.bench.timing.measurements import Measurements
from assay.bench.words.numbers import counted
from assay.records.results import Cell

BASE, NEW = "base", "new"
"""The variants: see `assay.bench.timing.workers.Candidate`."""


def pairs_in_turns(cells: Sequence[Cell], measured: Measurements) -> list[CellPair]:
    """Cells of base and new that differ in nothing else, with the ratio of their calls in the same blocks.

    Other load on the machine counts against the ratio, and not against either side: `assay.bench.judging.paired`.
    """
    timed = measured.by_cell
    named = {cell.name: cell for cell in cells}
    found = []
    for name, before in named.items():
        plain, variant = parted(name)
        after = named.get(f"{plain}[{NEW}]")
        if variant == BASE and after is not None:
            ours, theirs = (timed.get(cell.name, {}).get("host") for cell in (before, after))
            ratio = ratio_estimate(theirs, ours) if ours and theirs else None
            doubt = why_no_ratio(before, after, ours, theirs, measured.bursts) if ours and theirs and ratio else ""
            named_plainly = for_a_ratio(after).model_copy(update={"name": plain})
            found.append(CellPair(for_a_ratio(before), named_plainly, ratio, doubt))
    return found


def disturbed(pairs: Sequence[CellPair]) -> list[str]:
    """A remark where the times of a side do not count although their ratio does."""
    busy = [pair for pair in pairs if pair.counts and (taken_by_others(pair.base) or taken_by_others(pair.new))]
    if not busy:
        return []
    return [
        f"Something else used the machine while the times of {counted(len(busy), 'cell')} were taken: it fell on both "
        "sides alike, so that their ratios count, and their milliseconds do not."
    ]


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
