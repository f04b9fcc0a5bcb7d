"""Exports as the conductor sees them: started as jobs, filed as artifacts, found again when they are finished.

Nothing in here imports a framework. An exporter that crashes, hangs or writes a wrong file costs its own record
and nothing else; what it left is kept beside the reason.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from pydantic import JsonValue

from assay import __version__, toolenv
from assay.errors import ExportFailedError, FailedError, NotInstalledError, WorkerError
from assay.export.checking.records import Against
from assay.export.job import EXPORT, RouteRequest
from assay.export.record import MODEL_FILE, asked_for
from assay.export.reference.reference import (
    CPU_ONLY,
    LOGITS,
    ReferenceRequest,
    file_sha256_of_images,
    reference_artifact,
    spec_of,
)
from assay.jobs.host import Starter
from assay.jobs.pace import allowed, pace_in
from assay.jobs.process import HERE
from assay.jobs.running import run_job
from assay.records.results import Export
from assay.registry import EXPORTERS, Entry, installed_versions
from assay.spec import ModelSpec
from assay.steps import Limit, size_of
from assay.store import KEY_CHARACTERS, MANIFEST, TRY_AGAIN, Artifact, Store, artifact_key, read_artifact
from assay.train.built import BuiltModel

Progress = Callable[[str, int, int], None]

KIND, ONCE_OF_USERS = "onnx", "user-onnx"
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
        exports: where the artifact is kept.
        references: where reference outputs are kept, shared by all exports.
        limit_seconds: for the export with its checks, not for making a tool environment; in proportion to what the
            model took where it is None.
        host: where the jobs run.
    """

    exporter: str
    weights: Path
    images: Path
    exports: Store
    references: Store
    opset: int = 18
    limit_seconds: float | None = None
    host: Starter = HERE


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
    inputs = _inputs(job, weights, spec)
    label = f"exporting {spec.architecture} at {spec.size} by {job.exporter}"

    def fill(work: Path) -> dict[str, JsonValue]:
        progress(label, 0, 1)
        model = BuiltModel(spec=spec, weights=weights.file(WEIGHTS_FILE), fingerprint=weights.key)
        attempt = _Attempt(job, entry, model, artifact_key(KIND, inputs), work)
        record, try_again = _attempt(attempt, progress)
        progress(label, 1, 1)
        return facts_of(record, try_again=try_again)

    name = f"{spec.architecture}-{spec.size}-{job.exporter}"
    return record_of(job.exports.kept(KIND, inputs, fill, name=name, made_by=route_versions(job.exporter)))


def usable_exports(exports: Store) -> list[tuple[Export, Path]]:
    """The records and files of all exports of a store that passed every check; a failed one is not among
    them and must not be timed or offered.

    Raises:
        ArtifactError: a file is not the one that was written.
    """
    found = (read_artifact(path.parent, KIND) for path in sorted(exports.folder.glob(f"*/{MANIFEST}")))
    return [(record_of(one), one.file(MODEL_FILE)) for one in found if record_of(one).status == "ok"]


def usable_model(record: Export, exports: Store) -> Path:
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
    return read_artifact(artifact_folder(record, exports), KIND, ONCE_OF_USERS).file(MODEL_FILE)


def artifact_folder(record: Export, exports: Store) -> Path:
    """Where an export is filed, with its inspection and log; a failed one too."""
    ending = f"{record.exporter}-{record.key[:KEY_CHARACTERS]}"
    return next(exports.folder.glob(f"*{ending}"), exports.folder / ending)


def record_of(artifact: Artifact) -> Export:
    """The record in an artifact's manifest."""
    return artifact.record(Export, "record")


@dataclass(frozen=True)
class _Attempt:
    job: ExportJob
    entry: Entry
    model: BuiltModel
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
    make_environment(job.exporter, progress)
    wanted = (("torch", "float64"), (attempt.entry.framework, "float32"))
    reference, native = (
        reference_artifact(
            ReferenceRequest(job.weights, job.images, framework, dtype), job.references, progress, host=job.host
        )
        for framework, dtype in wanted
    )
    pace, size = pace_in(native.manifest.facts), size_of(attempt.model.weights)
    seconds = job.limit_seconds or allowed("export", pace, size) + allowed("check", pace, size)
    request = RouteRequest(
        model=attempt.model,
        exporter=job.exporter,
        opset=job.opset,
        key=attempt.key,
        folder=attempt.work,
        against=Against(records=job.images, native=native.file(LOGITS), reference=reference.file(LOGITS)),
    )
    return run_job(
        EXPORT,
        request,
        attempt.work / LOG_FILE,
        heard=EXPORT.heard_by(lambda told: stages.append(told.stage)),
        limit_seconds=Limit(seconds, f"The export of {attempt.model.name} by {job.exporter}"),
        environment=CPU_ONLY,
        host=job.host,
    )


def _failed(attempt: _Attempt, reason: str) -> Export:
    job = attempt.job
    return asked_for(attempt.model, job.exporter, job.opset, attempt.key, reason)


def facts_of(record: Export, *, try_again: bool) -> dict[str, JsonValue]:
    """What the manifest of an export says of it."""
    return {
        "status": record.status,
        "reason": record.reason,
        TRY_AGAIN: try_again,
        "record": record.model_dump(mode="json"),
    }


def _inputs(job: ExportJob, weights: Artifact, spec: ModelSpec) -> dict[str, JsonValue]:
    """All that determines the file and its checks."""
    return {
        "spec": spec.to_dict(),
        "weights": weights.key,
        "exporter": job.exporter,
        "opset": job.opset,
        "images": file_sha256_of_images(job.images),
        "versions": dict(route_versions(job.exporter)),
    }


def make_environment(exporter: str, progress: Progress) -> None:
    """Make the tool environment of a route, where it has one and it is not there.

    Raises:
        NotInstalledError: it cannot be made.
    """
    environment = ENVIRONMENTS / f"{exporter}.txt"
    if environment.is_file():
        toolenv.ensure(exporter, environment, progress)


def route_versions(exporter: str) -> dict[str, str]:
    """Versions of the packages of a route, or of what looks at a file that was given; of a tool environment, the hash
    of its list.
    """
    packages = EXPORTERS[exporter].packages if exporter in EXPORTERS else ()
    found = installed_versions(sorted({*packages, "onnx", "onnxruntime"}))
    environment = ENVIRONMENTS / f"{exporter}.txt"
    if environment.is_file():
        found["environment"] = toolenv.requirements_hash(environment)
    return {**found, "assay": __version__}
