"""Whether what was timed computed the right numbers: the logits of every timed cell against float64."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from assay.agreement import compare, derive_tolerance
from assay.results import Agreement
from bench.trials import AUDITED_IMAGES


def audit_cells(logits: Mapping[str, Path], reference: Path, natives: Mapping[str, Path]) -> dict[str, Agreement]:
    """Compare the logits that each timed process left with the float64 reference, by cell name.

    Args:
        logits: by cell name, .npy of the logits of the first images.
        reference: .npy of the float64 logits of the same images, or more.
        natives: by framework, .npy of the fp32 logits of its own forward pass; the tolerance is derived from them.
    """
    count = AUDITED_IMAGES
    exact = np.load(reference)[:count]
    tolerance = derive_tolerance(exact, {name: np.load(file)[:count] for name, file in natives.items()})
    return {cell: compare(cell, np.load(file), exact[: len(np.load(file))], tolerance) for cell, file in logits.items()}


def audit_timed(
    timed: Mapping[str, Sequence[Path]], reference: Path, natives: Mapping[str, Path]
) -> dict[str, Agreement]:
    """Compare the outputs kept of timed calls with the float64 reference, by cell name: time what you audit.

    Args:
        timed: by cell name, the files that `infer.worker.Worker.timed` wrote, one a process.
        reference, natives: as for `audit_cells`, of all images that calls take turns with.
    """
    exact = np.load(reference)
    tolerance = derive_tolerance(exact, {name: np.load(file) for name, file in natives.items()})
    found = {}
    for cell, files in timed.items():
        kept = [np.load(file) for file in files]
        places = np.concatenate([one["places"] for one in kept])
        logits = np.concatenate([one["logits"] for one in kept])
        found[cell] = compare(f"timed calls of {cell}", logits, exact[places], tolerance)
    return found
