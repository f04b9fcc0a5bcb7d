"""Images at the decision boundary, where the smallest error changes a class."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from pydantic import JsonValue

from assay.bench.auditing.runs import BOUNDARY, Inputs
from assay.export.classification.boundary_job import BoundaryRequest, find_boundary
from assay.jobs.pace import Pace
from assay.store import file_sha256

if TYPE_CHECKING:
    from assay.bench.run import Run, TrainedModel


def at_the_boundary(
    run: Run, subject: TrainedModel, images: NDArray[np.float32], pace: Pace | None, work: Path
) -> Inputs:
    """Return images moved to the boundary, found once for the same weights and starting images.

    Args:
        images: starting images, normalised (images, height, width, channels).

    Raises:
        AssayError: bad input, or the search failed or took too long.
    """
    start = work / "start.npy"
    np.save(start, images)
    inputs: dict[str, JsonValue] = {"weights": subject.key, "start": file_sha256(start)}
    name = f"boundary-{subject.spec.architecture}-{subject.spec.size}"

    def fill(place: Path) -> dict[str, JsonValue]:
        run.narrator.tell("pushing images to the decision boundary")
        asked = BoundaryRequest(weights=subject.weights, images=start, out=place / "images.npy")
        margins = find_boundary(asked, place / "job.log", pace=pace, host=run.host)
        return {"largest_margin": max(margins)}

    found = run.store("references").kept("boundary", inputs, fill, name=name, single=True)
    return Inputs(BOUNDARY, found.file("images.npy"), len(images))
