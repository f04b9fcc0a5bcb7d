"""Variants of reduced precision as the conductor sees them: made by a job from a good export, filed like one."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from pydantic import JsonValue

from assay import __version__
from assay.errors import FailedError, WorkerError
from assay.export.reference.reference import CPU_ONLY, LOGITS, ReferenceRequest, reference_artifact, spec_of
from assay.export.run import (
    KIND,
    LOG_FILE,
    ExportJob,
    Progress,
    facts_of,
    record_of,
    usable_model,
)
from assay.export.variants.quantize import Int8Settings
from assay.export.variants.variant_job import VARIANT, VariantRequest
from assay.files.arrays import map_array
from assay.jobs.pace import allowed, pace_in
from assay.jobs.running import run_job
from assay.records.results import Calibration, Export
from assay.registry import EXPORTERS, installed_versions
from assay.steps import Limit, size_of
from assay.store import artifact_key, file_sha256, read_artifact


@dataclass(frozen=True)
class VariantJob:
    """One variant to make.

    Attributes:
        source: the export it is made of, a good one.
        job: that the export came from.
        precision: "int8", "fp16" or "bf16".
        calibration: .npy of float32 images of the validation split as the model takes them, drawn with `seed`.
        settings: of int8.
    """

    source: Export
    job: ExportJob
    precision: str
    calibration: Path
    seed: int
    settings: Int8Settings

    @property
    def label(self) -> str:
        """What it is called where exporters are named."""
        return f"{self.source.exporter}+{self.precision}"


def export_variant(variant: VariantJob, progress: Progress) -> Export:
    """Make and check one variant, or give the record of the same one made earlier.

    A variant that cannot be made, does not compute in its precision, or is wrong is a record with status "failed" and
    the reason.

    Raises:
        InputError: weights, images or folders that cannot be used.
        ArtifactError: the export's file is not the one that was written.
    """
    job, source = variant.job, variant.source
    inputs: dict[str, JsonValue] = {
        "source": source.key,
        "precision": variant.precision,
        "calibration": file_sha256(variant.calibration),
        "images": file_sha256(job.images),
        "settings": {"percentile": variant.settings.percentile, "left out": list(variant.settings.leave_out)},
        "versions": {**installed_versions(["onnx", "onnxruntime"]), "assay": __version__},
    }
    key = artifact_key(KIND, inputs)
    blank = _blank(variant, key)
    label = f"making {variant.precision} of {source.architecture} at {source.size} by {source.exporter}"

    def fill(work: Path) -> dict[str, JsonValue]:
        progress(label, 0, 1)
        try:
            record, try_again = _run(variant, blank, work, progress), False
        except WorkerError as error:
            record, try_again = blank.model_copy(update={"reason": str(error)}), True
        except FailedError as error:
            record, try_again = blank.model_copy(update={"reason": str(error)}), False
        progress(label, 1, 1)
        return facts_of(record, try_again=try_again)

    name = f"{source.architecture}-{source.size}-{variant.label}"
    return record_of(job.exports.kept(KIND, inputs, fill, name=name, made_by=source.made_by))


def _blank(variant: VariantJob, key: str) -> Export:
    """The record as long as nothing is made."""
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


def _run(variant: VariantJob, blank: Export, work: Path, progress: Progress) -> Export:
    job = variant.job
    framework = EXPORTERS[job.exporter].framework
    reference, native = (
        reference_artifact(
            ReferenceRequest(job.weights, job.images, name, dtype), job.references, progress, host=job.host
        )
        for name, dtype in (("torch", "float64"), (framework, "float32"))
    )
    source = usable_model(variant.source, job.exports)
    request = VariantRequest(
        source=source,
        spec=spec_of(read_artifact(job.weights, "weights")),
        record=blank,
        images=job.images,
        reference=reference.file(LOGITS),
        native=native.file(LOGITS),
        calibration=variant.calibration,
        percentile=variant.settings.percentile,
        leave_out=variant.settings.leave_out,
        folder=work,
    )
    seconds = job.limit_seconds or allowed("variant", pace_in(native.manifest.facts), size_of(source))
    return run_job(
        VARIANT,
        request,
        work / LOG_FILE,
        limit_seconds=Limit(seconds, f"Making {blank.exporter} of {blank.architecture}"),
        environment=CPU_ONLY,
        host=job.host,
    )
