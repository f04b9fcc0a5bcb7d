"""Like against like: in each precision, the fastest native cell against the fastest through ONNX. Pure functions. The
gain from a smaller precision is not a merit of ONNX, so fp32 is compared with fp32, bf16 with bf16 and int8 with int8,
by the precision that a call of each cell showed. There is also a race of the fastest of all that keep their accuracy,
each side in whichever precision suits it best: the audit says which do (`assay.bench.judging.judged`). A native cell
runs in its framework or in the framework's own deployment runtime. Both sides of a race are chosen by the samples that
are tested, which is corrected for (`assay.bench.statistics.selection`), and the verdicts of all races of a study are
one family (`assay.bench.judging.verdicts`).
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from assay.bench.judging.summary import CellSamples, GroupKey, dropped, group_key, ranked
from assay.bench.judging.verdicts import judge, least_told
from assay.bench.statistics.stats import Ratio, ratio_estimate
from assay.numerics.precisions import EXACTNESS
from assay.records.races import OF_ALL, Race
from assay.records.results import Cell
from assay.runtimes.entry import TIERS, Tier

FULL_PRECISION = "fp32"
CUDA = "cuda"


@dataclass(frozen=True)
class Lineup:
    """The cells of one race.

    Attributes:
        natives, exported: cells of each side that may be ranked.
        native_rivals, exported_rivals: how many each fastest was chosen from, including those that their first process
        put out of the running.
    """

    precision: str
    natives: Sequence[Cell]
    exported: Sequence[Cell]
    native_rivals: int
    exported_rivals: int

    @property
    def key(self) -> GroupKey:
        return group_key(self.members[0])

    def is_of(self, race: Race) -> bool:
        """Return whether it is the lineup of a race's record."""
        return self.precision == race.precision and self.key == race.group

    @property
    def members(self) -> list[Cell]:
        return [*self.natives, *self.exported]

    @property
    def native(self) -> Cell | None:
        return fastest(self.natives)

    @property
    def onnx(self) -> Cell | None:
        return fastest(self.exported)

    def ratio(self, timed: CellSamples) -> Ratio | None:
        """Return ONNX over native; None if a side is missing, or the two were never timed in the same block."""
        native, onnx = self.native, self.onnx
        if native is None or onnx is None:
            return None
        found = ratio_estimate(timed[onnx.name]["host"], timed[native.name]["host"])
        return found.chosen(self.exported_rivals, self.native_rivals) if found else None


def races_of(cells: Sequence[Cell], timed: CellSamples) -> list[Race]:
    """Return the races of every group of cells that were timed together, in the order of groups and of exactness.

    Args:
        timed: samples by cell name and boundary.
    """
    lined = [lineup for members in groups_of(cells) for lineup in lineups(members)]
    ratios = [lineup.ratio(timed) for lineup in lined]
    family = [ratio for ratio in ratios if ratio is not None]
    verdicts = iter(judge(family))
    return [
        _race(lineup).model_copy(
            update={
                "speedup": ratio.inverse.interval,
                "verdict": next(verdicts),
                "told": least_told(ratio, len(family)),
                "processes": ratio.processes,
            }
        )
        if ratio
        else _race(lineup)
        for lineup, ratio in zip(lined, ratios, strict=True)
    ]


def groups_of(cells: Sequence[Cell]) -> list[list[Cell]]:
    """Return the cells of each group that are ranked, or that only too few processes keep from being ranked."""
    groups: dict[GroupKey, list[Cell]] = defaultdict(list)
    for cell in cells:
        if ranked(cell) or dropped(cell):
            groups[group_key(cell)].append(cell)
    return [_on_one_device(members) for members in groups.values()]


def _on_one_device(members: Sequence[Cell]) -> list[Cell]:
    """Return the cells of a group that may race: where some ran on a GPU, those that did. The others, which are on the
    CPU because their runtime has no GPU, are shown: their distance from a GPU says nothing about ONNX.
    """
    return [cell for cell in members if CUDA in cell.device_kind] or list(members)


def lineups(them: Sequence[Cell]) -> list[Lineup]:
    """Return a group's races: one for each precision that a ranked cell computes in, and one of all if there are
    several.

    Args:
        them: the group's ranked cells, and those that were dropped.
    """
    found = {computed_in(cell) for cell in them if ranked(cell)}
    order = sorted(found, key=lambda one: (EXACTNESS.index(one) if one in EXACTNESS else len(EXACTNESS), one))
    apart = [_lineup(one, [cell for cell in them if computed_in(cell) == one]) for one in order]
    return apart if len(apart) < 2 else [*apart, _lineup(OF_ALL, them)]


def computed_in(cell: Cell) -> str:
    """Return the precision whose race a cell is in: the one observed for its numbers, whatever its name says."""
    return cell.precision if cell.reduced_precision else FULL_PRECISION


def fastest(cells: Sequence[Cell]) -> Cell | None:
    """Return the cell with the least median time of a call at the host; None where there are none."""
    return min(cells, key=lambda cell: cell.host.median_ms.value if cell.host else math.inf, default=None)


def _lineup(precision: str, them: Sequence[Cell]) -> Lineup:
    natives = [cell for cell in them if cell.is_native]
    exported = [cell for cell in them if cell.tier == "onnx"]
    return Lineup(
        precision,
        [cell for cell in natives if ranked(cell)],
        [cell for cell in exported if ranked(cell)],
        len(natives),
        len(exported),
    )


def _race(lineup: Lineup) -> Race:
    """Return the participants of a race, without a verdict yet."""
    best: dict[Tier, str] = {}
    for tier in TIERS:
        first = fastest([cell for cell in lineup.members if cell.tier == tier])
        if first:
            best[tier] = first.label
    native, onnx = lineup.native, lineup.onnx
    architecture, size, batch, threads = lineup.key
    return Race(
        architecture=architecture,
        size=size,
        batch=batch,
        threads=threads,
        precision=lineup.precision,
        best=best,
        native=native.label if native else "",
        onnx=onnx.label if onnx else "",
    )
