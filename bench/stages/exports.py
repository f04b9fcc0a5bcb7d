"""The export stage: the same weights through every route, and the variants of reduced precision of any model."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path

from assay.bench.atlas.lookup import known_defects
from assay.bench.course import Course
from assay.bench.run import CALIBRATION_SEED, Run, TrainedModel
from assay.export.run import ExportJob, export_model, job_of_weights, operators_of
from assay.export.variants.mixed import MixedJob, export_mixed
from assay.export.variants.quantize import Int8Settings
from assay.export.variants.variants import VariantJob, export_variant
from assay.jobs.kept import Kept, keeping
from assay.jobs.side_by_side import side_by_side
from assay.records.results import Export


def exports_of(subject: TrainedModel, exports: Iterable[Export]) -> list[Export]:
    """Return those of one model."""
    spec = subject.spec
    return [one for one in exports if (one.architecture, one.size) == (spec.architecture, spec.size)]


def export_all(run: Run, subjects: list[TrainedModel]) -> list[Export]:
    """Export every subject by every route, side by side; a route that fails leaves its reason."""
    with run.stage("export", "Exporting to ONNX"):
        for subject in subjects:
            _images_of(run, subject)  # made once, before several ask for them
        host = run.sharing(len(subjects))
        with keeping(host, run.folder / "logs") as kept:
            each = side_by_side([partial(_exports_of, run, subject, kept) for subject in subjects], run.together)
    return list(itertools.chain.from_iterable(each))


def _exports_of(run: Run, subject: TrainedModel, kept: Kept) -> list[Export]:
    """One subject by every route, one after the other: they share references."""
    found = []
    for exporter in run.study.export.exporters:
        job = job_of_weights(
            exporter=exporter,
            weights=subject.weights,
            images=run.images(subject.spec.size),
            exports=run.store("onnx"),
            references=run.store("references"),
            host=kept.host,
            host_of=kept.of,
            opset=run.study.export.opset,
            task=run.study.task,
        )
        known = known_defects(operators_of(job, run.narrator.bar), [exporter])
        for said in known:
            run.narrator.note(f"{job.model.name} by {exporter}: {said}")
        export = export_model(job, run.narrator.bar)
        run.narrator.exported(export)
        for said in known if export.reason else ():
            run.narrator.note(f"{job.model.name} by {exporter}: {said}")
        found += [export, *_variants(run, subject, job, export)]
    return found


def _images_of(run: Run, subject: TrainedModel) -> None:
    run.images(subject.spec.size)
    if set(run.study.export.precisions) != {"fp32"}:
        calibration_of(run, subject)


def calibration_of(run: Run, subject: TrainedModel) -> Path:
    """Return the images that int8 variants of its exports, and what its runtimes load, are calibrated on."""
    return run.calibration_images(subject.spec.size, run.study.export.calibration_images)


def _variants(run: Run, subject: TrainedModel, job: ExportJob, export: Export) -> list[Export]:
    """Return the variants of reduced precision that the study wants of one export."""
    asked, spec = run.study.export, subject.spec
    wanted = [precision for precision in asked.precisions if precision != "fp32"]
    if export.status != "ok" or job.exporter not in asked.quantise or not wanted:
        return []
    artifact, dataset = run.data(spec.size)

    def search(variant: VariantJob, made: Export) -> MixedJob:
        return MixedJob(variant, made, run.store("trials"), asked.mixed_minutes, artifact.folder, dataset.content_hash)

    percentile = run.study.calibration_percentile_at(spec.architecture, spec.size)
    return variants_of(run, export, job, wanted, calibration_of(run, subject), percentile, search)


def variants_of(
    course: Course,
    export: Export,
    job: ExportJob,
    precisions: Iterable[str],
    calibration: Path,
    percentile: float,
    search: Callable[[VariantJob, Export], MixedJob],
) -> list[Export]:
    """Make one export in reduced precisions, and an int8 file that fails with some layers in fp32.

    Args:
        job: the job that the export came from, with the data to compare its files with.
        calibration, percentile: the inputs that the ranges of int8 are found with, and the part of them that it covers.
        search: returns the search for the layers in fp32, of a variant and its record.
    """
    found = []
    for precision in precisions:
        variant = VariantJob(export, job, precision, calibration, CALIBRATION_SEED, Int8Settings(percentile))
        made = export_variant(variant, course.narrator.bar)
        mixed = export_mixed(search(variant, made), course.narrator.bar)
        for one in filter(None, (made, mixed)):
            course.narrator.exported(one)
            found.append(one)
    return found
