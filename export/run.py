"""Exports as the conductor sees them: started as jobs, stored as artifacts, and found again when they are finished.
Nothing here imports a framework. An exporter that crashes, hangs or writes a wrong file costs its own record and
nothing else; the files that it left are kept with the reason.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from pydantic import JsonValue

from assay import __version__, toolenv
from assay.errors import AssayError, ExportFailedError, FailedError, NotInstalledError, WorkerError
from assay.export.checking.records import Against
from assay.export.job import EXPORT, RouteRequest
from assay.export.record import INSPECTION_FILE, MODEL_FILE, asked_for
from assay.export.reference.reference import (
    LOGITS,
    ReferenceRequest,
    file_sha256_of_images,
    operators_in,
    reference_artifact,
    references_here,
    spec_of,
)
from assay.jobs.host import Starter
from assay.jobs.job import Answered, Asked, Job
from assay.jobs.pace import limit_of, pace_in
from assay.jobs.process import HERE
from assay.jobs.running import run_job
from assay.records.results import Export
from assay.registry import EXPORTERS, TASK_OF_ARCHITECTURES, installed_versions
from assay.steps import Limit, size_of
from assay.store import KEY_CHARACTERS, MANIFEST, TRY_AGAIN, Artifact, Store, artifact_key, read_artifact
from assay.train.brought.model import UserModel
from assay.train.built import BuiltModel

Progress = Callable[[str, int, int], None]

KIND, ONCE_OF_USERS = "onnx", "user-onnx"
LOG_FILE = "export.log"
WEIGHTS_FILE = "weights.safetensors"
ENVIRONMENTS = Path(__file__).parent / "envs"


class Start(Protocol):
    """Runs a job of an export to its end; the model's owner decides where, for how long and with what rights."""

    def __call__(self, job: Job[Asked, Answered], request: Asked, log: Path, doing: str, *answers: Path) -> Answered:
        """
        Args:
            doing: description of the job.
            answers: folders that the job writes.
        """


@dataclass(frozen=True)
class ExportJob:
    """One model to export by one route.

    Attributes:
        exporter: a registered exporter.
        exports: the store that keeps the artifact.
        start: function that runs the jobs.
        opset: the operator set wanted.
        data: everything besides the model that determines a file and its checks.
        against: returns the data to compare the file with; None where it is known only later.
        operators: returns the framework's operators that compute in a call of the model, as far as they are known.
    """

    model: BuiltModel | UserModel
    exporter: str
    exports: Store
    start: Start
    opset: int = 18
    data: Mapping[str, JsonValue] = field(default_factory=dict)
    against: Callable[[Progress], Against] | None = None
    operators: Callable[[Progress], Sequence[str]] = lambda _: ()


def job_of_weights(  # noqa: PLR0913  each determines the job, and all but the first are given by name
    exporter: str,
    weights: Path,
    images: Path,
    exports: Store,
    references: Store,
    *,
    opset: int = 18,
    task: str = TASK_OF_ARCHITECTURES,
    limit_seconds: float | None = None,
    host: Starter = HERE,
    host_of: Callable[[str], Starter] | None = None,
) -> ExportJob:
    """Return an export of one of our architectures.

    Args:
        weights: folder of a weights artifact.
        images: .npy file of at least 32 real images as the model takes them: float32, normalised, NHWC.
        references: where reference outputs are kept, shared by all exports.
        task: how answers are judged; by its rule variants in less than fp32 are refused.
        limit_seconds: for the export with its checks, not for making a tool environment; in proportion to what the
            model took where it is None.
        host: the host that runs the jobs.
        host_of: where a framework computes references, if not everywhere alike.

    Raises:
        InputError: the exporter is unknown, or weights or images cannot be used.
    """
    framework = EXPORTERS[exporter].framework
    artifact = read_artifact(weights, "weights")
    model = BuiltModel(spec=spec_of(artifact), weights=artifact.file(WEIGHTS_FILE), fingerprint=artifact.key)

    def computed(name: str, dtype: str, progress: Progress) -> Artifact:
        where = host_of(name) if host_of else host
        return reference_artifact(ReferenceRequest(weights, images, name, dtype), references, progress, host=where)

    def against(progress: Progress) -> Against:
        exact, *_ = references_here()
        reference, native = computed(exact, "float64", progress), computed(framework, "float32", progress)
        return Against(records=images, native=native.file(LOGITS), reference=reference.file(LOGITS), task=task)

    def start(job: Job[Asked, Answered], request: Asked, log: Path, doing: str, *_: Path) -> Answered:
        pace = pace_in(computed(framework, "float32", _told_to_nobody).manifest.facts)  # it exists by now
        seconds = limit_seconds or limit_of(job.name, request, pace, size_of(model.file))
        return run_job(job, request, log, limit_seconds=Limit(seconds, doing), host=host)

    def operators(progress: Progress) -> Sequence[str]:
        return operators_in(computed(framework, "float32", progress).manifest.facts)

    data = {"images": file_sha256_of_images(images), "task": task}
    return ExportJob(model, exporter, exports, start, opset, data, against, operators)


