"""Images pushed to where a model changes its mind, in a process of their own that `find_boundary` starts. There the
smallest error flips the class, so a flip says how small an error must be.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from assay.export.reference.reference import read_images, spec_of
from assay.export.routes.request import Images
from assay.jobs.files import Written
from assay.jobs.host import Starter
from assay.jobs.job import Job
from assay.jobs.pace import Pace, allowed
from assay.jobs.process import HERE
from assay.jobs.running import run_job
from assay.jobs.serving import serve_job
from assay.records.base import Record
from assay.registry import FRAMEWORKS
from assay.spec import ModelSpec
from assay.steps import Limit
from assay.store import read_artifact


class BoundaryRequest(Record):
    """The start of the search: the folder of a weights artifact, and an .npy file of normalised images; the images
    found are written to `out`.
    """

    weights: Path
    images: Path
    out: Written


class Margins(Record):
    """The float64 margin between the two largest logits of each image found."""

    margins: list[float]


BOUNDARY = Job("assay.export.classification.boundary_job", "boundary", BoundaryRequest, Margins)
Search = Callable[[ModelSpec, Path, Images], tuple[Images, NDArray[np.float64]]]


def find_boundary(
    request: BoundaryRequest, log: Path, *, pace: Pace | None = None, host: Starter = HERE
) -> list[float]:
    """Push every image to the decision boundary by PyTorch's gradients and write the new ones.

    Args:
        pace: pace of the model, to which the time limit is in proportion.

    Returns:
        The float64 margin between the two largest logits of each image found; near 0.

    Raises:
        InputError: weights or images cannot be used.
        WorkerError: the job crashed or took too long.
    """
    return run_job(
        BOUNDARY,
        request,
        log,
        limit_seconds=Limit(allowed("boundary", pace), "The search for the decision boundary"),
        host=host,
    ).margins


def work(request: BoundaryRequest) -> Margins:
    """Push the images, and write where they end."""
    weights = read_artifact(request.weights, "weights")
    spec = spec_of(weights)
    images = np.array(read_images(request.images, spec))
    entry = replace(FRAMEWORKS["torch"], target="assay.export.classification.on_torch_gradient:push_to_boundary")
    search: Search = entry.load()
    found, margins = search(spec, weights.file("weights.safetensors"), images)
    np.save(request.out, found)
    return Margins(margins=margins.tolist())


if __name__ == "__main__":
    serve_job(BOUNDARY.done_by(work))
