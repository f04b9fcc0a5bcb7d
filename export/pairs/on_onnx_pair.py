"""Two ONNX files run on the same inputs, in a process of their own: `python -P -m assay.export.pairs.on_onnx_pair`.

The reference file gives the float64 outputs, and two correct runs in fp32 from which the tolerance is derived: by
onnx's reference evaluator, and by ONNX Runtime without optimisations. Then both files run in ONNX Runtime at every
optimisation level.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TypeVar

from onnx import ModelProto, ValueInfoProto

from assay.errors import InputError
from assay.export.checking.on_onnx_deciders import deciders_of
from assay.export.graph.inspect import read_model
from assay.export.graph.on_onnx_narrow import narrow_arithmetic
from assay.export.graph.on_onnx_random import check_repeats, nodes_of
from assay.export.graph.on_onnx_signature import dimensions_of, refuse_incomparable, type_of, without_outputs
from assay.export.graph.saved import save_model
from assay.export.localise.on_onnx_repro import localise_with_repros
from assay.export.localise.on_onnx_runners import NATIVE_LEVEL, called, run_and_tell, run_in
from assay.export.localise.on_onnx_runtimes import RuntimeOnFile, departures
from assay.export.localise.source import Array
from assay.export.pairs.on_onnx_pair_company import told_of_company
from assay.export.pairs.on_onnx_pair_drawn import call_at_the_edges, drawn_by_trying, made_how
from assay.export.pairs.pair_inputs import ROWS, OnnxValue, check_same, draw_inputs, narrowed, read_inputs
from assay.export.pairs.pair_jobs import (
    COMPANY,
    FOLLOW,
    HEAR,
    LOCALISE,
    RUN,
    Company,
    FilePair,
    Heard,
    PairAnswer,
    PairToAskItself,
    PairToFollow,
    PairToHear,
    PairToLocalise,
    PairToRun,
    RunsOfPair,
)
from assay.export.probing.drawn_ranges import Range
from assay.export.reference.memory import TooLargeError
from assay.export.reference.on_onnx_double import evaluate, without_initialisers
from assay.export.reference.on_onnx_exact import Exact, exact_of
from assay.files.named_arrays import read_named, save_named
from assay.jobs.serving import serve_job
from assay.numerics.rounding import rounding_of
from assay.numerics.ties.saved import save_deciders
from assay.records.localisation import Localised
from assay.steps import (
    EVALUATOR_SECONDS,
    EVALUATOR_SLOWER,
    MOST_SECONDS,
    SLOWER,
    LostStepError,
    call_seconds,
    in_proportion,
    size_of,
    step,
)

OnPair = TypeVar("OnPair", bound=FilePair)
Compute = Callable[[], tuple[dict[str, Array], str]]
"""Returns outputs by name, and the precision that the runtime says it computes in."""

EVALUATOR = "onnx reference evaluator"
EDGES = "edges"
MOST_TRIES = 20
"""About how many calls are made to find out which whole numbers an input takes."""


def run_pair(request: PairToRun) -> PairAnswer:
    """Run everything, and write `inputs.npz`, `reference.npz`, `deciders.npz` and an .npz of each run's outputs.

    Where inputs are drawn, those of a call at the edges are written into the folder `EDGES`.

    Raises:
        ArtifactError: a file cannot be read.
        InputError: the signatures differ, the inputs do not fit, a file is random, or there is no reference.
    """
    request = _without(request)
    reference, candidate, inputs = request.reference, request.candidate, request.inputs
    model = read_model(reference)
    values, candidate_in, operators = _beside(model, request)
    feeds = draw_inputs(values, request.dimensions) if inputs is None else read_inputs(inputs, values)
    slowest = 0.0
    for path in dict.fromkeys((reference, candidate)):
        slowest = max(slowest, _first_call(path, feeds))
        with step(f"The same call of {path.name} again", in_proportion(slowest, SLOWER, size_of(path))):
            check_repeats(path, feeds, path.name)

    def exactly(some: Mapping[str, Array]) -> Exact:
        with step("The reference in float64", _evaluated_within(slowest)):
            return exact_of(model, some, "the reference")

    def drawn(rows: int) -> tuple[dict[str, Array], Mapping[str, Range], Exact]:
        with step(f"Trying which numbers {reference.name} takes", in_proportion(slowest, MOST_TRIES * SLOWER)):
            feeds, ranges = drawn_by_trying(reference, model, values, request.dimensions, rows)
        try:
            return feeds, ranges, exactly(feeds)
        except TooLargeError:
            if rows == 1:
                raise
        return drawn(rows // 2)

    ranges: Mapping[str, Range] = {}
    if inputs is None:
        feeds, ranges, exact = drawn(ROWS)
    else:
        exact = exactly(feeds)
    files, out = PairRunner(reference, candidate, request.runtimes, model, slowest), request.out
    answer = _run_all(files, feeds, exact, out)
    save_deciders(deciders_of(model, feeds, rows=False, name="the reference"), out / "deciders.npz")
    edges = None
    if inputs is None:
        with step(f"A call of {reference.name} at the edges", MOST_SECONDS):
            rounding = rounding_of(narrow_arithmetic(model))
            edges = call_at_the_edges(reference, feeds, ranges, exactly, rounding)
    if edges is not None:
        (out / EDGES).mkdir(exist_ok=True)
    return PairAnswer(
        **dict(answer),
        runtimes={
            f"{role} in {called(runtime)}": runtime
            for role in ("reference", "candidate")
            for runtime in request.runtimes
        },
        edges=None if edges is None else _run_all(files, edges.feeds, edges.exact, out / EDGES),
        made="" if inputs else made_how(feeds, ranges, edges),
        reference_in=narrow_arithmetic(model) or "fp32",
        candidate_in=candidate_in,
        operators=operators,
    )


def _beside(model: ModelProto, request: PairToRun) -> tuple[list[OnnxValue], str, list[str]]:
    """Return the inputs that both files take, and the precision and operators of the candidate, which is read for this
    alone: memory holds one large file.

    Args:
        model: the reference.

    Raises:
        ArtifactError: the candidate cannot be read.
        InputError: the signatures differ, or a file has outputs that cannot be compared.
    """
    other = read_model(request.candidate)
    for path, one in ((request.reference, model), (request.candidate, other)):
        refuse_incomparable(one.graph.output, path.name)
    values, others = ([_value(value) for value in without_initialisers(one.graph)] for one in (model, other))
    check_same("input", values, others)
    check_same("output", *([_value(value) for value in one.graph.output] for one in (model, other)))
    operators = sorted({node.op_type for node in nodes_of(other)})
    return narrowed(values, others), narrow_arithmetic(other) or "fp32", operators


@dataclass(frozen=True)
class PairRunner:
    """Two files and the runtimes that run them.

    Attributes:
        model: the reference file.
        slowest: seconds of the slowest first call.
    """

    reference: Path
    candidate: Path
    runtimes: tuple[str, ...]
    model: ModelProto
    slowest: float


def _run_all(files: PairRunner, feeds: Mapping[str, Array], exact: Exact, out: Path) -> RunsOfPair:
    """Run everything on one call; see `run_pair`."""
    reference, candidate, slowest = files.reference, files.candidate, files.slowest
    save_named(out / "inputs.npz", feeds)
    save_named(out / "reference.npz", exact.outputs)
    names = [output.name for output in files.model.graph.output]
    natives: dict[str, str] = {}
    subjects: dict[str, str] = {}
    failed: dict[str, str] = {}
    told: dict[str, str] = {}
    runs: dict[str, Compute] = {EVALUATOR: partial(_evaluated, files.model, feeds)}
    native = f"reference in {called(NATIVE_LEVEL)}"
    runs[native] = partial(_outputs, NATIVE_LEVEL, reference, feeds, names)
    roles = {"reference": reference, "candidate": candidate} if reference != candidate else {"candidate": candidate}
    for role, path in roles.items():
        for runtime in files.runtimes:
            if (role, runtime) != ("reference", NATIVE_LEVEL):
                runs[f"{role} in {called(runtime)}"] = partial(_outputs, runtime, path, feeds, names)
    for number, (name, compute) in enumerate(runs.items()):
        limit = _evaluated_within(slowest) if name == EVALUATOR else in_proportion(slowest, SLOWER, size_of(candidate))
        try:
            with step(f"The {name}", limit, apart=True):
                found, told[name] = compute()
            save_named(out / f"{number}.npz", found)
            (natives if name in {EVALUATOR, native} else subjects)[name] = f"{number}.npz"
        except (InputError, LostStepError) as error:
            failed[name] = str(error)
    return RunsOfPair(
        by=exact.by,
        apart=exact.apart,
        note=exact.note,
        natives=natives,
        subjects=subjects,
        failed=failed,
        computed_in={name: precision for name, precision in told.items() if precision},
    )


def _first_call(path: Path, feeds: Mapping[str, Array]) -> float:
    """Return the seconds of a file's first call, which is given up if it does not end; other limits are in
    proportion.
    """
    begun = time.monotonic()
    with step(f"The first call of {path.name}", call_seconds(size_of(path))), contextlib.suppress(InputError):
        run_in(NATIVE_LEVEL, path, feeds)  # the comparison will find out why it does not run
    return time.monotonic() - begun


def _evaluated_within(slowest: float) -> float:
    """Return the seconds that an evaluator in Python may take where ONNX Runtime's slowest call took `slowest`."""
    return in_proportion(slowest, EVALUATOR_SLOWER, least=EVALUATOR_SECONDS)


