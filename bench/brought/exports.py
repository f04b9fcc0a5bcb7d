"""A user's model looked at, exported by every route, and every file checked; each step a job of its own."""

from __future__ import annotations

import io
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import cast

import numpy as np
from numpy.typing import NDArray
from pydantic import JsonValue

from assay.bench.brought.work import Work
from assay.boxed.boxing import Box
from assay.errors import AssayError, DiskError, FailedError
from assay.export.job import CHECK, EXPORT, CheckExportRequest, RouteRequest
from assay.export.probing.probe import NATIVE_FILE, PROBE, RECORDS_FILE, REFERENCE_FILE, ProbeRequest
from assay.export.record import MODEL_FILE, asked_for
from assay.export.reference.double_job import DECIDERS, DOUBLE, DoubleRequest
from assay.export.reference.reference import CPU_ONLY
from assay.export.run import KIND, make_environment, route_versions
from assay.files.arrays import load_array, map_array
from assay.files.disk import folder_beside, put_in_place
from assay.jobs.job import Answered, Asked, Job
from assay.jobs.pace import SHARES, allowed
from assay.jobs.running import run_job
from assay.numerics.agreement import CEILING
from assay.numerics.ties import Decider, read_deciders
from assay.numerics.values import is_whole
from assay.records.results import Export
from assay.registry import EXPORTERS, GIVEN
from assay.steps import LONGER, MOST_SECONDS, Limit, limits_told, size_of
from assay.store import Artifact, artifact_key, reporting_disk_errors, write_atomically
from assay.train.brought.model import Tensor, UserModel

DOING = {
    PROBE.name: "Looking at the model",
    EXPORT.name: "The export",
    CHECK.name: "The check of the export",
    DOUBLE.name: "The export in float64",
    DECIDERS.name: "The search for what decides indices",
}
"""What a job is at where it tells of no step of its own."""
DECIDERS_FILE = "deciders.npz"
RECORD = "record"
NATIVE_NAMES = {
    "torch": "PyTorch",
    "tf": "TensorFlow",
    "jax": "JAX",
    "onnx": "onnxruntime without optimisations",
}


@dataclass(frozen=True)
class Brought:
    """A model that was looked at, and what its outputs are compared with.

    Attributes:
        folder: has its records, its own outputs and the reference.
        what: what computed the reference, in words.
        exact: the reference is float64, and not the model's own output.
        drawn: the records are random numbers; `made` says how they were drawn and what they do not cover.
    """

    model: UserModel
    folder: Path
    what: str
    exact: bool
    drawn: bool
    made: str = ""

    @property
    def native_name(self) -> str:
        return NATIVE_NAMES[self.model.kind]

    @property
    def native(self) -> NDArray[np.generic]:
        return cast("NDArray[np.generic]", load_array(self.folder / NATIVE_FILE))

    @property
    def reference(self) -> NDArray[np.generic]:
        return cast("NDArray[np.generic]", load_array(self.folder / REFERENCE_FILE))

    @property
    def deciders(self) -> dict[str, Decider]:
        """What decides outputs that are indices, where that was looked for."""
        return read_deciders(self.folder / DECIDERS_FILE)

    @property
    def has_whole_outputs(self) -> bool:
        return any(is_whole(one.dtype) for one in self.model.outputs)

    @property
    def records(self) -> int:
        return len(map_array(self.folder / RECORDS_FILE))


def bring(work: Work) -> Brought:
    """Load, describe and run the model in a job.

    Raises:
        AssayError: it does not load or run.
    """
    wanted = work.wanted
    folder = work.folder / "model"
    with reporting_disk_errors(folder), folder_beside(folder) as new:
        request = ProbeRequest(
            location=wanted.location,
            shapes=wanted.shapes,
            dimensions=wanted.dimensions,
            inputs=None if wanted.inputs is None else wanted.inputs.resolve(),
            batches=wanted.batches,
            without=wanted.without,
            folder=new,
        )
        probed = _job(work, PROBE, request, "probe", new)
        put_in_place(new, folder)
    work.call_seconds, work.load_seconds = probed.call_seconds, probed.load_seconds
    model = probed.model
    inputs, outputs = (", ".join(described(model, one) for one in some) for some in (model.inputs, model.outputs))
    work.narrator.note(f"{model.kind}: {inputs} -> {outputs}")
    if not probed.reference:
        work.narrator.note(f"not in float64 by itself: {probed.reason}")
    drawn, exact = wanted.inputs is None, bool(probed.reference)
    return Brought(model, folder, probed.reference, exact=exact, drawn=drawn, made=probed.made)


def described(model: UserModel, tensor: Tensor) -> str:
    """An input or output in words, "features float32 [batch, 256]"."""
    shape = ", ".join("batch" if size is None else str(size) for size in model.open_shape_of(tensor))
    return f"{tensor.name} {tensor.dtype} [{shape}]"


def exported(work: Work, brought: Brought) -> tuple[Brought, list[Export], dict[str, Path]]:
    """Every route of the model's framework.

    Returns:
        The model with a reference, one record for each route, and the files that passed, by exporter.
    """
    kind, form = brought.model.kind, brought.model.location.form
    routes = (
        [GIVEN]
        if kind == "onnx"
        else [one.name for one in EXPORTERS.values() if one.framework == kind and form not in one.not_for]
    )
    records: list[Export] = []
    files: dict[str, Path] = {}
    for route in routes:
        record, artifact = _attempt(work, brought.model, route)
        records.append(record)
        if artifact is not None:
            files[route] = artifact.file(MODEL_FILE)
    brought = _with_reference(work, brought, files)
    checked = []
    for record in records:
        done = record
        if record.exporter in files:
            done = _checked(work, brought, record, files[record.exporter])
            if done.reason and look_for_deciders(work, brought, files):
                done = _checked(work, brought, record, files[record.exporter])
        work.narrator.exported(done)
        checked.append(done)
    passed = {record.exporter for record in checked if record.status == "ok"}
    return brought, checked, {route: file for route, file in files.items() if route in passed}


