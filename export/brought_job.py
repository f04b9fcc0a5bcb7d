"""One export of a user's model, and its check: `python -P -m assay.export.brought_job`, a process of its own.

Four jobs: "export" writes `model.onnx` and `inspection.json`, "check" compares a file with the float64 outputs,
"double" computes a file in float64, "deciders" what decides its indices. Export and check are apart because the
reference may itself come from an export, where a framework gives none of its own.
"""

from __future__ import annotations

import os
import time
import traceback
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, cast

import numpy as np

from assay import __version__
from assay.errors import AssayError, ExportFailedError
from assay.export.checking.check import level_names, session_at
from assay.export.checking.edges import Edges, compare_edges, not_run, read_edges
from assay.export.checking.evidence import others_on
from assay.export.checking.lacking import lacks_operator
from assay.export.checking.levels import Levels, Sentence, judged_at_levels, sentence_on
from assay.export.checking.second_shape import second_shape
from assay.export.finish import BATCH, finish
from assay.export.graph.inspect import one_line, read_model
from assay.export.graph.saved import save_model
from assay.export.probing.probe import MOST_EVALUATED, check_reference, computed_exactly, with_own_whole_numbers
from assay.export.probing.undecided import doubt_of, furthest_from, undecided
from assay.export.record import MODEL_FILE, guilt_fields, recorded
from assay.export.reference.memory import Batches
from assay.export.routes.request import BroughtRequest, ExportOutcome, plain_names
from assay.export.routes.size_limit import beyond_the_limit
from assay.files.arrays import load_array
from assay.jobs.files import Written
from assay.jobs.job import Job, Nothing
from assay.jobs.serving import serve_job
from assay.numerics.guilt import Guilt
from assay.numerics.ties import read_deciders
from assay.numerics.values import is_whole
from assay.records.base import Record
from assay.records.results import Agreement, Export
from assay.registry import EXPORTERS
from assay.steps import MOST_SECONDS, call_seconds, step
from assay.train.brought.agreement import Judge, parts_of
from assay.train.brought.arrays import inputs_of, repeated, rows_of
from assay.train.brought.model import UserModel

if TYPE_CHECKING:
    import onnx
    import onnxruntime

GIVEN = "given"
"""The exporter's name of an ONNX file that the user brings: it is looked at and checked as an export is."""
CHECKED_BATCHES = (1, 3, 32)


class RouteRequest(Record):
    """What to export; the answer is an `Export` without its agreement."""

    model: UserModel
    exporter: str
    opset: int
    key: str
    folder: Written


class CheckExportRequest(Record):
    """What to compare; `deciders` need not exist."""

    model: UserModel
    exporter: str
    file: Path
    records: Path
    native: Path
    reference: Path
    exact: bool
    deciders: Path


class Judged(Record):
    """How a file agrees, why it may not be used, "" where it may, and who is wrong."""

    agreement: list[Agreement]
    reason: str
    file_is_right: bool
    undecided: bool
    wrong_in: list[str]
    right_in: str


class DoubleRequest(Record):
    """Which file to compute in float64; the outputs are written to `out`."""

    model: UserModel
    file: Path
    records: Path
    native: Path
    out: Written


class Decided(Record):
    """The names of the outputs that are indices and of which it is known what decides them."""

    outputs: list[str]


EXPORT = Job("assay.export.brought_job", "export", RouteRequest, Export)
CHECK = Job("assay.export.brought_job", "check", CheckExportRequest, Judged)
DOUBLE = Job("assay.export.brought_job", "double", DoubleRequest, Nothing)
DECIDERS = Job("assay.export.brought_job", "deciders", DoubleRequest, Decided)


def export(request: RouteRequest) -> Export:
    """
    Raises:
        ExportFailedError: the route gave no ONNX file.
        AssayError: the user's file fails, or something is missing.
    """
    path = request.folder / MODEL_FILE
    with step(f"The export by {request.exporter}", MOST_SECONDS):  # or what is left of the job's own limit
        outcome, seconds = _exported(request, path)
    notes: tuple[str, ...] = ()
    if request.exporter != GIVEN:
        try:
            _, notes = finish(path, request.opset, _metadata(request, outcome))
        except AssayError as error:
            raise ExportFailedError(f"The exporter {request.exporter} wrote no ONNX file", found=str(error)) from error
        rename(path, request.model)
    asked = Export(
        architecture=request.model.location.name,
        size=request.model.image_size,
        exporter=request.exporter,
        status="failed",
        key=request.key,
        weights=request.model.fingerprint,
        opset_asked=request.opset,
        seconds=0,
    )
    made_by = {**outcome.versions, "transforms": "; ".join((*outcome.transforms, *notes))}
    record = recorded(asked, request.folder, seconds, made_by)
    if request.exporter == GIVEN:  # nobody asked for another
        record = record.model_copy(update={"opset_asked": record.opset})
    return record