def _evaluated(model: ModelProto, feeds: Mapping[str, Array]) -> tuple[dict[str, Array], str]:
    return evaluate(model, feeds, "the reference", [output.name for output in model.graph.output]), ""


def _outputs(
    runtime: str, path: Path, feeds: Mapping[str, Array], names: Sequence[str]
) -> tuple[dict[str, Array], str]:
    found, precision = run_and_tell(runtime, path, feeds)
    return {name: found[name] for name in names}, precision


def _value(value: ValueInfoProto) -> OnnxValue:
    """
    Raises:
        InputError: it is not a tensor of numbers.
    """
    return OnnxValue(value.name, type_of(value), dimensions_of(value))


def _without(request: OnPair) -> OnPair:
    """Return the request with files without the outputs to leave out, which are written beside the answers.

    Raises:
        InputError: a file has no such output.
    """
    if not request.without:
        return request
    kept: dict[Path, Path] = {}
    for role, path in (("reference", request.reference), ("candidate", request.candidate)):
        if path not in kept:  # one file may have both roles
            folder = request.out / role
            folder.mkdir(exist_ok=True)
            save_model(without_outputs(read_model(path), request.without, path.name), folder / path.name)
            kept[path] = folder / path.name
    return request.model_copy(update={"reference": kept[request.reference], "candidate": kept[request.candidate]})


