"""Variants of reduced precision as the conductor sees them: made by a job from a good export, and filed like one."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from pydantic import JsonValue

from assay import __version__
from assay.errors import ExportFailedError
from assay.export.run import KIND, LOG_FILE, ExportJob, Progress, filed, usable_model
from assay.export.variants.quantize import Int8Settings
from assay.export.variants.variant_job import VARIANT, VariantRequest
from assay.files.arrays import map_array
from assay.records.localisation import Calibration
from assay.records.results import Export
from assay.registry import installed_versions
from assay.store import artifact_key, file_sha256


@dataclass(frozen=True)
class VariantJob:
    """One variant to make.

    Attributes:
        source: the export that it is made from, a good one.
        job: the job that the export came from, which has the data to compare its file with.
        precision: "int8", "fp16" or "bf16".
        calibration: .npy file of float32 images of the validation split as the model takes them, or of a user's
            records, drawn with `seed`.
        settings: settings of int8.
    """

    source: Export
    job: ExportJob
    precision: str
    calibration: Path
    seed: int
    settings: Int8Settings

    @property
    def label(self) -> str:
        """Its name where exporters are named."""
        return f"{self.source.exporter}+{self.precision}"


def export_variant(variant: VariantJob, progress: Progress) -> Export:
    """Make and check one variant, or return the record of the same one made earlier.

    A variant that cannot be made, does not compute in its precision, or is wrong is a record with status "failed" and
    the reason.

    Raises:
        InputError: weights, images or folders cannot be used.
        ArtifactError: the export's file is not the one that was written.
    """
    job, source, settings = variant.job, variant.source, variant.settings
    inputs, versions = inputs_of(variant), versions_of_variant()
    blank = record_of_variant(variant, artifact_key(KIND, inputs | {"versions": dict(versions)}))

    def make(folder: Path) -> Export:
        if job.against is None:
            raise ExportFailedError(f"The policy that {blank.exporter} has to meet is unknown")
        request = VariantRequest(
            source=usable_model(source, job.exports),
            model=job.model,
            record=blank,
            against=job.against(progress),
            calibration=variant.calibration,
            percentile=settings.percentile,
            leave_out=settings.leave_out,
            folder=folder,
        )
        doing = f"Making {blank.exporter} of {blank.architecture}"
        return job.start(VARIANT, request, folder / LOG_FILE, doing, folder)

    return filed(job, blank, inputs, versions, make, progress)


def inputs_of(variant: VariantJob) -> dict[str, JsonValue]:
    """Return all that determines the result, except versions."""
    settings = variant.settings
    return {
        **variant.job.data,
        "source": variant.source.key,
        "precision": variant.precision,
        "calibration": file_sha256(variant.calibration),
        "settings": {"percentile": settings.percentile, "left out": list(settings.leave_out)},
    }


def versions_of_variant() -> dict[str, str]:
    """Return versions of the packages that make and check a variant."""
    return {**installed_versions(["onnx", "onnxruntime"]), "assay": __version__}


def record_of_variant(variant: VariantJob, key: str) -> Export:
    """Return the record of a variant before it is made."""
    source = variant.source
    calibration = Calibration(
        method=variant.settings.method,
        images=len(map_array(variant.calibration)),
        seed=variant.seed,
        sha256=file_sha256(variant.calibration),
        left_out=list(variant.settings.leave_out),
    )
    return Export(
        architecture=source.architecture,
        size=source.size,
        exporter=variant.label,
        status="failed",
        key=key,
        weights=source.weights,
        opset_asked=source.opset_asked,
        seconds=0,
        made_by=source.made_by,
        precision=variant.precision,
        calibration=calibration if variant.precision == "int8" else None,
    )
