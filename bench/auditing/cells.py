"""Whether what was timed computed the right numbers: the outputs of every timed cell against float64.

How numbers of one model are compared is its judge's: `assay.numerics.agreement.JudgeOfImages` of images with one
output, `assay.train.brought.agreement.Judge` of anything that somebody brings.
"""

from __future__ import annotations

from collections import defaultdict
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from assay.bench.auditing.by_output import judged_in
from assay.bench.timing.measurements import Measurements
from assay.bench.timing.trials import CellFacts, Group, computed_in
from assay.files.arrays import load_array, load_arrays
from assay.records.results import Agreement

Rows = NDArray[Any]
Places = NDArray[np.integer]
Compared = tuple[dict[str, Agreement], dict[str, Agreement]]
"""The comparison of each cell's outputs, and of those of its timed calls, by cell."""


class Judging(Protocol):
    """Compares rows of outputs with a reference."""

    def compare(self, subject: str, rows: Rows, places: Places, precision: str = "") -> Agreement:
        """
        Args:
            places: the records that the rows belong to, (n,).
            precision: precision by which they are judged; "" for the model's own.
        """


def compared_cells(group: Group, measured: Measurements, judge: Judging, arithmetic: str = "fp32") -> Compared:
    """Compare each cell's outputs on the audited records and in its timed calls, so that what is timed is also audited.

    Args:
        arithmetic: precision that the model computes in.
    """
    told: dict[str, list[CellFacts]] = defaultdict(list)
    for fact in measured.facts:
        told[fact.cell].append(fact)
    images: dict[str, Agreement] = {}
    calls: dict[str, Agreement] = {}
    for batch in group.batches:
        for one in group.candidates:
            cell = group.cell_name(batch, one.label)
            if not one.framework:
                continue  # a ruler has no numbers
            precision = judged_in(one.runtime, one.asked_precision, computed_in(told[cell]), arithmetic)
            if cell in measured.logits:
                rows = load_array(measured.logits[cell])
                images[cell] = judge.compare(cell, rows, np.arange(len(rows)), precision)
            if cell in measured.timed:
                kept = [load_arrays(file) for file in measured.timed[cell]]
                rows, places = (np.concatenate([part[name] for part in kept]) for name in ("logits", "places"))
                calls[cell] = judge.compare(cell, rows, places, precision)
    return images, calls
