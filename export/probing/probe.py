"""The properties of a user's model, found by loading and running it in a process of its own.

The probe finds the framework and the inputs, draws records, checks whether the same input gets the same answer and
whether the rows of a batch depend on each other, and runs the model in its own precision and, where possible, in
float64.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from assay.errors import AssayError, InputError
from assay.export.checking.edges import Edges, made_how, sound_edges, tried_edges
from assay.export.probing.calls import MOST_ROWS, as_many_as_given, company_matters, computed
from assay.export.probing.drawn_ranges import Range, Taken, first_taken, ranges_of, told_of_ranges
from assay.export.probing.exact import MOST_EVALUATED, check_reference, computed_exactly, with_own_whole_numbers
from assay.export.probing.fingerprints import fingerprint_of
from assay.export.probing.given import given_inputs
from assay.export.probing.inputs import (
    Form,
    form_of,
    masks_of,
    of_one_row,
    records_of,
    said_ranges,
    with_open_sizes,
    with_texts,
)
from assay.export.probing.loading import load
from assay.export.probing.original import cost_against
from assay.export.probing.outputs import (
    Learned,
    beside,
    refuse_incomparable,
    refuse_without_numbers,
    steady_sizes,
    told_of,
    varying_shapes,
    with_lines,
)
from assay.export.probing.shapes import declared_inputs, open_places
from assay.export.probing.steadiness import SteadinessCheck
from assay.export.probing.undecided import (
    CalledModel,
    UnsoundError,
    keep_doubt,
    refusal_of_rows,
    refusal_of_shapes,
    told_of_company,
)
from assay.export.reference.memory import Appetite, in_float64
from assay.files.disk import disk_error_in
from assay.jobs.files import Written
from assay.jobs.job import Job
from assay.jobs.serving import serve_job
from assay.numerics.precisions import is_quantised
from assay.numerics.values import is_whole
from assay.records.base import Record
from assay.records.results import Agreement
from assay.train.brought.arrays import Records, inputs_of, repeated
from assay.train.brought.loaders.loaded import Compute, LoadedModel
from assay.train.brought.model import NARROW, Declared, Kind, Location, Tensor, UserModel
from assay.train.brought.outputs import IncomparableError
from assay.train.brought.varying import in_order
from assay.train.brought.watched import slowest_call

Array = NDArray[np.generic]

RECORDS_FILE, NATIVE_FILE, REFERENCE_FILE = "records.npy", "native.npy", "reference.npy"
DESCRIPTION_FILE = "model.json"
"""The `UserModel`, for later readers of these files; it does not name their folder on this machine."""
LOCATION_FILE = "location.txt"
"""Where the model lies on this machine, for what is made of it later; no record and no report has that."""
TRIED_ROWS = 5
"""The rows of the first call where any number is possible: 5 is seldom the size of anything else, as 2 and 3 are."""
REFERENCES: dict[Kind, str] = {
    "torch": "the PyTorch model in float64",
    "tf": "TensorFlow's graph of the model in float64",
    "jax": "the JAX function in float64",
    "onnx": "the file in float64",
}

WHOLE_REFERENCE = "the model's own outputs, which are integers without rounding error"


class ProbeRequest(Record):
    """A model, and what its user says about it.

    Attributes:
        shapes: inputs given by --shape, in the model's order.
        dimensions: sizes of dynamic dimensions by name.
        inputs: file or folder of inputs (`assay.export.probing.given`); None draws them.
        batches: numbers of rows in the calls that will be timed.
        without: outputs to leave out.
        original: the model in full precision that this one was made from; None where none was given.
        ranges: least and largest number to draw, by input, where the user says so; both are whole for whole numbers.
        varied: least and largest size of the dimensions whose sizes vary, by name; `dimensions` has one of each.
        folder: folder for `DESCRIPTION_FILE`, `RECORDS_FILE`, `NATIVE_FILE` and `REFERENCE_FILE` where there is a
            reference.
    """

    location: Location
    folder: Written
    shapes: tuple[Declared, ...] = ()
    dimensions: dict[str, int] = Field(default_factory=dict)
    inputs: Path | None = None
    batches: tuple[int, ...] = (1,)
    without: tuple[str, ...] = ()
    original: Location | None = None
    ranges: dict[str, tuple[float, float]] = Field(default_factory=dict)
    varied: dict[str, tuple[int, int]] = Field(default_factory=dict)


class Probed(Record):
    """The findings of a probe.

    Attributes:
        reference: the program that computed the float64 outputs, or "" where none did; `reason` says why.
        made: how the records were drawn and what they do not cover; "" where they were given.
        cost: the model's outputs against its original's, one comparison for each; empty where none was given.
        ran_by: the program that ran the file in its own precision, where its usual runtime has no kernels for it.
        call_seconds: time of the slowest call of the model in its own precision.
        load_seconds: time to import its framework and make or read the model.
        kernels: the operators of its framework that computed in a call, where the framework shows them.
        told: sentences on outputs that cannot be compared, or only in another form.
    """

    model: UserModel
    reference: str
    reason: str = ""
    made: str = ""
    cost: list[Agreement] = Field(default_factory=list)
    ran_by: str = ""
    call_seconds: float = 0.0
    load_seconds: float = 0.0
    kernels: tuple[str, ...] = ()
    told: list[str] = Field(default_factory=list)


PROBE = Job("assay.export.probing.probe", "probe", ProbeRequest, Probed)


def probe(request: ProbeRequest) -> Probed:
    """
    Raises:
        InputError: the model does not load or run, or its inputs are unknown.
        NotInstalledError: its framework, or something that its file imports, is missing.
    """
    begun = time.monotonic()
    location, loaded = load(request.location)
    loading = time.monotonic() - begun
    arrays = given_inputs(request.inputs, loaded, request.shapes) if request.inputs else {}
    sizes = {**(loaded.made.sizes if loaded.made and not arrays else {}), **request.dimensions}
    usual = loaded.usual(request.shapes, arrays)
    declared = declared_inputs(usual, request.shapes, sizes, arrays)
    given = arrays
    arrays = {one.name: arrays[one.name] for one in declared} if arrays else {}
    declared, texts = with_texts(declared, loaded.words, arrays)
    names, narrow = [one.name for one in declared], [one.name for one in declared if one.dtype == NARROW]

    def ready(fresh: LoadedModel) -> LoadedModel:
        bound = fresh.bound(names, (*request.without, *outputs.left_out), narrow)
        return replace(bound, native=steady_sizes(bound.native, location, outputs.varying))

    said = {**masks_of(loaded.made, names), **said_ranges(declared, request.ranges), **texts}
    outputs = Learned()
    while True:
        try:
            loaded = ready(loaded)
            asked = CalledModel(loaded, lambda: ready(load(location)[1]), said, outputs.varying)
            seen = _run(location, declared, arrays, request.batches, asked)
            refuse_without_numbers(seen.model, seen.with_reference, asked.loaded.native, seen.records)
            break
        except IncomparableError as error:
            outputs = outputs.after(error)
            loaded = load(location)[1]
    records, native = seen.records, seen.rows
    left_out = (*request.without, *outputs.left_out)
    model = seen.model.model_copy(update={"without": left_out, "weights": loaded.weights, "written": loaded.written()})
    places = open_places(usual, request.shapes, given, list(request.varied), model) if request.varied else {}
    model = model.model_copy(update={"inputs": with_open_sizes(model.inputs, places, request.varied)})
    edges = (
        None
        if arrays or outputs.varying or is_quantised(model.arithmetic)  # at the edges the ranges of integers end
        else tried_edges(model, records, seen.ranges, loaded.native, seen.at_once)  # float64 may change it
    )
    chosen = records[: len(seen.with_reference)]
    np.save(request.folder / RECORDS_FILE, records)
    np.save(request.folder / NATIVE_FILE, native)
    try:
        double = None if _is_whole_throughout(model) and model.kind != "jax" else loaded.double()
        reference = _reference(model, double, chosen, native, request.folder / REFERENCE_FILE, seen.at_once)
        reference += f", by {loaded.double_by()}" if loaded.double_by() else ""
        reason, edges = "", edges and _sound(model, edges, double, seen)
    except AssayError as error:
        if disk_error_in(error):
            raise
        reference, reason, edges = "", str(error), None
        if isinstance(error, UnsoundError):
            keep_doubt(request.folder, error)
    if edges is not None and len(edges):
        edges.save(request.folder)
    model = model.model_copy(update={"fingerprint": fingerprint_of(location, native)})
    _describe(model, request.folder / DESCRIPTION_FILE)
    return Probed(
        model=model,
        reference=reference,
        reason=reason,
        made="" if arrays else made_how(model, seen.ranges, edges),
        call_seconds=slowest_call(),  # before the original is called
        cost=cost_against(request.original, model, records, native) if request.original else [],
        ran_by=loaded.by(),
        load_seconds=loading,
        kernels=loaded.kernels(),
        told=[*loaded.told, *told_of_ranges(seen.ranges, said), *seen.told, *told_of(model, outputs.left_out, native)],
    )


def _is_whole_throughout(model: UserModel) -> bool:
    return model.kind != "onnx" and all(is_whole(one.dtype) for one in model.outputs)


def _sound(model: UserModel, edges: Edges, double: Compute | None, seen: _Seen) -> Edges | None:
    """Return the edges that the model itself computes to rounding; None where float64 is not possible there."""
    exactly = partial(computed_exactly, model, double, rows=in_float64(seen.at_once)) if double else None
    try:
        return sound_edges(model, edges, exactly, seen.rows)
    except AssayError:
        return edges if _is_whole_throughout(model) else None


def _reference(
    model: UserModel, double: Compute | None, records: Records, native: Array, path: Path, at_once: int
) -> str:
    """Write the reference for the outputs, and return its description.

    Raises:
        AssayError: there is no float64, or it cannot be a reference.
    """
    if double is None or _is_whole_throughout(model):
        np.save(path, native[: len(records)])
        return WHOLE_REFERENCE
    exact = computed_exactly(model, double, records, in_float64(at_once))
    exact = in_order(native[: len(records)], exact, model.outputs)
    check_reference(model, exact, native)
    np.save(path, exact if model.kind == "onnx" else with_own_whole_numbers(model, exact, native))
    return REFERENCES[model.kind]


def _describe(model: UserModel, path: Path) -> None:
    here = model.location.model_copy(update={"path": Path(model.location.path.name)})
    path.write_text(model.model_copy(update={"location": here}).model_dump_json(indent=1), encoding="utf-8")


@dataclass(frozen=True)
class _Seen:
    """A model with its outputs, its records and the ranges of whole numbers among them, its own outputs on the compared
    records, and how many rows of a call memory can hold. `told` has sentences on it.
    """

    model: UserModel
    records: Records
    ranges: Mapping[str, Range]
    rows: Array
    at_once: int = MOST_ROWS
    told: Sequence[str] = ()

    @property
    def with_reference(self) -> Array:
        """The outputs that get a reference in float64."""
        return self.rows[:MOST_EVALUATED] if self.model.kind == "onnx" else self.rows


def _run(
    location: Location,
    declared: Sequence[Declared],
    arrays: dict[str, Array],
    batches: Sequence[int],
    asked: CalledModel,
) -> _Seen:
    """Run a model and return what was seen.

    Where inputs without a batch were given together with one that may have it, they are taken as rows if the model
    accepts that, and else as one call.
    """
    if not arrays or not any(one.shared for one in form_of(declared).inputs):
        return _run_as_declared(location, declared, arrays, batches, asked)
    try:
        return _run_as_declared(location, declared, arrays, batches, asked)
    except IncomparableError:
        raise
    except InputError:
        given = [one.model_copy(update={"shape": arrays[one.name].shape}) for one in declared]
        return _run_as_declared(location, given, arrays, batches, asked)


def _run_as_declared(
    location: Location,
    declared: Sequence[Declared],
    arrays: dict[str, Array],
    batches: Sequence[int],
    asked: CalledModel,
) -> _Seen:
    """Do the same with the form that the inputs declare.

    A model of a fixed size whose rows depend on each other is run in whole calls; one that takes any number of
    rows must treat them one by one.
    """
    if asked.varying:  # nothing says which of their entries belong to which row
        declared = of_one_row(declared)
    form, called, appetite = form_of(declared, whole=bool(asked.varying)), asked.loaded, Appetite()
    native = called.native
    steady = SteadinessCheck(location, native, lambda: asked.again().native, called.random, called.layers_in_training)
    told: Sequence[str] = ()
    model, records, ranges = _described(form, arrays, batches, asked, steady)
    if model is not None:
        at_once = appetite.rows(TRIED_ROWS, MOST_ROWS) if model.batch is None else MOST_ROWS
        begun = time.perf_counter()
        rows = computed(model, native, records[:MOST_ROWS], at_once)
        seconds = time.perf_counter() - begun
        apart = company_matters(model, native, records[:MOST_ROWS], rows, at_once)
        if not apart:
            further = records[MOST_ROWS : as_many_as_given(len(records), seconds)] if arrays else records[:0]
            if len(further):
                rows = np.concatenate([rows, computed(model, native, further, at_once)])
            return _Seen(model, records, ranges, rows, at_once)
        steady.check_often(inputs_of(model, repeated(records[:MOST_ROWS], model.batch or MOST_ROWS)))
        if model.batch is None:
            raise refusal_of_rows(model, form.opened, asked, records[:MOST_ROWS], apart, drawn=not arrays)
        told = told_of_company(model, asked, records)
    form = form_of(declared, whole=True)
    model, records, ranges = _described(form, arrays, batches, asked, steady)
    assert model is not None, "a whole call has a row for itself"
    return _Seen(model, records, ranges, computed(model, native, records[:MOST_ROWS]), told=told)


def _described(
    form: Form, arrays: dict[str, Array], batches: Sequence[int], asked: CalledModel, steady: SteadinessCheck
) -> tuple[UserModel | None, Records, Mapping[str, Range]]:
    """Return the model with the outputs of one call, which is made twice; None where they have no row for each
    record of a fixed batch.

    Raises:
        InputError: they have none where the batch may be any.
    """
    records = records_of(form, arrays, max(batches), asked.said)
    location, kind = steady.location, steady.location.kind
    assert kind, "it is known of what has been loaded"
    model = UserModel(location=location, kind=kind, inputs=form.inputs, outputs=(), whole=form.whole, batch=form.batch)
    count = 1 if form.whole else form.batch or TRIED_ROWS
    names = [one.name for one in form.inputs]

    def attempt(inputs: Mapping[str, Array]) -> dict[str, Array]:
        return steady.native([inputs[name] for name in names])

    def steadily(inputs: Mapping[str, Array]) -> dict[str, Array]:
        return {name: value for name, value in attempt(inputs).items() if name not in asked.varying}

    given = dict(zip(names, inputs_of(model, repeated(records, count)), strict=True))
    first = Taken(given, attempt(given), (0, 0), 0.0) if arrays else first_taken(given, attempt, asked.said)
    inputs, outputs = list(first.inputs.values()), first.outputs
    refuse_incomparable(outputs, location, asked.varying)
    steady.check(inputs, outputs, is_first_call=True)
    without_rows = {name: value.shape for name, value in outputs.items() if value.shape[:1] != (count,)}
    if not form.whole and without_rows:
        steady.native(inputs_of(model, repeated(records[::-1], count)))  # reports sizes that depend on the values
        if form.batch is None:
            raise refusal_of_shapes(location, form.opened, without_rows, outputs, count)
        return None, records, {}
    first = replace(first, outputs={name: value for name, value in outputs.items() if name not in asked.varying})
    ranges = {} if arrays else ranges_of(first, steadily, asked.loaded.places(names, inputs), asked.said)
    if ranges:
        records = records_of(form, arrays, max(batches), ranges)
    taken = set() if kind == "onnx" else {one.name for one in form.inputs}
    called = records if asked.varying else records[:0]
    calls = [steady.native(inputs_of(model, called[at : at + 1])) for at in range(len(called))]
    found = []
    for name, value in outputs.items():
        shape, varying = value.shape[0 if form.whole else 1 :], tuple[int, ...]()
        if name in asked.varying:
            shape, varying = varying_shapes(name, [one[name].shape for one in calls], list(outputs), location)
        found.append(Tensor(name=beside(name, taken), dtype=value.dtype.name, shape=shape, varying=varying))
    arithmetic = asked.loaded.narrow(names, inputs) or model.arithmetic
    lines = asked.loaded.in_lines()
    found = [with_lines(one, lines.get(name), whole=form.whole) for one, name in zip(found, outputs, strict=True)]
    return model.model_copy(update={"outputs": tuple(found), "arithmetic": arithmetic}), records, ranges


if __name__ == "__main__":
    serve_job(PROBE.done_by(probe))
