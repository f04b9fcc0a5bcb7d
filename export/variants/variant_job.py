"""One variant of reduced precision, in a process of its own; see `variants.py`. It must pass the checks of every
export: structure, strict shapes, every optimisation level at several batch sizes against the float64 reference; and it
must compute in the precision that it is named after.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from assay.errors import FailedError
from assay.export.checking.records import Against
from assay.export.finish import finish
from assay.export.job import CheckExportRequest, check
from assay.export.record import MODEL_FILE, recorded
from assay.export.reference.reference import read_images
from assay.export.variants.quantize import Feeds, Int8Settings, check_computes_in, convert_half, quantise_int8
from assay.files.arrays import load_array
from assay.jobs.files import Written
from assay.jobs.job import Job
from assay.jobs.serving import serve_job
from assay.records.base import Record
from assay.records.results import Export
from assay.spec import INPUT_NAME
from assay.train.brought.arrays import feeds_of
from assay.train.brought.model import UserModel
from assay.train.built import BuiltModel

RECORDS_AT_ONCE = 8


class VariantRequest(Record):
    """One variant to make completely.

    Attributes:
        source: the export's file.
        record: record of the variant before it is made.
        against: the data to compare it with.
        calibration: .npy file of images as the model takes them, or of a user's records.
        folder: an empty folder for the files.
    """

    source: Path
    model: BuiltModel | UserModel
    record: Export
    against: Against
    calibration: Path
    percentile: float
    leave_out: tuple[str, ...]
    folder: Written


VARIANT = Job("assay.export.variants.variant_job", "variant", VariantRequest, Export)


def work(request: VariantRequest) -> Export:
    """Make, complete, inspect and check one variant."""
    begun = time.perf_counter()
    _make(request, request.folder / MODEL_FILE)
    return completed(request, time.perf_counter() - begun)


def completed(request: VariantRequest, seconds: float) -> Export:
    """Complete, inspect and check the file that was made.

    Args:
        seconds: time that making it took.
    """
    path, asked = request.folder / MODEL_FILE, request.record
    computes = check_computes_in(path, asked.precision, request.leave_out)
    metadata = {"assay.exporter": asked.exporter, "assay.precision": asked.precision}
    _, notes = finish(path, asked.opset_asked, metadata)
    transforms = "; ".join(filter(None, (asked.made_by["transforms"], f"{asked.precision}: {computes}", *notes)))
    record = recorded(asked, request.folder, seconds, {**asked.made_by, "transforms": transforms})
    held = CheckExportRequest(
        model=request.model,
        exporter=asked.exporter,
        file=path,
        layout=asked.made_by.get("layout", ""),
        precision=asked.precision,
        **dict(request.against),
    )
    return check(held).on(record)


def _make(request: VariantRequest, path: Path) -> None:
    if request.record.precision == "int8":
        quantise_int8(request.source, path, calls_of(request), Int8Settings(request.percentile, request.leave_out))
    else:
        convert_half(request.source, path, request.record.precision)
    if not path.is_file():
        raise FailedError(f"No {request.record.precision} file was written")


def calls_of(request: VariantRequest) -> Iterator[Feeds]:
    """Iterate over the inputs of the calls from which ranges are taken."""
    model = request.model
    if isinstance(model, BuiltModel):
        images = read_images(request.calibration, model.spec)
        if request.record.made_by["layout"] == "NCHW":
            images = images.transpose(0, 3, 1, 2)
        for start in range(0, len(images), RECORDS_AT_ONCE):
            yield {INPUT_NAME: np.ascontiguousarray(images[start : start + RECORDS_AT_ONCE])}
        return
    records = load_array(request.calibration)
    count = 1 if model.whole else model.batch or RECORDS_AT_ONCE
    for start in range(0, len(records), count):
        yield feeds_of(model, records[start : start + count])


if __name__ == "__main__":
    serve_job(VARIANT.done_by(work))
