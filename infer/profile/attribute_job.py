"""One runtime profiled on several models, in a process of its own; see `assay.bench.stages.attribute`.

Every model and batch size is answered when it is finished, so that a later failure costs only itself.
"""

from __future__ import annotations

import shutil
import tempfile
import traceback
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
from pydantic import Field

from assay.entries import load_function
from assay.errors import AssayError
from assay.files.arrays import map_array
from assay.files.disk import disk_error_in
from assay.foreign import said_by
from assay.infer.gpu.nvml import first_gpu
from assay.infer.gpu.parts import rotated_inputs
from assay.infer.gpu.steady import SAME_SECONDS, spin
from assay.infer.profile.calls import StartRecorder
from assay.infer.profile.timing import ROUNDS, RecordedOperator, Round, profile_in_turns, time_plainly
from assay.infer.runtime import Images, Load, ModelFiles, Session
from assay.infer.runtimes.same_for_all import begin
from assay.jobs.job import Nothing, TellingJob
from assay.jobs.serving import serve_job
from assay.records.base import Record
from assay.registry import RUNTIMES
from assay.spec import Settings

INPUTS = 2


class AttributedModel(Record):
    """One model to attribute the time of.

    Attributes:
        name: name of its answers.
        batches: batch sizes to profile.
        skeleton: whether to time it without a profiler only.
        images: .npy file of float32 (count, H, W, C) images; None for zeros, which do for a skeleton.
    """

    name: str
    model: ModelFiles
    batches: tuple[int, ...]
    skeleton: bool = False
    images: Path | None = None


class AttributionRequest(Record):
    """All work of one runtime; `seconds` are for one model at one batch size, without loading."""

    runtime: str
    settings: Settings
    subjects: tuple[AttributedModel, ...]
    seconds: float


class Figures(Record):
    """Measurements of one model at one batch size, or the reason why there are none.

    Attributes:
        plain_ns: median of each burst of a model that was timed without a profiler.
        rounds, operators: see `assay.infer.profile.timing.Profiled`; empty if nothing was profiled.
    """

    subject: str
    batch: int
    reason: str = ""
    plain_ns: list[float] = Field(default_factory=list)
    rounds: list[Round] = Field(default_factory=list)
    operators: list[RecordedOperator] = Field(default_factory=list)


ATTRIBUTE = TellingJob(
    "assay.infer.profile.attribute_job", "attribute", AttributionRequest, Nothing, Figures, sees_gpu=True
)
Tell = Callable[[Figures], None]


def work(request: AttributionRequest, tell: Tell) -> Nothing:
    """Pin, import, and do one model after another; each answer is an event."""
    entry = RUNTIMES[request.runtime]
    begin(request.settings.cores, _device_of(request))
    load: Load = entry.load()
    for subject in request.subjects:
        _do(subject, request, load, tell)
    return Nothing()


def _device_of(request: AttributionRequest) -> str:
    """Return the device that the runtime is asked for, as where it is timed."""
    return RUNTIMES[request.runtime].asked_device(request.settings.device)


def _do(subject: AttributedModel, request: AttributionRequest, load: Load, tell: Tell) -> None:
    """Answer for every batch of a model, with figures or with the reason why there are none."""
    try:
        session = load(subject.model, request.settings)
    except AssayError as error:
        reason = _reason(error)
        for batch in subject.batches:
            tell(Figures(subject=subject.name, batch=batch, reason=reason))
        return
    for batch in subject.batches:
        blank = Figures(subject=subject.name, batch=batch)
        try:
            natives = [session.prepare(images) for images in _inputs(subject, batch, _device_of(request))]
            found = blank.model_copy(update=_figures(subject, request, session, natives))
        except Exception as error:  # noqa: BLE001  any exception of a framework's profiler costs its own cell
            found = blank.model_copy(update={"reason": _reason(error)})
        tell(found)
    session.close()


def _reason(error: Exception) -> str:
    """Return why there are no figures.

    Raises:
        DiskError: the disk's failure is not the runtime's.
    """
    if trouble := disk_error_in(error):
        raise trouble from error
    if isinstance(error, AssayError):
        return str(error)
    traceback.print_exception(error)
    return f"{type(error).__name__}: {said_by(error)}"


def _figures(
    subject: AttributedModel, request: AttributionRequest, session: Session[object], natives: list[object]
) -> dict[str, object]:
    """Return the measurements, by field of `Figures`. On a GPU every burst begins when its clock is steady."""
    device = _device_of(request)
    gpu, seconds = first_gpu() if device == "cuda" else None, request.seconds
    if gpu:
        seconds += 2 * ROUNDS * SAME_SECONDS

    def ready() -> None:
        if gpu:
            spin(gpu, lambda: session.run(natives[0]))

    if subject.skeleton:
        return {"plain_ns": time_plainly(session, natives, seconds, ready)}
    entry = RUNTIMES[request.runtime]
    unseen = entry.makes_code and device == "cpu"
    if not entry.family.profiler or unseen:
        why = "calls its kernels without the profiler" if unseen else "has no reader for a profile"
        return {
            "plain_ns": time_plainly(session, natives, seconds, ready),
            "reason": f"{request.runtime} {why}",
        }
    start: StartRecorder = load_function(entry.name, entry.family.profiler, entry.family.extra)
    folder = Path(tempfile.mkdtemp(prefix="assay-profile."))
    try:
        recorder = start(subject.model, replace(request.settings, device=device), session, folder)
        return dict(profile_in_turns(session, natives, recorder, seconds, ready))
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _inputs(subject: AttributedModel, batch: int, device: str) -> list[Images]:
    """Return batches to use in turn, as many as where they are timed on a GPU; images repeat when there are too few."""
    if subject.images is None:
        return [np.zeros((batch, *subject.model.spec.image_shape), np.float32)]
    images = map_array(subject.images)
    count = rotated_inputs(batch * images[:1].nbytes) if device == "cuda" else INPUTS
    places = np.arange(count * batch).reshape(count, batch) % len(images)
    return [np.ascontiguousarray(images[place]) for place in places]


if __name__ == "__main__":
    serve_job(ATTRIBUTE.told_by(work))
