"""The ONNX file of a skeleton by one route: `python -P -m export.skeleton_job`.

Its numbers mean nothing, so it is not compared with anything; its operators are what the route makes of the model.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import cast

from pydantic import BaseModel, ConfigDict

from assay.errors import AssayError, ExportFailedError
from assay.jobs import Channel, Message, serve_job
from assay.registry import EXPORTERS
from assay.spec import ModelSpec
from export.finish import finish
from export.inspect import one_line
from export.request import ExportOutcome, ExportRequest


class SkeletonRequest(BaseModel):
    """One skeleton: where its weights are, and the file to write."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    exporter: str
    spec: ModelSpec
    weights: Path
    output: Path
    opset: int


def work(message: Message, channel: Channel) -> Message:
    """Export one skeleton; answers the layout of its input.

    Raises:
        ExportFailedError: the route cannot.
    """
    del channel
    request = SkeletonRequest.model_validate(message)
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
    return {"layout": outcome.layout}


if __name__ == "__main__":
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    serve_job(work)
