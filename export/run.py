"""Exports as the conductor sees them: started as jobs, filed as artifacts, found again when they are finished.

Nothing in here imports a framework. An exporter that crashes, hangs or writes a wrong file costs its own record
and nothing else; what it left is kept beside the reason.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import cast

from pydantic import JsonValue

from assay import __version__, toolenv
from assay.disk import temporary_prefix
from assay.errors import ExportFailedError, FailedError, NotInstalledError, WorkerError
from assay.jobs import Message, read_answer, run_job
from assay.registry import EXPORTERS, Entry, installed_versions
from assay.results import Export
from assay.spec import ModelSpec
from assay.store import (
    Artifact,
    artifact_key,
    find_artifact,
    read_artifact,
    reporting_disk_errors,
    write_artifact,
)
from export.record import MODEL_FILE
from export.reference import (
    CPU_ONLY,
    LOGITS,
    ReferenceRequest,
    file_sha256_of_images,
    reference_artifact,
    spec_of,
)

Progress = Callable[[str, int, int], None]

KIND = "onnx"
LOG_FILE = "export.log"
WEIGHTS_FILE = "weights.safetensors"
ENVIRONMENTS = Path(__file__).parent / "envs"


@dataclass(frozen=True)
class ExportJob:
    """One model to export by one route.

    Attributes:
        exporter: a registered exporter.
        weights: folder of a weights artifact.
        images: .npy file of at least 32 real images as the model takes them: float32, normalised, NHWC.
        opset: the operator set wanted.
        exports: folder below which the artifact is filed.
        references: folder below which reference outputs are kept, shared by all exports.
        limit_seconds: for the export with its checks; not for making a tool environment.
    """

    exporter: str
    weights: Path
    images: Path
    exports: Path
    references: Path
    opset: int = 18
    limit_seconds: float = 900


def export_model(job: ExportJob, progress: Progress) -> Export:
    """Export and check one model, or give the record of the same export made earlier.

    A failure of the route is a record with status "failed" and the reason. One that may pass next time (a
    crash, the time limit, a package that could not be had) is tried again at the next call.

    Raises:
        InputError: unknown exporter, or weights, images or folders that cannot be used.
    """
    entry = EXPORTERS[job.exporter]
    weights = read_artifact(job.weights, "weights")
    spec = spec_of(weights)
    inputs = _inputs(job, entry, weights, spec)
    key = artifact_key(KIND, inputs)
    folder = job.exports / f"{spec.architecture}-{spec.size}-{job.exporter}-{key[:12]}"
    finished = find_artifact(folder, KIND, inputs)
    if finished and not finished.manifest.facts.get("try_again"):
        return record_of(finished)
    label = f"exporting {spec.architecture} at {spec.size} by {job.exporter}"
    progress(label, 0, 1)
    with work_folder(job.exports, folder.name) as work:
        record, try_again = _attempt(_Attempt(job, entry, weights, spec, key, work), progress)
        file_export(folder, inputs, record, work, try_again=try_again)
    progress(label, 1, 1)
    return record


def usable_exports(exports: Path) -> list[tuple[Export, Path]]:
    """The records and files of all exports below a folder that passed every check; a failed one is not among
    them and must not be timed or offered.

    Raises:
        ArtifactError: a file is not the one that was written.
    """
    found = (read_artifact(path.parent, KIND) for path in sorted(exports.glob("*/manifest.json")))
    return [(record_of(one), one.file(MODEL_FILE)) for one in found if record_of(one).status == "ok"]


def usable_model(record: Export, exports: Path) -> Path:
    """The file of one export.

    Raises:
        ExportFailedError: the export failed, and its file may not be used.
        ArtifactError: the file is not the one that was written.
    """
    if record.status != "ok":
        raise ExportFailedError(
            f"The export of {record.architecture} at {record.size} by {record.exporter} may not be used",
            found=record.reason,
        )
    return read_artifact(artifact_folder(record, exports), KIND).file(MODEL_FILE)


def artifact_folder(record: Export, exports: Path) -> Path:
    """Where an export is filed, with its inspection and log; a failed one too."""
    return exports / f"{record.architecture}-{record.size}-{record.exporter}-{record.key[:12]}"


def record_of(artifact: Artifact) -> Export:
    """The record in an artifact's manifest."""
    return artifact.record(Export, "record")


