"""The best of each tier besides an answer, also in the same precision: like with like. Pure functions. An answer in
int8 through ONNX says little about ONNX without the speed of native int8. So the best candidates of each tier are
named, in all precisions and in the answer's own, each with its ratio to the answer.
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
    """Return the best candidate of each tier under the answer's conditions: in all precisions, and in the answer's own.

    Ratios take into account from how many each was chosen. A tier without a candidate is left out, and so is the
    answer.
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