def _attempt(work: Work, model: UserModel, route: str) -> tuple[Export, Artifact | None]:
    """Export by one route, or find the file made earlier; a failure is a record with its reason."""
    inputs: dict[str, JsonValue] = {
        "fingerprint": model.fingerprint,
        "exporter": route,
        "opset": work.wanted.opset,
        "inputs": [one.model_dump(mode="json") for one in (*model.inputs, *model.outputs)],
        "batch": model.batch,
        "whole": model.whole,
        "without": list(model.without),
        "versions": dict(route_versions(route)),
    }
    key = artifact_key(KIND, inputs)

    def fill(folder: Path) -> dict[str, JsonValue]:
        make_environment(route, work.narrator.bar)
        request = RouteRequest(model=model, exporter=route, opset=work.wanted.opset, key=key, folder=folder)
        return {RECORD: _job(work, EXPORT, request, f"export-{route}", folder).model_dump(mode="json")}

    work.narrator.tell(f"exporting by {route}")
    try:
        found = work.store("onnx").kept(KIND, inputs, fill, name=route)
    except DiskError:
        raise  # the machine's failure, not this one's
    except AssayError as error:
        reason = str(error).replace(f"{work.folder}/", "")
        return asked_for(model, route, work.wanted.opset, reason=reason), None
    return found.record(Export, RECORD), found


def _with_reference(work: Work, brought: Brought, files: dict[str, Path]) -> Brought:
    """The model with outputs to compare with: its own in float64, an export's, or at last its own in fp32."""
    if brought.exact:
        return brought
    others = files if brought.model.kind != "onnx" else {}  # a file was computed in float64 when it was looked at
    for route, file in others.items():
        request = _on_records(brought, file, brought.folder / REFERENCE_FILE)
        work.narrator.tell(f"computing the export by {route} in float64")
        try:
            _job(work, DOUBLE, request, f"double-{route}", brought.folder)
        except DiskError:
            raise  # the machine's failure, not this one's
        except AssayError as error:
            work.narrator.note(f"the export by {route} in float64 is no reference: {error}")
        else:
            return replace(brought, what=f"the export by {route} in float64, by onnx's reference evaluator", exact=True)
    return _own_reference(brought)


def _on_records(brought: Brought, file: Path, out: Path) -> DoubleRequest:
    """What is computed of an export on the model's records, and where the answer goes."""
    folder = brought.folder
    return DoubleRequest(
        model=brought.model, file=file, records=folder / RECORDS_FILE, native=folder / NATIVE_FILE, out=out
    )


def look_for_deciders(work: Work, brought: Brought, files: Mapping[str, Path]) -> bool:
    """Whether some file shows, for the first time, what decides an output that is an index.

    Done where one differs, as it takes the file in float64 once more.
    """
    place = brought.folder / DECIDERS_FILE
    if not brought.has_whole_outputs or place.exists():
        return False
    for route, file in files.items():
        request = _on_records(brought, file, place)
        work.narrator.tell(f"looking in the export by {route} for what decides its indices")
        try:
            found = _job(work, DECIDERS, request, f"deciders-{route}", brought.folder).outputs
        except AssayError as error:
            work.narrator.note(f"the export by {route} does not show what decides its indices: {error}")
            continue
        if found:
            return True
    return False


def _own_reference(brought: Brought) -> Brought:
    """The model's own fp32 outputs in place of a reference that cannot be had."""
    content = io.BytesIO()
    np.save(content, brought.native.astype(np.float64))
    write_atomically(brought.folder / REFERENCE_FILE, content.getvalue())
    what = f"the model's own outputs in fp32, for want of float64: differences below {CEILING:.2g} of the largest pass"
    return replace(brought, what=what)


def _checked(work: Work, brought: Brought, record: Export, file: Path) -> Export:
    """The record with how the file agrees; one that does not has failed."""
    request = CheckExportRequest(
        model=brought.model,
        exporter=record.exporter,
        file=file,
        records=brought.folder / RECORDS_FILE,
        native=brought.folder / NATIVE_FILE,
        reference=brought.folder / REFERENCE_FILE,
        exact=brought.exact,
        deciders=brought.folder / DECIDERS_FILE,
    )
    work.narrator.tell(f"checking the export by {record.exporter}")
    try:
        judged = _job(work, CHECK, request, f"check-{record.exporter}")
    except FailedError as error:
        return record.model_copy(update={"status": "failed", "reason": str(error)})
    return judged.on(record)


def _limit(work: Work, do: str) -> float:
    """Seconds that a job may take in all: in proportion to the model, or what its steps add up to at most."""
    asked = work.wanted.call_limit or 0.0
    if do not in SHARES:
        return max(MOST_SECONDS, 10 * asked)
    return max(asked, allowed(do, work, size_of(work.wanted.location.path)))


def _job(work: Work, job: Job[Asked, Answered], request: Asked, name: str, *answers: Path) -> Answered:
    """A job that runs the user's code, in its box.

    Args:
        answers: folders that it writes.
    """
    log = work.folder / "logs" / f"{name}.log"
    return run_job(
        job,
        request,
        log,
        limit_seconds=Limit(_limit(work, job.name), DOING[job.name], LONGER),
        environment=CPU_ONLY | limits_told(work.wanted.call_limit),
        box=Box(answers, work.wanted.trusted, told=work.held.update),
        host=work.host,
    )