@dataclass(frozen=True)
class _Attempt:
    job: ExportJob
    entry: Entry
    weights: Artifact
    spec: ModelSpec
    key: str
    work: Path


def _attempt(attempt: _Attempt, progress: Progress) -> tuple[Export, bool]:
    """The record, and whether a failure is worth another attempt later."""
    stages = ["preparing"]
    try:
        return _run(attempt, stages, progress), False
    except (WorkerError, NotInstalledError) as error:
        return _failed(attempt, f"{stages[-1]}: {error}"), True
    except FailedError as error:
        return _failed(attempt, f"{stages[-1]}: {error}"), False


def _run(attempt: _Attempt, stages: list[str], progress: Progress) -> Export:
    """Prepare and run the job; `stages` collects how far it got."""
    job = attempt.job
    environment = ENVIRONMENTS / f"{job.exporter}.txt"
    if environment.is_file():
        toolenv.ensure(job.exporter, environment, progress)
    wanted = (("torch", "float64"), (attempt.entry.framework, "float32"))
    reference, native = (
        reference_artifact(ReferenceRequest(job.weights, job.images, framework, dtype), job.references, progress).file(
            LOGITS
        )
        for framework, dtype in wanted
    )
    message: Message = {
        "exporter": job.exporter,
        "spec": cast("JsonValue", attempt.spec.to_dict()),
        "opset": job.opset,
        "key": attempt.key,
        "weights_key": attempt.weights.key,
        "weights": str(attempt.weights.file(WEIGHTS_FILE)),
        "images": str(job.images),
        "reference": str(reference),
        "native": str(native),
        "folder": str(attempt.work),
    }
    answer = run_job(
        "export.job",
        message,
        attempt.work / LOG_FILE,
        on_event=lambda event: stages.append(str(event["stage"])),
        limit_seconds=job.limit_seconds,
        environment=CPU_ONLY,
    )
    return read_answer(Export, answer, "export.job")


def _failed(attempt: _Attempt, reason: str) -> Export:
    return Export(
        architecture=attempt.spec.architecture,
        size=attempt.spec.size,
        exporter=attempt.job.exporter,
        status="failed",
        reason=reason,
        key=attempt.key,
        weights=attempt.weights.key,
        opset_asked=attempt.job.opset,
        seconds=0,
    )


def file_export(folder: Path, inputs: dict[str, JsonValue], record: Export, work: Path, *, try_again: bool) -> None:
    """Move what was made into an artifact."""

    def fill(destination: Path) -> dict[str, JsonValue]:
        for path in work.iterdir():
            shutil.move(path, destination / path.name)
        return {
            "status": record.status,
            "reason": record.reason,
            "try_again": try_again,
            "record": record.model_dump(mode="json"),
        }

    write_artifact(folder, KIND, inputs, made_by=record.made_by, fill=fill)


def _inputs(job: ExportJob, entry: Entry, weights: Artifact, spec: ModelSpec) -> dict[str, JsonValue]:
    """All that determines the file and its checks."""
    return {
        "spec": cast("JsonValue", spec.to_dict()),
        "weights": weights.key,
        "exporter": job.exporter,
        "opset": job.opset,
        "images": file_sha256_of_images(job.images),
        "versions": cast("JsonValue", _versions(entry)),
    }


def _versions(entry: Entry) -> dict[str, str]:
    """Versions of the packages of a route; of a tool environment, the hash of its list."""
    found = installed_versions(sorted({*entry.packages, "onnx", "onnxruntime"}))
    environment = ENVIRONMENTS / f"{entry.name}.txt"
    if environment.is_file():
        found["environment"] = toolenv.requirements_hash(environment)
    return {**found, "assay": __version__}


@contextmanager
def work_folder(exports: Path, name: str) -> Iterator[Path]:
    """A folder for an attempt, gone afterwards."""
    with reporting_disk_errors(exports):
        exports.mkdir(parents=True, exist_ok=True)
        work = Path(tempfile.mkdtemp(dir=exports, prefix=temporary_prefix(exports / name)))
    try:
        yield work
    finally:
        shutil.rmtree(work, ignore_errors=True)