def _exported(request: RouteRequest, path: Path) -> tuple[ExportOutcome, float]:
    """Run the route; whatever it raises becomes one of our errors. A file that was given is only copied."""
    if request.exporter == GIVEN:
        from assay.export.graph.on_onnx_signature import without_outputs  # noqa: PLC0415

        given = read_model(request.model.location.path)
        save_model(without_outputs(given, request.model.without, str(request.model.location)), path)
        return ExportOutcome("", (), {}), 0.0
    route = cast("Callable[[BroughtRequest], ExportOutcome]", EXPORTERS[request.exporter].load_brought())
    begun = time.perf_counter()
    try:
        outcome = route(BroughtRequest(request.model, path, request.opset))
    except AssayError as error:
        raise beyond_the_limit(request.exporter, str(error)) or error from error.__cause__
    except Exception as error:
        traceback.print_exc()
        if too_large := beyond_the_limit(request.exporter, f"{type(error).__name__}: {one_line(error)}"):
            raise too_large from error
        raise ExportFailedError(
            f"The exporter {request.exporter} failed", found=f"{type(error).__name__}: {one_line(error)}"
        ) from error
    if not path.is_file():
        raise ExportFailedError(f"The exporter {request.exporter} wrote no file")
    return outcome, time.perf_counter() - begun


def _metadata(request: RouteRequest, outcome: ExportOutcome) -> dict[str, str]:
    """What the file says of itself, for whoever finds it without its record."""
    return {
        "assay.version": __version__,
        "assay.exporter": request.exporter,
        "assay.framework": request.model.kind,
        "assay.versions": ", ".join(f"{name} {version}" for name, version in outcome.versions.items()),
        "assay.model": request.model.location.name,
        "assay.fingerprint": request.model.fingerprint,
        "assay.transforms": "; ".join(outcome.transforms),
    }


def rename(path: Path, model: UserModel) -> None:
    """Give the inputs and outputs of a file the names of the model's; an input that a route dropped because the model
    does not use it is one of the file again, as it is one of the model.

    Values that go by the names of the route's request are known by them, others by their places. A value inside of the
    graph that has one of the model's names already gets another.

    Raises:
        ExportFailedError: it has another number of them.
    """

    proto = read_model(path)
    graph = proto.graph
    fixed = {tensor.name for tensor in graph.initializer}
    dropped = _add_dropped(graph, fixed, model)
    pairs: dict[str, str] = {}
    for kind, values, tensors in (
        ("input", [value for value in graph.input if value.name not in fixed], model.inputs),
        ("output", list(graph.output), model.outputs),
    ):
        found, wanted = [value.name for value in values], [one.name for one in tensors]
        if len(found) != len(wanted):
            raise ExportFailedError(
                f"The file has other {kind}s than the model", expected=", ".join(wanted), found=", ".join(found)
            )
        plain = plain_names(kind, len(wanted))
        if set(found) != set(wanted):
            pairs |= dict(zip(plain if set(found) == set(plain) else found, wanted, strict=True))
    if pairs:
        taken = set(pairs.values()) - pairs.keys()
        _rename_values(graph, {name: f"{name}_inside" for name in taken} | pairs)
    if _take_whole_numbers(graph, model) or pairs or dropped:
        save_model(proto, path)


def _take_whole_numbers(graph: onnx.GraphProto, model: UserModel) -> bool:
    """Whether inputs had to be made what the model takes: JAX without 64-bit types takes int64 and computes in int32,
    and its file would take int32 alone.
    """
    import onnx  # noqa: PLC0415

    casts, values = [], {value.name: value for value in graph.input}
    for one in model.inputs:
        value, wanted = values[one.name], onnx.helper.np_dtype_to_tensor_dtype(np.dtype(one.dtype))
        written = value.type.tensor_type.elem_type
        if written == wanted or not is_whole(one.dtype):
            continue
        if not is_whole(onnx.helper.tensor_dtype_to_np_dtype(written)):
            continue
        inside, outside = f"{value.name}_as_computed", value.name
        _rename_values(graph, {outside: inside})
        value.name, value.type.tensor_type.elem_type = outside, wanted
        casts.append(onnx.helper.make_node("Cast", [outside], [inside], to=written))
    nodes = list(graph.node)
    if casts:
        del graph.node[:]
        graph.node.extend([*casts, *nodes])
    return bool(casts)


