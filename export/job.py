"""One export in a process of its own: `python -P -m assay.export.job`, started by `assay.export.run`.

It writes `model.onnx` and `inspection.json` into the folder it is given, in this order, so that whatever was
made before a crash is there to be looked at. What it reports last is an `assay.records.results.Export`.
"""

from __future__ import annotations

import os
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import cast

from assay import __version__
from assay.errors import ArtifactError, AssayError, ExportFailedError, FailedError
from assay.export.checking.check import IMAGES_NEEDED, Truth, check_agreement, check_structure, others_on
from assay.export.finish import finish
from assay.export.graph.inspect import one_line
from assay.export.record import MODEL_FILE, checked, recorded
from assay.export.reference.reference import read_images
from assay.export.routes.request import ExportOutcome, ExportRequest, versions_of
from assay.files.arrays import load_array
from assay.files.disk import disk_error_in
from assay.jobs.files import Written
from assay.jobs.job import TellingJob
from assay.jobs.serving import serve_job
from assay.records.base import Record
from assay.records.results import Export
from assay.registry import EXPORTERS
from assay.spec import ModelSpec
from assay.store import file_sha256


class JobRequest(Record):
    """One export, completely.

    Attributes:
        key: of the artifact that will be made of it.
        weights_key: of the weights artifact.
        weights: its .safetensors file.
        images: .npy file, see `assay.export.reference.reference.read_images`.
        reference: .npy file of float64 logits of these images.
        native: .npy file of the source framework's fp32 logits.
        folder: an empty folder for the files.
    """

    exporter: str
    spec: ModelSpec
    opset: int
    key: str
    weights_key: str
    weights: Path
    images: Path
    reference: Path
    native: Path
    folder: Written

    @property
    def file(self) -> Path:
        """The ONNX file to make."""
        return self.folder / MODEL_FILE


class Stage(Record):
    """How far an export is."""

    stage: str


EXPORT = TellingJob("assay.export.job", "export", JobRequest, Export, Stage)


def work(request: JobRequest, tell: Callable[[Stage], None]) -> Export:
    """Export, complete, inspect and check one file."""
    truth = _truth(request)
    tell(Stage(stage="exporting"))
    outcome, seconds = _export(request)
    record = _finish(request, outcome, seconds)
    tell(Stage(stage="checking"))
    return _check(request, record, outcome.layout, truth)


def _truth(request: JobRequest) -> Truth:
    return Truth(
        images=read_images(request.images, request.spec, IMAGES_NEEDED),
        reference=load_array(request.reference),
        native=load_array(request.native),
        native_name=EXPORTERS[request.exporter].framework,
    )


def _export(request: JobRequest) -> tuple[ExportOutcome, float]:
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
        outcome = export(ExportRequest(request.spec, request.weights, request.file, request.opset))
    except AssayError:
        raise
    except Exception as error:
        traceback.print_exc()
        raise ExportFailedError(
            f"The exporter {request.exporter} failed", found=f"{type(error).__name__}: {one_line(error)}"
        ) from error
    seconds = time.perf_counter() - begun
    if not request.file.is_file():
        raise ExportFailedError(f"The exporter {request.exporter} wrote no file")
    return outcome, seconds


def _finish(request: JobRequest, outcome: ExportOutcome, seconds: float) -> Export:
    """Complete the file and say what it is.

    Raises:
        ExportFailedError: the exporter wrote something that is no ONNX file.
    """
    asked = Export(
        architecture=request.spec.architecture,
        size=request.spec.size,
        exporter=request.exporter,
        status="failed",
        key=request.key,
        weights=request.weights_key,
        opset_asked=request.opset,
        seconds=0,
    )
    try:
        _, notes = finish(request.file, request.opset, _metadata(request, outcome))
        return recorded(asked, request.folder, seconds, _made_by(outcome, notes))
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


def _check(request: JobRequest, record: Export, layout: str, truth: Truth) -> Export:
    """The record with the comparisons, or why there are none."""
    try:
        check_structure(request.file, request.spec, layout)
        found = check_agreement(request.file, layout, truth, request.exporter)
        return checked(record, found, lambda: others_on(request.file, layout, truth))
    except FailedError as error:
        if disk_error_in(error):
            raise
        return record.model_copy(update={"status": "failed", "reason": str(error)})


if __name__ == "__main__":
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    serve_job(EXPORT.told_by(work))
