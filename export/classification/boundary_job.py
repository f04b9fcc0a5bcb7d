"""Images pushed to where a model changes its mind, in a process of their own that `find_boundary` starts. There the
smallest error flips the class, so a flip says how small an error must be.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
from pydantic import Field

from assay.export.classification.boundary import Gradient, push_to_boundary
from assay.export.reference.reference import load_forward, read_images, references_here, spec_of
from assay.jobs.files import Written
from assay.jobs.host import Starter
from assay.jobs.job import Job
from assay.jobs.pace import Pace, allowed
from assay.jobs.process import HERE
from assay.jobs.running import run_job
from assay.jobs.serving import serve_job
from assay.records.base import Record
from assay.registry import FRAMEWORKS
from assay.steps import Limit
from assay.store import read_artifact


class BoundaryRequest(Record):
    """The start of the search: the folder of a weights artifact, and an .npy file of normalised images; the images
    found are written to `out`.

    Attributes:
        framework: framework that computes the gradients; the reference of this installation where none is given.
    """

    weights: Path
    images: Path
    out: Written
    framework: str = Field(default_factory=lambda: references_here()[0])


class Margins(Record):
    """The float64 margin between the two largest logits of each image found."""

    margins: list[float]


BOUNDARY = Job("assay.export.classification.boundary_job", "boundary", BoundaryRequest, Margins)


def find_boundary(
    request: BoundaryRequest, log: Path, *, pace: Pace | None = None, host: Starter = HERE
) -> list[float]:
    """Push every image to the decision boundary by gradients and write the new ones.

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
    name, file = request.framework, weights.file("weights.safetensors")
    target = f"assay.export.classification.on_{name}_gradient:gradient_of_margin"
    gradient: Gradient = replace(FRAMEWORKS[name], target=target).load()(spec, file)
    found, margins = push_to_boundary(load_forward(name, spec, file, "float64"), gradient, images)
    np.save(request.out, found)
    return Margins(margins=margins.tolist())


if __name__ == "__main__":
    serve_job(BOUNDARY.done_by(work))
