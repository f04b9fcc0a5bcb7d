"""The conversion of one model to ONNX by one route, and its check: `python -P -m assay.export.job`, a process of its
own.

There are two jobs. "export" writes `model.onnx` and `inspection.json` into the folder it is given, in this order, so
that anything made before a crash can be examined; if it is told what to compare the file with, it also checks it.
"check" only checks: a user's model may have no float64 except from an export of it.
"""

from __future__ import annotations

import time
import traceback
from collections.abc import Callable
from pathlib import Path

from assay import __version__
from assay.errors import ArtifactError, AssayError, ExportFailedError, FailedError
from assay.export.checking.check import IMAGES_NEEDED, check_images
from assay.export.checking.records import Against, check_records
from assay.export.finish import finish, rename
from assay.export.graph.inspect import one_line, read_model
from assay.export.graph.saved import save_model
from assay.export.record import MODEL_FILE, Judged, asked_for, recorded
from assay.export.reference.reference import read_images
from assay.export.routes.request import ExportOutcome, ExportRequest, versions_of
from assay.export.routes.size_limit import beyond_the_limit
from assay.files.arrays import load_array
from assay.files.disk import disk_error_in
from assay.jobs.files import Written
from assay.jobs.job import Job
from assay.jobs.serving import serve_job
from assay.numerics.agreement import JudgeOfImages
from assay.numerics.reduced import rule_of
from assay.records.base import Record
from assay.records.results import Export
from assay.registry import EXPORTERS, GIVEN
from assay.steps import MOST_SECONDS, step
from assay.store import file_sha256
from assay.train.brought.model import UserModel
from assay.train.built import BuiltModel


class RouteRequest(Record):
    """One model by one route.

    Attributes:
        key: key of the artifact that will be made from it.
        folder: an empty folder for the files.
        against: the data to compare the file with, if already known; without it the answer has no agreement.
        examples: see `assay.export.routes.request.ExportRequest`.
    """

    model: BuiltModel | UserModel
    exporter: str
    opset: int
    key: str
    folder: Written
    against: Against | None = None
    examples: Path | None = None

    @property
    def file(self) -> Path:
        """The ONNX file to make."""
        return self.folder / MODEL_FILE


class CheckExportRequest(Against):
    """A file to check.

    Attributes:
        layout: layout of its images, for our own models.
        precision: precision of the file.
    """

    model: BuiltModel | UserModel
    exporter: str
    file: Path
    layout: str = ""
    precision: str = "fp32"


EXPORT = Job("assay.export.job", "export", RouteRequest, Export)
CHECK = Job("assay.export.job", "check", CheckExportRequest, Judged)


def work(request: RouteRequest) -> Export:
    """Export, complete and inspect one file, and check it if that is possible.

    Raises:
        ExportFailedError: the route gave no ONNX file.
        AssayError: a user's file fails, or something is missing.
    """
    with step(f"The export by {request.exporter}", MOST_SECONDS):  # or what is left of the job's own limit
        outcome, seconds = _exported(request)
    record = _described(request, outcome, _completed(request, outcome), seconds)
    if request.against is None:
        return record
    asked = CheckExportRequest(
        model=request.model,
        exporter=request.exporter,
        file=request.file,
        layout=outcome.layout,
        **dict(request.against),
    )
    try:
        return check(asked).on(record)
    except FailedError as error:
        if disk_error_in(error):
            raise
        return record.model_copy(update={"status": "failed", "reason": str(error)})


def check(request: CheckExportRequest) -> Judged:
    """Compare a file with float64 at every optimisation level, for a few batch sizes: a user's model on its records,
    ours on images.

    Raises:
        ExportFailedError: ONNX Runtime does not load or run it at any level, or it differs from the specification.
    """
    model, file = request.model, request.file
    if isinstance(model, UserModel):
        return check_records(file, model, request, request.exporter, request.precision)
    framework = EXPORTERS[request.exporter.partition("+")[0]].framework
    rule = rule_of(request.task)
    images = read_images(request.records, model.spec, IMAGES_NEEDED)
    judge = JudgeOfImages(load_array(request.reference), {framework: load_array(request.native)}, rule)
    return check_images(file, model.spec, request.layout, images, judge, request.exporter, request.precision)


