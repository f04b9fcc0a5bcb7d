"""The best of each tier beside an answer, and of the same precision: like with like. Pure functions.

An answer in int8 through ONNX says little of ONNX as long as nobody says how fast int8 is natively. So the best
candidates of each tier are named, of all precisions and of the answer's own, each with its ratio to the answer.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from assay.bench.choosing.best import Speeds, best_of
from assay.records.choice import EligibleCell, TierBest
from assay.records.results import Cell
from assay.runtimes.entry import TIERS


def best_of_tiers(
    answer: EligibleCell, candidates: Sequence[EligibleCell], cells: Mapping[str, Cell], speeds: Speeds
) -> list[TierBest]:
    """The best candidate of each tier under the answer's conditions: of all precisions, and of the answer's own.

    Ratios know of how many each was chosen. A tier that has no candidate is not in it, and neither is the answer.
    """
    place = _place(cells[answer.cell])
    alike = [one for one in candidates if _place(cells[one.cell]) == place]
    found = {}
    for tier in TIERS:
        of_tier = [one for one in alike if cells[one.cell].tier == tier]
        for rivals in (of_tier, [one for one in of_tier if one.precision == answer.precision]):
            best = best_of(rivals, speeds) if rivals else answer
            if best.cell == answer.cell or best.cell in found:
                continue
            ratio = speeds.ratio(best, answer).chosen(len(rivals), len(alike))
            known = ratio.interval if ratio.degrees > 0 else None
            found[best.cell] = TierBest(
                tier=tier, cell=best.cell, precision=best.precision, times=known, tied=speeds.tie(best, answer)
            )
    return list(found.values())


def _place(cell: Cell) -> tuple[str, int, int, int]:
    return cell.architecture, cell.size, cell.batch, cell.threads
