"""A user's model called with sizes mixed, as a server gets them: one more group, whose calls are rounds over all sizes
(`assay.infer.rounds`), and whose outputs are compared with the reference at each.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from assay.bench.auditing.by_output import judged_in
from assay.bench.auditing.cells import Compared
from assay.bench.brought.exports import Brought
from assay.bench.brought.work import Wanted
from assay.bench.timing.measurements import Measurements
from assay.bench.timing.trials import Group, computed_in
from assay.bench.words.names import in_words
from assay.errors import InputError
from assay.export.probing.probe import RECORDS_FILE
from assay.files.arrays import load_arrays
from assay.infer.commands import kept_names
from assay.records.results import Agreement
from assay.train.brought.agreement import Judge, distress


def check_mixed(wanted: Wanted) -> None:
    """
    Raises:
        InputError: calls of mixed sizes are asked for, and there is one size.
    """
    if wanted.mixed_sizes and not wanted.sizes:
        raise InputError(
            "--mixed-sizes times calls of several sizes in turn, and there is one size",
            remedy="Give them with --dimension NAME=16,64,128",
        )


def mixed_group(group: Group, sides: Sequence[Brought]) -> Group:
    """Return the group of the model whose sizes are open with the records of every size.

    Args:
        group: all runtimes on the model with open sizes.
        sides: the model at every size.
    """
    first, *others = (one.folder / RECORDS_FILE for one in sides)
    return replace(group, images=first, others=tuple(others))


def compared_when_mixed(
    group: Group, sides: Sequence[Brought], wanted: Wanted, measured: Measurements, own: Mapping[str, float]
) -> Compared:
    """Compare the outputs that were kept of rounds with the reference at their size; the worst size stands for a cell.

    Args:
        own: the user's own tolerances, by output.
    """
    judges = [one.judge(own) for one in sides]
    worst: dict[str, Agreement] = {}
    for batch in group.batches:
        for one in group.candidates:
            cell = group.cell_name(batch, one.label)
            if not one.framework or cell not in measured.timed:
                continue
            computed = computed_in([fact for fact in measured.facts if fact.cell == cell])
            precision = judged_in(one.runtime, one.asked_precision, computed, sides[0].model.arithmetic)
            found = _at_each_size(cell, measured.timed[cell], judges, wanted, precision)
            worst[cell] = max(found, key=distress)
    return worst, worst


def _at_each_size(
    cell: str, files: Sequence[Path], judges: Sequence[Judge], wanted: Wanted, precision: str
) -> list[Agreement]:
    kept = [load_arrays(file) for file in files]
    found = []
    for number, (judge, point) in enumerate(zip(judges, wanted.points, strict=True)):
        places, rows = (np.concatenate([one[name] for one in kept]) for name in kept_names(number))
        found.append(judge.compare(f"{cell}, {in_words(point)}", rows, places, precision))
    return found
