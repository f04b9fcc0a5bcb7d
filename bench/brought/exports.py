"""A user's model probed, exported by every route, and every file checked; each step is a job of its own."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from assay.bench.atlas.lookup import known_defects, known_of_export
from assay.bench.brought.which_runtimes import timed_on
from assay.bench.brought.work import Work
from assay.bench.stages.exports import variants_of
from assay.bench.stages.groups import parted
from assay.bench.tasks.task import task
from assay.errors import AssayError, DiskError, ExportFailedError, FailedError, InputError
from assay.export.checking.records import Against
from assay.export.job import CHECK, CheckExportRequest
from assay.export.probing.probe import LOCATION_FILE, NATIVE_FILE, PROBE, RECORDS_FILE, REFERENCE_FILE, ProbeRequest
from assay.export.record import MODEL_FILE
from assay.export.reference.double_job import DECIDERS, DOUBLE, DoubleRequest
from assay.export.run import ExportJob, artifact_folder, export_model
from assay.export.variants.mixed import ByTask, MixedJob
from assay.export.variants.variants import VariantJob
from assay.files.arrays import load_array, map_array
from assay.files.disk import folder_beside, put_in_place
from assay.jobs.job import Answered, Asked, Job
from assay.jobs.pace import limit_of
from assay.jobs.side_by_side import side_by_side
from assay.numerics.agreement import CEILING
from assay.numerics.ties.deciding import Deciding
from assay.numerics.ties.saved import read_deciders
from assay.numerics.values import is_whole
from assay.records.results import Agreement, Export
from assay.registry import EXPORTERS, GIVEN
from assay.steps import Limit, size_of
from assay.store import file_sha256, reporting_disk_errors, write_atomically
from assay.train.brought.agreement import Judge
from assay.train.brought.model import Tensor, UserModel, in_words

DOING = {
    PROBE.name: "Inspecting the model",
    CHECK.name: "The check of the export",
    DOUBLE.name: "The export in float64",
    DECIDERS.name: "The search for the scores that decide outputs",
}
"""The description of each job, for use where it reports no step of its own."""
DECIDERS_FILE = "deciders.npz"
CALIBRATION_PERCENTILE = 100.0
"""The percentile for calibration with the given records, which are few: nothing of their ranges is cut off."""
NATIVE_NAMES = {
    "torch": "PyTorch",
    "tf": "TensorFlow",
    "jax": "JAX",
    "onnx": "onnxruntime without optimisations",
}


@dataclass(frozen=True)
class Brought:
    """A model that has been probed, and the reference for its outputs.

    Attributes:
        folder: folder of its records, its own outputs and the reference.
        what: description of what computed the reference.
        exact: whether the reference is float64, and not the model's own output.
        drawn: whether the records are random numbers; `made` says how they were drawn and what they do not cover.
        cost: the model's outputs against its original's, where one was given.
        ran_by: the program that ran a file that its usual runtime has no kernels for; else "".
        kernels: the operators of its framework that computed in a call, where the framework shows them.
        told: sentences on outputs that cannot be compared, or only in another form.
    """

    model: UserModel
    folder: Path
    what: str
    exact: bool
    drawn: bool
    made: str = ""
    cost: tuple[Agreement, ...] = ()
    ran_by: str = ""
    kernels: tuple[str, ...] = ()
    told: tuple[str, ...] = ()

    @property
    def native_name(self) -> str:
        """The program that computes the model's own outputs."""
        if self.ran_by:
            return self.ran_by
        return "LiteRT" if self.model.location.form == "tflite" else NATIVE_NAMES[self.model.kind]

    @property
    def native(self) -> NDArray[np.generic]:
        """The model's own outputs in its own precision, (records, numbers)."""
        return load_array(self.folder / NATIVE_FILE)

    @property
    def reference(self) -> NDArray[np.generic]:
        """The outputs to compare with, (records, numbers), for the first records at least."""
        return load_array(self.folder / REFERENCE_FILE)

    @property
    def deciders(self) -> dict[str, Deciding]:
        """The values that decide outputs, where they were looked for."""
        return read_deciders(self.folder / DECIDERS_FILE)

    def judge(self, own: Mapping[str, float]) -> Judge:
        """Return the judge of its outputs.

        Args:
            own: the user's own tolerances, by output.
        """
        natives = {self.native_name: self.native}
        return Judge(self.model, self.reference, natives, self.exact, self.deciders, own)

    @property
    def has_whole_outputs(self) -> bool:
        return any(is_whole(one.dtype) for one in self.model.outputs)

    @property
    def records(self) -> int:
        """The number of records."""
        return len(map_array(self.folder / RECORDS_FILE))


