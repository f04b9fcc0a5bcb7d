"""A finished and audited study on disk, small and quick: real images, weights, export and comparisons.

Only the times in its results are computed by formula (`tests.bench.report.sample_results`), and nothing here depends on
them. Its audit compares ONNX Runtime's real outputs with the real float64 reference.
"""

from __future__ import annotations

import fcntl
import os
import shutil
from pathlib import Path

import numpy as np
import onnxruntime as ort
import pytest
from pydantic import JsonValue

from assay.bench.auditing.judge import judged, measured_or_reason, tolerance_for
from assay.bench.auditing.runs import AuditCall
from assay.bench.run import Run
from assay.bench.words.progress import Narrator
from assay.export.programs.programs import Workshop, program_of
from assay.export.reference.reference import ReferenceRequest, reference_artifact
from assay.export.run import export_model, job_of_weights, usable_model
from assay.export.variants.quantize import Int8Settings
from assay.export.variants.variants import VariantJob, export_variant
from assay.numerics.classification.reduced import BY_CLASSES
from assay.records.audit import PROGRAM, Audit, ModelAudit, read_audit
from assay.records.results import Cell, Export, Results, read_results
from assay.registry import RUNTIMES, TASK_OF_ARCHITECTURES
from assay.runtimes.entry import AS_IT_COMES
from assay.spec import ModelSpec
from assay.store import Store, file_sha256, write_artifact
from assay.study import load_study
from assay.train.batches import normalise
from assay.train.built import BuiltModel
from assay.train.datasets.data import open_dataset
from assay.train.weights import save_weights
from tests.bench.report.sample_results import _timed, sample_results
from tests.contract.training_steps import moved_weights
from tests.small_study import small_study

EXPORTER = "torch-script"
CELL = f"bloodnet/28/b1/t1/ort.cpu@{EXPORTER}"
BATCHES = {1: 1.0, 8: 3.0, 32: 20.0}
"""Milliseconds of a call by batch: batch 8 is clearly worthwhile, 32 is not."""


def silent(label: str, done: int, total: int) -> None:
    """Progress that nobody sees."""


