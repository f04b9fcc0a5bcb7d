"""The units that are timed once more: those with untrusted times, so that no disturbance is kept for good.

A unit is the work of many processes and is kept between runs of a study. One whose group holds an INVALID cell is
marked when the cells are judged: its samples stay in the results that name them INVALID, and the next run replaces it.
So is a unit that lacks times since somebody else ended a process of it.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence

from assay.records.results import Cell
from assay.store import Artifact, may_end_otherwise, write_atomically

AGAIN_FILE = "time-again.json"
"""File next to a unit's manifest, but not named in it, that says why the unit is timed again."""


def is_marked(unit: Artifact) -> bool:
    """Check whether the unit is to be timed again."""
    return may_end_otherwise(unit) or (unit.folder / AGAIN_FILE).exists()


def mark(units: Iterable[Artifact], cells: Sequence[Cell]) -> int:
    """Mark the units of the groups of these cells, which are INVALID but may be valid when timed once more.

    Returns:
        The number of marked units.

    Raises:
        DiskError: a unit's folder cannot be written.
    """
    reasons: dict[str, dict[str, list[str]]] = {}
    for cell in cells:
        reasons.setdefault(group_name(cell), {})[cell.name] = cell.invalid
    marked = [unit for unit in units if unit.manifest.facts["group"] in reasons]
    for unit in marked:
        content = json.dumps(reasons[str(unit.manifest.facts["group"])], indent=1)
        write_atomically(unit.folder / AGAIN_FILE, content.encode())
    return len(marked)


def group_name(cell: Cell) -> str:
    """Return the name of `assay.bench.timing.trials.Group`, whose cells are all timed side by side."""
    return f"{cell.architecture}/{cell.size}/t{cell.threads}"