def _add_dropped(graph: onnx.GraphProto, fixed: set[str], model: UserModel) -> bool:
    """Whether inputs had to be added, in their places; only a file whose inputs are known by the route's names."""
    import onnx  # noqa: PLC0415

    plain = plain_names("input", len(model.inputs))
    found = {value.name: value for value in graph.input if value.name not in fixed}
    if not set(found) < set(plain):
        return False
    values = [value for value in graph.input if value.name in fixed]
    for name, one in zip(plain, model.inputs, strict=True):
        kind = onnx.helper.np_dtype_to_tensor_dtype(np.dtype(one.dtype))
        shape = [BATCH if size is None else size for size in model.open_shape_of(one)]
        values.append(found.get(name) or onnx.helper.make_tensor_value_info(name, kind, shape))
    del graph.input[:]
    graph.input.extend(values)
    return True


def _rename_values(graph: onnx.GraphProto, pairs: dict[str, str]) -> None:
    for value in (*graph.input, *graph.output, *graph.value_info, *graph.initializer):
        value.name = pairs.get(value.name, value.name)
    for node in graph.node:
        for names in (node.input, node.output):
            for place, name in enumerate(names):
                names[place] = pairs.get(name, name)
        for attribute in node.attribute:
            for inner in (attribute.g, *attribute.graphs):
                _rename_values(inner, pairs)


def check(request: CheckExportRequest) -> Judged:
    """Compare a file at every optimisation level, for a few batch sizes, with the float64 outputs.

    Raises:
        ExportFailedError: ONNX Runtime does not load or run it at any level, or its inputs are not the model's.
    """
    model = request.model
    records, native, reference = (load_array(path) for path in (request.records, request.native, request.reference))
    natives: dict[str, np.ndarray] = {model.kind: native[: len(reference)]}
    judge = Judge(model, reference, natives, request.exact, read_deciders(request.deciders))
    records, edges = records[: len(reference)], read_edges(request.records.parent)

    calls, second = Batches(_batches(model, len(reference))), second_shape(request.file, model, records)

    furthest: list[float] = []

    def judge_at(level: str) -> list[Agreement]:
        session, name = session_at(request.file, level, request.exporter), f"{request.exporter} at level {level}"
        found = []
        for batch in calls.that_fit():
            rows = _rows(session, model, records, batch, f"{name}, batch {batch}")
            furthest.append(furthest_from(model, native[: len(rows)], rows))
            found.append(judge.compare(f"{name}, batch {batch}", rows, np.arange(len(rows))))
        found += second.judged(session, name)
        most = calls.largest
        return found if edges is None else [*found, _at_the_edges(session, model, edges, reference, (name, most))]

    try:
        levels = judged_at_levels(level_names(), judge_at)
    except ExportFailedError as error:
        return _heard_of_others(request.file, error, records, judge)
    found = sentence_on(levels, lambda: others_on(request.file, levels, records, judge, edges))
    doubt = 0.0 if request.exact else doubt_of(request.records.parent)
    if found.reason and (why := undecided(max(furthest, default=0.0), doubt, _narrow(request.file))):
        found = Sentence(why, Guilt("undecided", why))
    return Judged.model_validate({"agreement": levels.agreements, "reason": found.reason, **guilt_fields(found.guilt)})


def _heard_of_others(file: Path, error: ExportFailedError, records: np.ndarray, judge: Judge) -> Judged:
    """What a check answers of a file that ONNX Runtime lacks an operator for: others may run it, and be right.

    Raises:
        ExportFailedError: the error, where ONNX Runtime does not run it for another reason, or nobody else tells.
    """
    if not lacks_operator(str(error)):
        raise error
    levels = Levels({}, dict.fromkeys(level_names(), error))
    found = sentence_on(levels, lambda: others_on(file, levels, records, judge))
    if found.guilt.file == "undecided":
        raise error
    return Judged.model_validate({"agreement": [], "reason": found.reason, **guilt_fields(found.guilt)})


