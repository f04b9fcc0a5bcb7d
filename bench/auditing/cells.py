"""Whether what was timed computed the right numbers: the logits of every timed cell against float64."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from assay.bench.timing.trials import AUDITED_IMAGES
from assay.files.arrays import load_array, load_arrays
from assay.numerics.agreement import compare, derive_tolerance
from assay.numerics.reduced import ReducedRule
from assay.records.results import Agreement


def audit_cells(
    logits: Mapping[str, Path],
    reference: Path,
    natives: Mapping[str, Path],
    precisions: Mapping[str, str],
    rule: ReducedRule,
) -> dict[str, Agreement]:
    """Compare the logits that each timed process left with the float64 reference, by cell name.

    Args:
        logits: by cell name, .npy of the logits of the first images.
        reference: .npy of the float64 logits of the same images, or more.
        natives: by framework, .npy of the fp32 logits of its own forward pass; the tolerance is derived from them.
        precisions: by cell name, what it says that it computes in; what is not there computes in fp32.
        rule: of the task, for what computes in less.
    """
    count = AUDITED_IMAGES
    exact = load_array(reference)[:count]
    tolerance = derive_tolerance(exact, {name: load_array(file)[:count] for name, file in natives.items()})
    found = {}
    for cell, file in logits.items():
        output = load_array(file)
        found[cell] = compare(cell, output, exact[: len(output)], tolerance, precisions.get(cell, "fp32"), rule)
    return found


def audit_timed(
    timed: Mapping[str, Sequence[Path]],
    reference: Path,
    natives: Mapping[str, Path],
    precisions: Mapping[str, str],
    rule: ReducedRule,
) -> dict[str, Agreement]:
    """Compare the outputs kept of timed calls with the float64 reference, by cell name: time what you audit.

    Args:
        timed: by cell name, the files of `assay.infer.commands.ToKeep`, one a process.
        reference, natives, precisions, rule: as for `audit_cells`, of all images that calls take turns with.
    """
    exact = load_array(reference)
    tolerance = derive_tolerance(exact, {name: load_array(file) for name, file in natives.items()})
    found = {}
    for cell, files in timed.items():
        kept = [load_arrays(file) for file in files]
        places = np.concatenate([one["places"] for one in kept])
        logits = np.concatenate([one["logits"] for one in kept])
        name = f"timed calls of {cell}"
        found[cell] = compare(name, logits, exact[places], tolerance, precisions.get(cell, "fp32"), rule)
    return found