def bring(work: Work, point: Mapping[str, int] | None = None) -> Brought:
    """Load, describe and run the model in a job.

    Args:
        point: sizes of the dimensions that vary, by name; the first that are wanted where it is None.

    Raises:
        AssayError: the model does not load or run.
    """
    wanted = work.wanted
    folder = work.folder / ("model" if point is None else f"model-at-{'-'.join(map(str, point.values()))}")
    with reporting_disk_errors(folder), folder_beside(folder) as new:
        request = ProbeRequest(
            location=wanted.location,
            shapes=wanted.shapes,
            dimensions=wanted.dimensions | (wanted.points[0] if point is None else dict(point)),
            inputs=None if wanted.inputs is None else wanted.inputs.resolve(),
            batches=wanted.batches,
            without=wanted.without,
            original=wanted.original,
            ranges=wanted.ranges,
            varied={name: (min(sizes), max(sizes)) for name, sizes in wanted.sizes.items()},
            folder=new,
        )
        probed = _job(work, PROBE, request, "probe", new)
        (new / LOCATION_FILE).write_text(str(wanted.location.path.resolve()), encoding="utf-8")
        put_in_place(new, folder)
    work.call_seconds, work.load_seconds = max(work.call_seconds, probed.call_seconds), probed.load_seconds
    model = probed.model
    inputs, outputs = (", ".join(described(model, one) for one in some) for some in (model.inputs, model.outputs))
    work.narrator.note(f"{model.kind}: {inputs} -> {outputs}")
    if model.weights and point is None:
        work.narrator.note(f"weights: {model.weights}")
    if point is None:
        for said in probed.told:
            work.narrator.note(said)
    if not probed.reference:
        work.narrator.note(f"not itself in float64: {probed.reason}")
    drawn, exact = wanted.inputs is None, bool(probed.reference)
    return Brought(
        model,
        folder,
        probed.reference,
        exact=exact,
        drawn=drawn,
        made=probed.made,
        cost=tuple(probed.cost),
        ran_by=probed.ran_by,
        kernels=probed.kernels,
        told=tuple(probed.told),
    )


def described(model: UserModel, tensor: Tensor) -> str:
    """Describe an input or output, "features float32 [batch, 256]"."""
    sizes = ["batch" if size is None else str(size) for size in model.open_shape_of(tensor)]
    for axis in tensor.varying:
        sizes[axis] = "varying"
    shape = ", ".join(sizes)
    return f"{tensor.name} {in_words(tensor.dtype)} [{shape}]"


