"""One variant of reduced precision in a process of its own, see `variants.py`.

It passes what every export passes: structure, strict shapes, every optimisation level at several batch sizes against
the float64 reference, and beside that it has to compute in the precision that it is called by.
"""

from __future__ import annotations

import time
from pathlib import Path

from assay.errors import FailedError
from assay.export.checking.check import check_images, read_truth
from assay.export.finish import finish
from assay.export.record import MODEL_FILE, recorded
from assay.export.reference.reference import read_images
from assay.export.variants.quantize import Int8Settings, check_computes_in, convert_half, quantise_int8
from assay.jobs.files import Written
from assay.jobs.job import Job
from assay.jobs.serving import serve_job
from assay.records.base import Record
from assay.records.results import Export
from assay.registry import EXPORTERS
from assay.spec import ModelSpec


class VariantRequest(Record):
    """One variant, completely.

    Attributes:
        source: the export's file.
        record: of the variant, as long as it is not made.
        images, reference, native: as for `assay.export.job.Against`.
        calibration: .npy of images as the model takes them.
        folder: an empty folder for the files.
    """

    source: Path
    spec: ModelSpec
    record: Export
    images: Path
    reference: Path
    native: Path
    calibration: Path
    percentile: float
    leave_out: tuple[str, ...]
    folder: Written


VARIANT = Job("assay.export.variants.variant_job", "variant", VariantRequest, Export)


def work(request: VariantRequest) -> Export:
    """Make, complete, inspect and check one variant."""
    path, asked = request.folder / MODEL_FILE, request.record
    layout = asked.made_by["layout"]
    begun = time.perf_counter()
    _make(request, path, layout)
    seconds = time.perf_counter() - begun
    computes = check_computes_in(path, asked.precision)
    metadata = {"assay.exporter": asked.exporter, "assay.precision": asked.precision}
    _, notes = finish(path, asked.opset_asked, metadata)
    transforms = "; ".join(filter(None, (asked.made_by["transforms"], f"{asked.precision}: {computes}", *notes)))
    record = recorded(asked, request.folder, seconds, {**asked.made_by, "transforms": transforms})
    framework = EXPORTERS[asked.exporter.partition("+")[0]].framework
    truth = read_truth(request.spec, request.images, request.reference, request.native, framework)
    return check_images(path, request.spec, layout, truth, record.exporter, record.precision).on(record)


def _make(request: VariantRequest, path: Path, layout: str) -> None:
    if request.record.precision == "int8":
        images = read_images(request.calibration, request.spec)
        quantise_int8(request.source, path, images, layout, Int8Settings(request.percentile, request.leave_out))
    else:
        convert_half(request.source, path, request.record.precision)
    if not path.is_file():
        raise FailedError(f"No {request.record.precision} file was written")


if __name__ == "__main__":
    serve_job(VARIANT.done_by(work))