def _narrow(file: Path) -> str:
    from assay.export.graph.on_onnx_narrow import narrow_arithmetic  # noqa: PLC0415

    return narrow_arithmetic(read_model(file))


def _at_the_edges(
    session: onnxruntime.InferenceSession,
    model: UserModel,
    edges: Edges,
    ordinary: np.ndarray,
    asked: tuple[str, int],
) -> Agreement:
    """
    Args:
        asked: what is compared, and the most rows of a call.
    """
    subject, most = asked
    batch = min(_batches(model, len(edges))[-1], most)
    try:
        rows = _rows(session, model, edges.records, batch, subject)
    except ExportFailedError as error:
        return not_run(subject, edges, error.found or str(error))
    return compare_edges(model, subject, edges, rows, ordinary)


def _batches(model: UserModel, rows: int) -> tuple[int, ...]:
    if model.whole:
        return (1,)
    return (model.batch,) if model.batch else tuple(dict.fromkeys(min(batch, rows) for batch in CHECKED_BATCHES))


def _rows(
    session: onnxruntime.InferenceSession, model: UserModel, records: np.ndarray, batch: int, subject: str
) -> np.ndarray:
    """The outputs of all records, in as many calls of `batch` as it takes; they repeat where they do not fill one."""
    names = [one.name for one in model.inputs]
    found = []
    for start in range(0, len(records), batch):
        part = records[start : start + batch]
        try:
            feeds = dict(zip(names, inputs_of(model, repeated(part, batch)), strict=True))
            with step(f"A call of the export by {subject},", call_seconds()):
                outputs = session.run([one.name for one in model.outputs], feeds)
        except Exception as error:  # its exceptions have no common base
            raise ExportFailedError(f"{subject} does not run", found=one_line(error)) from error
        found.append(rows_of(model, [np.asarray(one) for one in outputs])[: len(part)])
    return np.concatenate(found)


def double(request: DoubleRequest) -> Nothing:
    """Compute an export in float64 by onnx's reference evaluator, on the first few records.

    Raises:
        InputError: it cannot be had, or is not what the model itself computes.
    """
    from assay.export.probing.on_onnx import double as compute_double  # noqa: PLC0415

    model = request.model
    records, native = load_array(request.records), load_array(request.native)
    count = min(len(records), max(MOST_EVALUATED // (model.batch or 1), 1) * (model.batch or 1))
    compute = compute_double(read_model(request.file), request.file.name)
    exact = computed_exactly(model, lambda inputs: _in_order(model, compute(inputs)), records[:count])
    check_reference(model, exact, native, by_columns=True)
    np.save(request.out, with_own_whole_numbers(model, exact, native))
    return Nothing()


def deciders(request: DoubleRequest) -> Decided:
    """What decides the outputs that are indices, by an export whose choice is the model's own.

    Raises:
        InputError: onnx's reference evaluator cannot run the file.
    """
    from assay.export.checking.on_onnx_deciders import deciders_of, joined, save_deciders  # noqa: PLC0415
    from assay.export.reference.on_onnx_double import without_initialisers  # noqa: PLC0415

    model, proto = request.model, read_model(request.file)
    records, native = load_array(request.records), load_array(request.native)
    count = min(len(records), len(native), MOST_EVALUATED if model.whole else len(native))
    step = 1 if model.whole else model.batch or count
    calls = []
    for start in range(0, count - count % step, step):
        inputs = inputs_of(model, records[start : start + step])
        feeds = dict(zip((value.name for value in without_initialisers(proto.graph)), inputs, strict=True))
        calls.append(deciders_of(proto, feeds, rows=not model.whole, name=request.file.name))
    parts = dict(parts_of(model))
    found = {
        name: joined([one[name] for one in calls]) for name in parts if calls and all(name in one for one in calls)
    }
    sound = {name: one for name, one in found.items() if one.decides(native[: len(one.values), parts[name]])}
    save_deciders(sound, request.out)
    return Decided(outputs=list(sound))


def _in_order(model: UserModel, outputs: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    return {one.name: outputs[one.name] for one in model.outputs}


if __name__ == "__main__":
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    serve_job(EXPORT.done_by(export), CHECK.done_by(check), DOUBLE.done_by(double), DECIDERS.done_by(deciders))