def finished_study(factory: pytest.TempPathFactory, images: int = 96) -> Path:
    """A copy of the study's folder, `small` beside `data`, to change freely.

    It is made once for all processes of a test run, whose folders share a parent.

    Args:
        images: maximum of each split. 96 are too few to show that a precision below fp32 keeps its accuracy.
    """
    own = factory.getbasetemp()
    place = own.parent if "PYTEST_XDIST_WORKER" in os.environ else own  # above a run's own folder lie those of others
    shared = place / f"finished-{images}"
    with (place / f"finished-{images}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (shared / "small" / "audit.json").is_file():
            shutil.rmtree(shared, ignore_errors=True)
            shared.mkdir()
            _make_study(shared, images)
    return Path(shutil.copytree(shared, factory.mktemp("study"), dirs_exist_ok=True)) / "small"


def _make_study(root: Path, images: int) -> Path:
    """Make the study in root/small and its data in root/data, and return its folder."""
    (root / "small.toml").write_text(small_study(limit=images))
    folder = root / "small"
    run = Run(load_study(root / "small.toml"), folder, root / "data", Narrator())
    dataset = run.data(28)[1]
    spec = ModelSpec("bloodnet", 28, len(dataset.classes), dataset.test.images.shape[-1])
    weights = folder / "weights" / "bloodnet-28-torch-s0"

    def fill(work: Path) -> dict[str, JsonValue]:
        save_weights(work / "weights.safetensors", moved_weights(spec))
        return {}

    artifact = write_artifact(weights, "weights", {"spec": dict(spec.to_dict())}, made_by={}, fill=fill)
    job = job_of_weights(EXPORTER, weights, run.images(28), run.store("onnx"), run.store("references"))
    export = export_model(job, silent)
    assert export.status == "ok", export.reason
    results = _results(export, artifact.key, run)
    (folder / "results.json").write_text(results.model_dump_json())
    audit = _audit(folder, weights, export, run, root)
    (folder / "audit.json").write_text(audit.model_dump_json())
    return folder


def _results(export: Export, key: str, run: Run) -> Results:
    sample = sample_results()
    dataset = run.data(28)[1]
    training = next(one for one in sample.trainings if (one.architecture, one.size) == ("bloodnet", 28))
    data = sample.data.model_copy(
        update={
            "name": dataset.name,
            "content_hash": dataset.content_hash,
            "classes": list(dataset.classes),
            "notice": dataset.notice,
            "synthetic": True,
        }
    )
    return sample.model_copy(
        update={
            "study": "small",
            "data": data,
            "trainings": [training.model_copy(update={"weights": key})],
            "exports": [export],
            "cells": [_cell(sample, batch, median_ms, key) for batch, median_ms in BATCHES.items()],
            "comparisons": [],
        }
    )


def _cell(sample: Results, batch: int, median_ms: float, key: str) -> Cell:
    import random  # noqa: PLC0415

    like = next(one for one in sample.cells if one.name == f"bloodnet/28/b1/t1/ort.cpu@{EXPORTER}")
    name = CELL.replace("/b1/", f"/b{batch}/")
    blank = like.model_copy(update={"name": name, "batch": batch, "weights": key})
    return _timed(blank, median_ms, (0.1, 0.1, 0.1), random.Random(batch))


def _audit(folder: Path, weights: Path, export: Export, run: Run, root: Path) -> Audit:
    """The test split through ONNX Runtime and PyTorch, judged as `assay audit` does."""
    test = run.data(28)[1].test
    images, labels = root / "test.npy", root / "labels.npy"
    np.save(images, normalise(test.images))
    np.save(labels, test.labels)
    model = usable_model(export, run.store("onnx"))
    reference, native = (
        reference_artifact(ReferenceRequest(weights, images, "torch", kind), Store(folder / "references"), silent).file(
            "logits.npy"
        )
        for kind in ("float64", "float32")
    )
    session = ort.InferenceSession(model, providers=["CPUExecutionProvider"])
    logits = root / "logits.npy"
    np.save(logits, session.run(None, {"image": np.load(images).transpose(0, 3, 1, 2)})[0])
    count = len(test.labels)
    own = measured_or_reason(reference, native, count, labels, BY_CLASSES)
    tolerance = tolerance_for("test", "", {"torch.eager": own}, 0.0)
    found = measured_or_reason(reference, logits, count, labels, BY_CLASSES)
    comparison = judged(f"ort.cpu@{EXPORTER}", AuditCall("test", 32, 1, count), found, tolerance, 24.0)
    assert comparison.passed, comparison.reason
    return Audit(
        created="2026-01-01T00:00:00+00:00",
        assay_version="0.1.0",
        verdict="passed",
        reasons=[],
        command="assay audit small.toml",
        environment={},
        models=[
            ModelAudit(
                name="bloodnet/28",
                task=TASK_OF_ARCHITECTURES,
                reference="PyTorch in float64",
                reference_check=None,
                models={
                    "weights": file_sha256(weights / "weights.safetensors"),
                    f"onnx@{EXPORTER}": file_sha256(model),
                },
                keys={"weights": export.weights, f"onnx@{EXPORTER}": export.key},
                inputs=[],
                tolerances=[tolerance],
                comparisons=[comparison],
            )
        ],
        seconds={},
    )


def of_runtime(folder: Path, runtime: str, variant: str = "") -> str:
    """Attribute the measurements and the comparison to another runtime, and return the first cell's name.

    The promises of a deployment depend on neither: its file is made and its answers are judged when it is written.
    """
    results, audit = read_results(folder / "results.json"), read_audit(folder / "audit.json")
    named = f"{EXPORTER}+{variant}" if variant else EXPORTER
    label = f"{runtime}@{named}" if RUNTIMES[runtime].runs_files else runtime
    exporter = named if RUNTIMES[runtime].runs_files else ""
    names = [CELL.replace("/b1/", f"/b{one.batch}/").replace(f"ort.cpu@{EXPORTER}", label) for one in results.cells]
    precision, program = variant or precision_of(runtime), made_for(folder, results, runtime)
    same = {
        "runtime": runtime,
        "exporter": exporter,
        "label": label,
        "precision": precision,
        "program": program,
    }
    changes = [{"name": name, **same} for name in names]
    cells = [one.model_copy(update=change) for one, change in zip(results.cells, changes, strict=True)]
    (folder / "results.json").write_text(results.model_copy(update={"cells": cells}).model_dump_json())
    (model,) = audit.models
    comparisons = [one.model_copy(update={"subject": label}) for one in model.comparisons]
    keys = model.keys | ({f"{PROGRAM}{label}": program} if program else {})
    about = model.model_copy(update={"comparisons": comparisons, "keys": keys})
    changed = audit.model_copy(update={"models": [about]})
    (folder / "audit.json").write_text(changed.model_dump_json())
    return names[0]


def of_variant(folder: Path, runtime: str, precision: str) -> str:
    """The same for a runtime of ONNX files on the export in reduced precision."""
    place, kept = folder / "weights" / "bloodnet-28-torch-s0", Store(folder / "onnx")
    (images,) = (one / "images.npy" for one in (folder / "images").glob("*-28-*"))
    job = job_of_weights(EXPORTER, place, images, kept, Store(folder / "references"))
    results = read_results(folder / "results.json")
    (export,) = results.exports
    made = export_variant(VariantJob(export, job, precision, calibration_of(folder), 0, Int8Settings(99.99)), silent)
    assert made.status == "ok", made.reason
    changed = results.model_copy(update={"exports": [export, made]})
    (folder / "results.json").write_text(changed.model_dump_json())
    audit = read_audit(folder / "audit.json")
    (model,) = audit.models
    named = f"onnx@{made.exporter}"
    about = model.model_copy(
        update={
            "models": model.models | {named: file_sha256(usable_model(made, kept))},
            "keys": model.keys | {named: made.key},
        }
    )
    (folder / "audit.json").write_text(audit.model_copy(update={"models": [about]}).model_dump_json())
    return of_runtime(folder, runtime, precision)


def calibration_of(folder: Path) -> Path:
    """Images of the validation split, normalised, for calibrating integers."""
    (dataset_folder,) = (folder.parent / "data").glob("*-28-*")
    calibration = folder / "calibration.npy"
    np.save(calibration, normalise(open_dataset(dataset_folder).validation.images))
    return calibration


def precision_of(runtime: str) -> str:
    """The stated precision; for a runtime that chooses it, the least exact one."""
    found = RUNTIMES[runtime].precision or "fp32"
    return "bf16" if found == AS_IT_COMES else found


def made_for(folder: Path, results: Results, runtime: str) -> str:
    """The key of the file made from the study's model for a runtime with its own format; "" for all others."""
    entry = RUNTIMES[runtime]
    if not entry.maker:
        return ""
    weights = folder / "weights" / "bloodnet-28-torch-s0"
    spec = ModelSpec("bloodnet", 28, len(results.data.classes))
    model = BuiltModel(spec=spec, weights=weights / "weights.safetensors", fingerprint=results.cells[0].weights)
    (export,) = results.exports
    onnx = usable_model(export, Store(folder / "onnx")) if entry.runs_files else None
    workshop = Workshop(Store(folder / "programs"), lambda: calibration_of(folder))
    return program_of(entry, model, workshop, onnx, export.made_by["layout"]).key