def exported(
    work: Work, brought: Brought, tried_by: Callable[[Brought], ByTask | None] = lambda _: None
) -> tuple[Brought, list[Export]]:
    """Export by every route of the model's framework, with the variants of reduced precision that were asked for.

    Args:
        tried_by: returns the decisions that files in int8 are tried by too; None for their numbers alone.

    Returns:
        The model with a reference, and one record for each route and each variant of its file.
    """
    kind, form = brought.model.kind, brought.model.location.form
    routes = (
        [GIVEN]
        if kind == "onnx"
        else [one.name for one in EXPORTERS.values() if one.framework == kind and form not in one.not_for]
    )
    parts = work.side_by_side(len(routes))
    for said in known_defects(brought.kernels, routes):
        work.narrator.note(said)
    jobs = [_export_job(parts, brought.model, route) for route in routes]
    records = side_by_side([partial(export_model, job, work.narrator.bar) for job in jobs], parts.jobs)
    runtimes = [parted(name)[0] for name in timed_on(work.wanted, brought.model)]
    known = {one.exporter: known_of_export(one, brought.kernels, runtimes) for one in records}
    for said in known.get(GIVEN, ()):  # what is in a file that was given is known from here on
        work.narrator.note(said)
    files = files_of(work, records)
    brought = with_reference(work, brought, files)
    made = [one for one in records if one.exporter in files]
    checks = side_by_side([partial(checked, parts, brought, one, files[one.exporter]) for one in made], parts.jobs)
    first = {one.exporter: one for one in checks}
    found, shown = [], False
    for record in records:
        done = first.get(record.exporter, record)
        differs = done.reason or any(one.margin for one in done.agreement)
        if record.exporter in files and differs:
            shown = look_for_deciders(work, brought, files) or shown  # by an export before, too
            done = checked(work, brought, record, files[record.exporter]) if shown else done
        work.narrator.exported(done)
        for said in known[done.exporter] if done.reason else ():
            work.narrator.note(f"{done.exporter}: {said}")
        found.append(done)
    if work.wanted.reduced:
        look_for_deciders(work, brought, files_of(work, found))
    by_task = tried_by(brought)
    found += [one for record in found if record.status == "ok" for one in _reduced(work, brought, record, by_task)]
    return brought, found


def files_of(work: Work, exports: Iterable[Export]) -> dict[str, Path]:
    """Return the files that may be used, by exporter."""
    store = work.store("onnx")
    return {one.exporter: artifact_folder(one, store) / MODEL_FILE for one in exports if one.status == "ok"}


def _reduced(work: Work, brought: Brought, export: Export, by_task: ByTask | None) -> list[Export]:
    """Make the variants of one export that were asked for, calibrated with the given records."""
    records = brought.folder / RECORDS_FILE
    against = _against(brought)
    hashes = {
        name: file_sha256(path) for name, path in dict(against).items() if isinstance(path, Path) and path.exists()
    }
    job = replace(_export_job(work, brought.model, export.exporter), data=dict(hashes), against=lambda _: against)

    def search(variant: VariantJob, made: Export) -> MixedJob:
        return MixedJob(variant, made, work.store("trials"), work.wanted.mixed_minutes, by_task=by_task)

    made = variants_of(work, export, job, work.wanted.reduced, records, CALIBRATION_PERCENTILE, search)
    return with_advice(made, task(work.wanted.task).not_followed)


def with_advice(made: list[Export], advice: str) -> list[Export]:
    """Return the records of files, with what their task advises where one in that precision does not follow the
    reference.
    """
    failed = {one.precision for one in made for part in one.agreement if part.ground == "not followed"}
    return [
        one.model_copy(update={"reason": f"{one.reason}; {advice}"})
        if advice and one.status == "failed" and one.precision in failed
        else one
        for one in made
    ]


def _export_job(work: Work, model: UserModel, route: str) -> ExportJob:
    def start(job: Job[Asked, Answered], request: Asked, log: Path, doing: str, *answers: Path) -> Answered:
        work.narrator.tell(doing)
        try:
            return work.ask(job, request, log, _limit(work, job, request, doing), *answers)
        except DiskError:
            raise  # the machine's failure, not this one's
        except InputError as error:  # an error that the user's own code reports costs its route
            raise ExportFailedError(str(error)) from error

    return ExportJob(model, route, work.store("onnx"), start, work.wanted.opset)


