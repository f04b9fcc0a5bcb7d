"""One export in a process of its own: `python -P -m export.job`, started by `export.run`.

It writes `model.onnx` and `inspection.json` into the folder it is given, in this order, so that whatever was
made before a crash is there to be looked at. What it reports last is an `assay.results.Export`.
"""

from __future__ import annotations

import os
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import cast

import numpy as np
from pydantic import BaseModel, ConfigDict

from assay import __version__
from assay.errors import ArtifactError, AssayError, ExportFailedError, FailedError
from assay.jobs import Channel, Message, serve_job
from assay.registry import EXPORTERS
from assay.results import Agreement, Export
from assay.spec import ModelSpec
from assay.store import file_sha256
from export.check import IMAGES_NEEDED, Truth, check_agreement, check_structure
from export.finish import finish
from export.inspect import Inspection, inspect, one_line
from export.reference import read_images
from export.request import ExportOutcome, ExportRequest, versions_of

MODEL_FILE, INSPECTION_FILE = "model.onnx", "inspection.json"


class JobRequest(BaseModel):
    """One export, completely.

    Attributes:
        key: of the artifact that will be made of it.
        weights_key: of the weights artifact.
        weights: its .safetensors file.
        images: .npy file, see `export.reference.read_images`.
        reference: .npy file of float64 logits of these images.
        native: .npy file of the source framework's fp32 logits.
        folder: an empty folder for the files.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    exporter: str
    spec: ModelSpec
    opset: int
    key: str
    weights_key: str
    weights: Path
    images: Path
    reference: Path
    native: Path
    folder: Path


def work(message: Message, channel: Channel) -> Message:
    """Export, complete, inspect and check one file; the answer is the Export record."""
    request = JobRequest.model_validate(message)
    truth = _truth(request)
    path = request.folder / MODEL_FILE
    channel.send({"stage": "exporting"})
    outcome, seconds = _export(request, path)
    opset, notes, inspection = _finish(request, path, outcome)
    (request.folder / INSPECTION_FILE).write_text(inspection.model_dump_json(indent=1), encoding="utf-8")
    channel.send({"stage": "checking"})
    agreements, reason = _check(request, path, outcome.layout, truth)
    record = Export(
        architecture=request.spec.architecture,
        size=request.spec.size,
        exporter=request.exporter,
        status="failed" if reason else "ok",
        reason=reason,
        key=request.key,
        weights=request.weights_key,
        opset=opset,
        opset_asked=request.opset,
        file_bytes=inspection.file_bytes,
        parameters=inspection.parameters,
        nodes=inspection.nodes,
        operators=inspection.operators,
        transposes=inspection.transposes,
        transposes_after_optimisation=inspection.optimised.transposes if inspection.optimised else 0,
        seconds=seconds,
        made_by=_made_by(outcome, notes),
        agreement=agreements,
    )
    return cast("Message", record.model_dump(mode="json"))


def _truth(request: JobRequest) -> Truth:
    return Truth(
        images=read_images(request.images, request.spec, IMAGES_NEEDED),
        reference=np.load(request.reference, allow_pickle=False),
        native=np.load(request.native, allow_pickle=False),
        native_name=EXPORTERS[request.exporter].framework,
    )


def _export(request: JobRequest, path: Path) -> tuple[ExportOutcome, float]:
    """Run the exporter; whatever it raises becomes one of our errors.

    Returns:
        Its answer, and the seconds it took; importing the framework is not in them.

    Raises:
        NotInstalledError: a package of the route is missing.
        ExportFailedError: the exporter failed.
    """
    export = cast("Callable[[ExportRequest], ExportOutcome]", EXPORTERS[request.exporter].load())
    begun = time.perf_counter()
    try:
        outcome = export(ExportRequest(request.spec, request.weights, path, request.opset))
    except AssayError:
        raise
    except Exception as error:
        traceback.print_exc()
        raise ExportFailedError(
            f"The exporter {request.exporter} failed", found=f"{type(error).__name__}: {one_line(error)}"
        ) from error
    seconds = time.perf_counter() - begun
    if not path.is_file():
        raise ExportFailedError(f"The exporter {request.exporter} wrote no file")
    return outcome, seconds


def _finish(request: JobRequest, path: Path, outcome: ExportOutcome) -> tuple[int, tuple[str, ...], Inspection]:
    """Complete the file and look into it.

    Raises:
        ExportFailedError: the exporter wrote something that is no ONNX file.
    """
    try:
        opset, notes = finish(path, request.opset, _metadata(request, outcome))
        return opset, notes, inspect(path)
    except ArtifactError as error:
        raise ExportFailedError(f"The exporter {request.exporter} wrote no ONNX file", found=str(error)) from error


def _metadata(request: JobRequest, outcome: ExportOutcome) -> dict[str, str]:
    """What the file says of itself, for whoever finds it without its manifest."""
    return {
        "assay.version": __version__,
        "assay.exporter": request.exporter,
        "assay.framework": EXPORTERS[request.exporter].framework,
        "assay.versions": ", ".join(f"{name} {version}" for name, version in outcome.versions.items()),
        "assay.architecture": request.spec.architecture,
        "assay.size": str(request.spec.size),
        "assay.channels": str(request.spec.channels),
        "assay.classes": str(request.spec.classes),
        "assay.layout": outcome.layout,
        "assay.transforms": "; ".join(outcome.transforms),
        "assay.weights": request.weights_key,
        "assay.weights_sha256": file_sha256(request.weights),
    }


def _made_by(outcome: ExportOutcome, notes: tuple[str, ...]) -> dict[str, str]:
    return {
        **outcome.versions,
        **versions_of("onnxruntime", "onnxruntime-gpu"),
        "layout": outcome.layout,
        "transforms": "; ".join((*outcome.transforms, *notes)),
    }


def _check(request: JobRequest, path: Path, layout: str, truth: Truth) -> tuple[list[Agreement], str]:
    """The agreement records, and the reason of the first failure or ""."""
    try:
        check_structure(path, request.spec, layout)
        agreements = check_agreement(path, layout, truth, request.exporter)
    except FailedError as error:
        return [], str(error)
    failed = [record for record in agreements if not record.passed]
    reason = f"{failed[0].subject}: {failed[0].reason}" if failed else ""
    more = f" (and {len(failed) - 1} more)" if len(failed) > 1 else ""
    return agreements, reason + more


if __name__ == "__main__":
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    serve_job(work)
