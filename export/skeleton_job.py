"""The ONNX file of a skeleton by one route: `python -P -m assay.export.skeleton_job`.

Its numbers mean nothing, so it is not compared with anything; its operators are what the route makes of the model.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import cast

from assay.errors import AssayError, ExportFailedError
from assay.export.finish import finish
from assay.export.graph.inspect import one_line
from assay.export.routes.request import ExportOutcome, ExportRequest
from assay.jobs.files import Written
from assay.jobs.job import Job
from assay.jobs.serving import serve_job
from assay.records.base import Record
from assay.registry import EXPORTERS
from assay.spec import ModelSpec


class SkeletonRequest(Record):
    """One skeleton: where its weights are, and the file to write."""

    exporter: str
    spec: ModelSpec
    weights: Path
    output: Written
    opset: int


class Skeleton(Record):
    """What was made: the layout of its input."""

    layout: str


SKELETON = Job("assay.export.skeleton_job", "skeleton", SkeletonRequest, Skeleton)


def work(request: SkeletonRequest) -> Skeleton:
    """Export one skeleton.

    Raises:
        ExportFailedError: the route cannot.
    """
    export = cast("Callable[[ExportRequest], ExportOutcome]", EXPORTERS[request.exporter].load())
    try:
        outcome = export(ExportRequest(request.spec, request.weights, request.output, request.opset))
    except AssayError:
        raise
    except Exception as error:
        raise ExportFailedError(
            f"The exporter {request.exporter} failed on the skeleton",
            found=f"{type(error).__name__}: {one_line(error)}",
        ) from error
    finish(request.output, request.opset, {})
    return Skeleton(layout=outcome.layout)


if __name__ == "__main__":
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    serve_job(SKELETON.done_by(work))