def _exported(request: RouteRequest) -> tuple[ExportOutcome, float]:
    """Run the route, and turn any exception into one of our errors. A file that was given is only copied.

    Returns:
        Its answer, and the seconds it took, without the import of the framework.

    Raises:
        NotInstalledError: a package of the route is missing.
        ExportFailedError: the route failed.
    """
    if request.exporter == GIVEN:
        _copy_given(request)
        return ExportOutcome("", (), {}), 0.0
    route: Callable[[ExportRequest], ExportOutcome] = EXPORTERS[request.exporter].load()
    begun = time.perf_counter()
    try:
        outcome = route(ExportRequest(request.model, request.file, request.opset, request.examples))
    except AssayError as error:
        raise beyond_the_limit(request.exporter, str(error)) or error from error.__cause__
    except Exception as error:
        traceback.print_exc()
        if too_large := beyond_the_limit(request.exporter, f"{type(error).__name__}: {one_line(error)}"):
            raise too_large from error
        raise ExportFailedError(
            f"The exporter {request.exporter} failed", found=f"{type(error).__name__}: {one_line(error)}"
        ) from error
    seconds = time.perf_counter() - begun
    if not request.file.is_file():
        raise ExportFailedError(f"The exporter {request.exporter} wrote no file")
    return outcome, seconds


def _copy_given(request: RouteRequest) -> None:
    from assay.export.graph.on_onnx_signature import with_plain_ends, without_outputs  # noqa: PLC0415

    model = request.model
    if not isinstance(model, UserModel):
        raise ExportFailedError(f"{model.name} is one of Assay's architectures", expected="an ONNX file")
    given = read_model(model.location.path)
    with_plain_ends(given)
    save_model(without_outputs(given, model.without, str(model.location)), request.file)


def _completed(request: RouteRequest, outcome: ExportOutcome) -> tuple[str, ...]:
    """Finish a route's file; a file that was given stays as it is.

    Returns:
        A sentence on the change of its operator set, or on why there was none.

    Raises:
        ExportFailedError: the route wrote something that is not an ONNX file, or another model's.
    """
    if request.exporter == GIVEN:
        return ()
    try:
        _, notes = finish(request.file, request.opset, _metadata(request, outcome))
    except ArtifactError as error:
        raise ExportFailedError(f"The exporter {request.exporter} wrote no ONNX file", found=str(error)) from error
    rename(request.file, ExportRequest(request.model, request.file, request.opset))
    return notes


def _described(request: RouteRequest, outcome: ExportOutcome, notes: tuple[str, ...], seconds: float) -> Export:
    """Return the record of the file as it is.

    Raises:
        ExportFailedError: it is not an ONNX file that can be inspected.
    """
    model = request.model
    asked = asked_for(model, request.exporter, request.opset, request.key)
    made_by = {
        **outcome.versions,
        **versions_of("onnxruntime", "onnxruntime-gpu"),
        **({"layout": outcome.layout} if isinstance(model, BuiltModel) else {}),
        "transforms": "; ".join((*outcome.transforms, *notes)),
    }
    try:
        record = recorded(asked, request.folder, seconds, made_by)
    except ArtifactError as error:
        if request.exporter == GIVEN:
            raise
        raise ExportFailedError(f"The exporter {request.exporter} wrote no ONNX file", found=str(error)) from error
    # Nobody asked for another operator set than that of a given file.
    return record.model_copy(update={"opset_asked": record.opset}) if request.exporter == GIVEN else record


def _metadata(request: RouteRequest, outcome: ExportOutcome) -> dict[str, str]:
    """Return the file's description of itself, for anybody who finds it without its record."""
    return {
        "assay.version": __version__,
        "assay.exporter": request.exporter,
        "assay.framework": EXPORTERS[request.exporter].framework,
        "assay.versions": ", ".join(f"{name} {version}" for name, version in outcome.versions.items()),
        "assay.transforms": "; ".join(outcome.transforms),
        **_names_of(request.model, outcome.layout),
    }


def _names_of(model: BuiltModel | UserModel, layout: str) -> dict[str, str]:
    """Return the names that identify the file's model."""
    if isinstance(model, UserModel):
        return {"assay.model": model.name, "assay.fingerprint": model.fingerprint}
    spec = model.spec
    return {
        "assay.architecture": spec.architecture,
        "assay.size": str(spec.size),
        "assay.channels": str(spec.channels),
        "assay.classes": str(spec.classes),
        "assay.layout": layout,
        "assay.weights": model.fingerprint,
        "assay.weights_sha256": file_sha256(model.file),
    }


if __name__ == "__main__":
    serve_job(EXPORT.done_by(work), CHECK.done_by(check))