def localise(request: PairToLocalise) -> Localised:
    """Find the nodes at which the candidate goes wrong."""
    request = _without(request)
    return Localised(found=localise_with_repros(request.reference, request.candidate, request.inputs, request.repro))


def company(request: PairToAskItself) -> Company:
    """Compare both files with themselves."""
    request = _without(request)
    feeds = read_named(request.inputs)
    return Company(said=told_of_company(request.reference, request.candidate, feeds, drawn=request.drawn))


def hear(request: PairToHear) -> Heard:
    """Run the candidate in other runtimes, as far as they run it."""
    request = _without(request)
    candidate, out = request.candidate, request.out
    feeds, found = read_named(request.inputs), {}
    names = [output.name for output in read_model(candidate).graph.output]
    for number, runtime in enumerate(request.runtimes):
        with contextlib.suppress(InputError, KeyError):  # it is not installed, or does not run the file
            save_named(out / f"heard-{number}.npz", _outputs(runtime, candidate, feeds, names)[0])
            found[runtime] = f"heard-{number}.npz"
    return Heard(files=found)


def follow(request: PairToFollow) -> Localised:
    """Find the operator of each wrong runtime that is the first to depart from float64, where another runtime is
    right.
    """
    request = _without(request)
    candidate, feeds = request.candidate, read_named(request.inputs)
    right = RuntimeOnFile(request.right, candidate)
    found = []
    for wrong in request.wrong:
        found += departures(RuntimeOnFile(wrong, candidate), right, feeds, request.out)
    return Localised(found=found)


if __name__ == "__main__":
    serve_job(
        RUN.done_by(run_pair),
        LOCALISE.done_by(localise),
        FOLLOW.done_by(follow),
        HEAR.done_by(hear),
        COMPANY.done_by(company),
    )
