"""One variant of reduced precision in a process of its own: `python -P -m export.variant_job`, see `export.variants`.

It passes what every export passes: structure, strict shapes, every optimisation level at several batch sizes against
the float64 reference, and beside that it has to compute in the precision that it is called by.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import cast

import numpy as np
from pydantic import BaseModel, ConfigDict

from assay.errors import FailedError
from assay.jobs import Channel, Message, serve_job
from assay.registry import EXPORTERS
from assay.results import Export
from assay.spec import ModelSpec
from export.check import IMAGES_NEEDED, Truth, check_agreement, check_structure
from export.finish import finish
from export.inspect import inspect
from export.job import INSPECTION_FILE, MODEL_FILE
from export.quantize import Int8Settings, check_computes_in, convert_half, quantise_int8
from export.reference import read_images


class VariantRequest(BaseModel):
    """One variant, completely.

    Attributes:
        source: the export's file.
        record: of the variant, as long as it is not made.
        images, reference, native: as for `export.job.JobRequest`.
        calibration: .npy of images as the model takes them.
        folder: an empty folder for the files.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    source: Path
    spec: ModelSpec
    record: Export
    images: Path
    reference: Path
    native: Path
    calibration: Path
    percentile: float
    leave_out: tuple[str, ...]
    folder: Path


def work(message: Message, channel: Channel) -> Message:
    """Make, complete, inspect and check one variant; the answer is its Export record."""
    del channel
    request = VariantRequest.model_validate(message)
    path, record = request.folder / MODEL_FILE, request.record
    layout = record.made_by["layout"]
    begun = time.perf_counter()
    _make(request, path, layout)
    seconds = time.perf_counter() - begun
    computes = check_computes_in(path, record.precision)
    metadata = {"assay.exporter": record.exporter, "assay.precision": record.precision}
    opset, notes = finish(path, record.opset_asked, metadata)
    inspection = inspect(path)
    (request.folder / INSPECTION_FILE).write_text(inspection.model_dump_json(indent=1), encoding="utf-8")
    check_structure(path, request.spec, layout)
    agreements = check_agreement(path, layout, _truth(request), record.exporter, record.precision)
    failed = [one for one in agreements if not one.passed]
    transforms = "; ".join(filter(None, (record.made_by["transforms"], f"{record.precision}: {computes}", *notes)))
    made = record.model_copy(
        update={
            "status": "failed" if failed else "ok",
            "reason": f"{failed[0].subject}: {failed[0].reason}" if failed else "",
            "opset": opset,
            "file_bytes": inspection.file_bytes,
            "parameters": inspection.parameters,
            "nodes": inspection.nodes,
            "operators": inspection.operators,
            "transposes": inspection.transposes,
            "transposes_after_optimisation": inspection.optimised.transposes if inspection.optimised else 0,
            "seconds": seconds,
            "made_by": {**record.made_by, "transforms": transforms},
            "agreement": agreements,
        }
    )
    return cast("Message", made.model_dump(mode="json"))


def _make(request: VariantRequest, path: Path, layout: str) -> None:
    if request.record.precision == "int8":
        images = read_images(request.calibration, request.spec)
        quantise_int8(request.source, path, images, layout, Int8Settings(request.percentile, request.leave_out))
    else:
        convert_half(request.source, path, request.record.precision)
    if not path.is_file():
        raise FailedError(f"No {request.record.precision} file was written")


def _truth(request: VariantRequest) -> Truth:
    return Truth(
        images=read_images(request.images, request.spec, IMAGES_NEEDED),
        reference=np.load(request.reference, allow_pickle=False),
        native=np.load(request.native, allow_pickle=False),
        native_name=EXPORTERS[request.record.exporter.partition("+")[0]].framework,
    )


if __name__ == "__main__":
    serve_job(work)