def with_reference(work: Work, brought: Brought, files: dict[str, Path]) -> Brought:
    """Return the model with outputs to compare with: its own in float64, an export's, or as a last resort its own in
    fp32.
    """
    if brought.exact:
        return brought
    others = files if brought.model.kind != "onnx" else {}  # a given file was computed in float64 when it was probed
    for route, file in others.items():
        request = _on_records(brought, file, brought.folder / REFERENCE_FILE)
        work.narrator.tell(f"computing the export by {route} in float64")
        try:
            done = _job(work, DOUBLE, request, f"double-{route}", brought.folder)
        except DiskError:
            raise  # the machine's failure, not this one's
        except AssayError as error:
            work.narrator.note(f"the export by {route} in float64 is not a reference: {error}")
        else:
            return replace(brought, what=f"the export by {route} in float64, by {done.by}", exact=True)
    return _own_reference(brought)


def _on_records(brought: Brought, file: Path, out: Path) -> DoubleRequest:
    """Return the request to compute an export on the model's records, with the path for the answer."""
    folder = brought.folder
    return DoubleRequest(
        model=brought.model, file=file, records=folder / RECORDS_FILE, native=folder / NATIVE_FILE, out=out
    )


def look_for_deciders(work: Work, brought: Brought, files: Mapping[str, Path]) -> bool:
    """Look for the scores that decide an output; return whether some file shows them for the first time, or that it has
    some which cannot be followed.

    This is only done where one differs, as it computes the file in float64 once more. Where no output has whole
    numbers, one file is asked.
    """
    place = brought.folder / DECIDERS_FILE
    if place.exists():
        return False
    files = files if brought.has_whole_outputs else dict(list(files.items())[:1])
    unfollowed = False
    for route, file in files.items():
        request = _on_records(brought, file, place)
        work.narrator.tell(f"looking in the export by {route} for the scores that decide its outputs")
        try:
            found = _job(work, DECIDERS, request, f"deciders-{route}", brought.folder)
        except AssayError as error:
            if brought.has_whole_outputs:
                work.narrator.note(f"the export by {route} does not show which scores decide its outputs: {error}")
            continue
        if found.outputs:
            return True
        unfollowed = unfollowed or bool(found.unfollowed)
    return unfollowed


def _own_reference(brought: Brought) -> Brought:
    """Write the model's own fp32 outputs in place of a reference that is not available."""
    content = io.BytesIO()
    np.save(content, brought.native.astype(np.float64))
    write_atomically(brought.folder / REFERENCE_FILE, content.getvalue())
    what = (
        f"the model's own outputs in fp32, since float64 is not available: differences below {CEILING:.2g} "
        "of the largest pass"
    )
    return replace(brought, what=what)


def checked(work: Work, brought: Brought, record: Export, file: Path, at: str = "") -> Export:
    """Return the record with the agreement of the file; one that does not agree has failed.

    Args:
        at: ", at 128 tokens" where the model is compared at several sizes, in words.
    """
    held = dict(_against(brought))
    precision = record.precision if at else "fp32"  # a given file's own is no less than it asks for
    request = CheckExportRequest(model=brought.model, exporter=record.exporter, file=file, precision=precision, **held)
    work.narrator.tell(f"checking the export by {record.exporter}{at}")
    try:
        judged = _job(work, CHECK, request, f"check-{record.exporter}{at.replace(' ', '-').replace(',', '')}")
    except FailedError as error:
        return record.model_copy(update={"status": "failed", "reason": str(error)})
    return judged.on(record)


def _against(brought: Brought) -> Against:
    folder = brought.folder
    return Against(
        records=folder / RECORDS_FILE,
        native=folder / NATIVE_FILE,
        reference=folder / REFERENCE_FILE,
        exact=brought.exact,
        deciders=folder / DECIDERS_FILE,
    )


def _job(work: Work, job: Job[Asked, Answered], request: Asked, name: str, *answers: Path) -> Answered:
    """Run a job on a model that is not yet exported, or on its files.

    Args:
        answers: folders that the job writes.
    """
    log = work.folder / "logs" / f"{name}.log"
    return work.ask(job, request, log, _limit(work, job, request, DOING[job.name]), *answers)


def _limit(work: Work, job: Job[Asked, Answered], request: Asked, doing: str) -> Limit:
    return Limit(limit_of(job.name, request, work, size_of(work.wanted.location.path)), doing)