def export_model(job: ExportJob, progress: Progress) -> Export:
    """Export one model, and check it if that is possible yet, or return the record of the same export made earlier.

    Raises:
        InputError: images or folders cannot be used.
    """
    inputs = {**determined_by(job.model), **job.data, "exporter": job.exporter, "opset": job.opset}
    versions = route_versions(job.exporter)
    key = artifact_key(KIND, inputs | {"versions": dict(versions)})
    doing = f"The export of {job.model.name} by {job.exporter}"

    def make(folder: Path) -> Export:
        _make_environment(job.exporter, progress)
        request = RouteRequest(
            model=job.model,
            exporter=job.exporter,
            opset=job.opset,
            key=key,
            folder=folder,
            against=job.against(progress) if job.against else None,
        )
        return job.start(EXPORT, request, folder / LOG_FILE, doing, folder)

    return filed(job, asked_for(job.model, job.exporter, job.opset, key), inputs, versions, make, progress)


def operators_of(job: ExportJob, progress: Progress) -> Sequence[str]:
    """Return the operators of the model of a job; none where the model does not run, which its export will report."""
    try:
        return job.operators(progress)
    except AssayError:
        return ()


def filed(
    job: ExportJob,
    blank: Export,
    inputs: Mapping[str, JsonValue],
    versions: Mapping[str, str],
    make: Callable[[Path], Export],
    progress: Progress,
) -> Export:
    """Return the record of an earlier run's file, or of the one that `make` makes in an empty folder.

    A failure is a record with status "failed" and the reason. One that may pass next time (a crash, the time limit, a
    package that could not be obtained, the user's code) is tried again at the next call.
    """
    label = f"exporting {blank.architecture} by {blank.exporter}"

    def fill(folder: Path) -> dict[str, JsonValue]:
        progress(label, 0, 1)
        try:
            record = make(folder)
            try_again = record.is_unfinished
        except (FailedError, NotInstalledError) as error:
            died = isinstance(error, WorkerError)
            stage = "checking: " if (folder / INSPECTION_FILE).is_file() else "exporting: "
            reason = f"{stage if died else ''}{error}".replace(f"{job.exports.folder.parent}/", "")
            record = blank.model_copy(update={"reason": reason})
            try_again = died or isinstance(error, NotInstalledError) or isinstance(job.model, UserModel)
        progress(label, 1, 1)
        return {
            "status": record.status,
            "reason": record.reason,
            TRY_AGAIN: try_again,
            "record": record.model_dump(mode="json"),
        }

    name = (
        f"{blank.architecture}-{blank.size}-{blank.exporter}" if isinstance(job.model, BuiltModel) else blank.exporter
    )
    kept = job.exports.kept(KIND, {**inputs, "versions": dict(versions)}, fill, name=name, made_by=versions)
    return record_of(kept)


def _told_to_nobody(label: str, done: int, total: int) -> None:
    """Ignore the progress of something that exists already."""


def determined_by(model: BuiltModel | UserModel) -> dict[str, JsonValue]:
    """Return the part of a model that determines its file."""
    if isinstance(model, BuiltModel):
        return {"spec": model.spec.to_dict(), "weights": model.fingerprint}
    return {
        "fingerprint": model.fingerprint,
        "inputs": [one.model_dump(mode="json") for one in (*model.inputs, *model.outputs)],
        "batch": model.batch,
        "whole": model.whole,
        "without": list(model.without),
    }


def usable_model(record: Export, exports: Store) -> Path:
    """Return the file of one export.

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
    """Return the folder of an export's artifact, with its inspection and log; a failed export has one too."""
    ending = f"{record.exporter}-{record.key[:KEY_CHARACTERS]}"
    return next(exports.folder.glob(f"*{ending}"), exports.folder / ending)


def record_of(artifact: Artifact) -> Export:
    """Return the record in an artifact's manifest."""
    return artifact.record(Export, "record")


def _make_environment(exporter: str, progress: Progress) -> None:
    """Make the tool environment of a route, if it has one that does not exist yet.

    Raises:
        NotInstalledError: it cannot be made.
    """
    environment = ENVIRONMENTS / f"{exporter}.txt"
    if environment.is_file():
        toolenv.ensure(exporter, environment, progress)


def make_environments(exporters: Iterable[str], exports: Store) -> None:
    """Make the tool environments of all routes by which nothing is exported yet, ahead of the first export.

    One that cannot be made is left to that export, which says why.
    """
    for exporter in exporters:
        if not any(exports.folder.glob(f"*-{exporter}-*/{MANIFEST}")):
            with suppress(AssayError):
                _make_environment(exporter, _told_to_nobody)


def route_versions(exporter: str) -> dict[str, str]:
    """Return versions of a route's packages, or of those that inspect a given file; for a tool environment, the hash of
    its list.
    """
    packages = EXPORTERS[exporter].packages if exporter in EXPORTERS else ()
    found = installed_versions(sorted({*packages, "onnx", "onnxruntime"}))
    environment = ENVIRONMENTS / f"{exporter}.txt"
    if environment.is_file():
        found["environment"] = toolenv.requirements_hash(environment)
    return {**found, "assay": __version__}
