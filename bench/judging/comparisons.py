"""The best ONNX cell against the best native one, for every group of cells that were timed together. Pure functions.
Both compute in fp32 if both sides have such a cell; cells in less are among the rivals. If not, as for a user's model
in bf16, both compute in the precision of the fastest native cell that ONNX also has; and if no precision is on both
sides, nothing is compared here: a ratio of two precisions would not be a verdict on ONNX (`assay.bench.judging.races`
then says which is the fastest of all).

A cell that is not valid, or whose outputs do not agree with the reference, is not ranked. Verdicts that are read
together are a family: those on ONNX of all groups and precisions, and in each group those on the other cells. A single
family of all would hide every difference behind comparisons that nobody asked for: three processes leave Student's
distribution two degrees of freedom, whose tails are long.
"""

from __future__ import annotations

from collections.abc import Sequence

from assay.bench.judging.races import FULL_PRECISION, Lineup, fastest, groups_of, lineups
from assay.bench.judging.summary import CellSamples, ranked
from assay.bench.judging.verdicts import judge
from assay.bench.statistics.stats import Ratio, ratio_estimate
from assay.records.races import OF_ALL, Race, SpeedComparison
from assay.records.results import Cell


def comparisons_of(cells: Sequence[Cell], races: Sequence[Race], timed: CellSamples) -> list[SpeedComparison]:
    """Return for each group the race that is its verdict on ONNX, together with every other ranked cell.

    Args:
        races: races of the same cells, with their verdicts.
        timed: samples by cell name and boundary.
    """
    found = []
    for them in groups_of(cells):
        main = main_lineup(them)
        race = next((one for one in races if main and main.is_of(one) and one.verdict), None)
        if main and race:
            found.append(_comparison(race, main, [cell for cell in them if ranked(cell)], timed))
    return found


def main_lineup(them: Sequence[Cell]) -> Lineup | None:
    """Return the native and the ONNX cells that compute in fp32, else in the fastest native cell's precision that both
    have.
    """
    both = [one for one in lineups(them) if one.natives and one.exported and one.precision != OF_ALL]
    full = next((one for one in both if one.precision == FULL_PRECISION), None)
    if full:
        return full
    best = fastest([cell for one in both for cell in one.natives])
    return next((one for one in both if best in one.natives), None)


def _comparison(race: Race, main: Lineup, members: Sequence[Cell], timed: CellSamples) -> SpeedComparison:
    assert race.speedup is not None  # a race with a verdict has a ratio
    assert race.verdict is not None
    ratios = _ratios(race, main, members, timed)
    others = [label for label in ratios if label not in {race.native, race.onnx}]
    judged = judge([ratios[label] for label in others])
    return SpeedComparison(
        architecture=race.architecture,
        size=race.size,
        batch=race.batch,
        threads=race.threads,
        native=race.native,
        onnx=race.onnx,
        speedup=race.speedup,
        verdict=race.verdict,
        ratios={label: ratio.interval for label, ratio in ratios.items()},
        verdicts={race.onnx: race.verdict, **dict(zip(others, judged, strict=True))},
        told=race.told,
        processes=race.processes,
        precision=race.precision,
        gains={label: gain.interval for label, gain in _gains(members, timed).items()},
    )


def _ratios(race: Race, main: Lineup, members: Sequence[Cell], timed: CellSamples) -> dict[str, Ratio]:
    """Return the time of each ranked cell of the group over that of the compared native one, by label."""
    base = next(timed[cell.name]["host"] for cell in main.natives if cell.label == race.native)
    found = {cell.label: ratio_estimate(timed[cell.name]["host"], base) for cell in members}
    return {
        label: ratio.chosen(main.exported_rivals if label == race.onnx else 1, main.native_rivals)
        for label, ratio in found.items()
        if ratio is not None
    }


def _gains(members: Sequence[Cell], timed: CellSamples) -> dict[str, Ratio]:
    """Return the time of the same runtime in fp32 over that in reduced precision, by label.

    The largest gain is reported, so each counts as chosen from all of them.
    """
    found = {}
    smaller = sum(cell.reduced_precision for cell in members)
    for cell in members:
        base = next((one for one in members if cell.reduced_precision and one.is_fp32_of(cell)), None)
        gain = ratio_estimate(timed[base.name]["host"], timed[cell.name]["host"]) if base else None
        if gain is not None:
            found[cell.label] = gain.chosen(1, smaller)
    return found
