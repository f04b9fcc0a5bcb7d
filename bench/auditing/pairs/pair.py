"""The audit of two ONNX files, wherever they come from, that are said to be the same model."""

from __future__ import annotations

import shlex
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from assay.bench.auditing.by_output import RunOfOutputs, judged_by_output
from assay.bench.auditing.kept import Identity
from assay.bench.auditing.localise import RUNNERS
from assay.bench.auditing.outputs import AT_THE_EDGES, as_rows, audited_tolerance, tensor_of
from assay.bench.auditing.pairs.guilt import DisagreeingCandidate, explained
from assay.bench.auditing.record import ComparedOutputs, Explained, audit_of, audit_of_model
from assay.bench.machine.host import LOCAL, Host
from assay.boxed.boxing import Box
from assay.errors import AssayError, InputError
from assay.export.pairs.pair_jobs import (
    COMPANY,
    FOLLOW,
    HEAR,
    LOCALISE,
    RUN,
    PairAnswer,
    PairOnInputs,
    PairToLocalise,
    PairToRun,
    RunsOfPair,
)
from assay.files.named_arrays import read_named
from assay.jobs.job import Answered, Asked, Job
from assay.jobs.running import run_job
from assay.numerics.precisions import is_less_exact, least_exact
from assay.numerics.ties.deciding import Unfollowed
from assay.numerics.ties.saved import read_deciders
from assay.numerics.ties.selected import Selected
from assay.numerics.values import is_whole
from assay.records.audit import Audit, Comparison, InputSet, Ran
from assay.registry import PLAIN_TASK, RUNTIMES
from assay.runtimes.ort import CPU
from assay.steps import LONGER, MOST_SECONDS, Limit, limits_told
from assay.store import file_sha256, reporting_disk_errors
from assay.train.brought.judged import JudgedOutput

LIMIT_SECONDS = MOST_SECONDS
"""The limit of a job, whose steps have limits of their own (`assay.steps`)."""
DECIDERS_FILE, INPUTS_FILE = "deciders.npz", "inputs.npz"
EDGES = "edges"
DOING = {
    RUN.name: "Running both files",
    LOCALISE.name: "Searching for the node at which the candidate goes wrong",
    FOLLOW.name: "Searching for the operator at which a runtime goes wrong",
    HEAR.name: "Running the file in other runtimes",
    COMPANY.name: "Comparing the files with themselves",
}
"""The description of each job, for use where it reports no step of its own."""
SAID = "the run was not observed: this is what the file and the runtime declare"
ORT_LEVELS = tuple(one.runner for one in RUNTIMES.levels(CPU))


@dataclass(frozen=True)
class PairRequest:
    """Two ONNX files and their inputs.

    Attributes:
        inputs: .npz file or folder of .npy files, by input name; None draws them.
        dimensions: sizes of dynamic dimensions by name.
        runtimes: runtimes in `RUNNERS` that run the candidate, and also the reference file.
        repro: folder for the smallest models that show where the candidate goes wrong; None keeps none.
        call_limit: seconds that one call of a file may take; None for a limit in proportion to its size.
        trusted: whether the files run outside their box; see `assay.boxed.boxing.Box`.
        without: outputs of both files to leave out.
        host: the host that runs them.
    """

    reference: Path
    candidate: Path
    inputs: Path | None
    dimensions: dict[str, int]
    runtimes: tuple[str, ...] = ORT_LEVELS
    repro: Path | None = None
    trusted: bool = False
    call_limit: float | None = None
    without: tuple[str, ...] = ()
    host: Host = LOCAL


def audit_pair(request: PairRequest) -> Audit:
    """Audit a candidate file, and the reference file's own fp32 runs, against the reference file in float64.

    Raises:
        ArtifactError: a file is missing, damaged or not ONNX.
        InputError: the signatures differ, inputs do not fit or cannot be drawn, or there is no reference.
        WorkerError: a file brought the process down, or it took too long.
    """
    begun = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="assay-audit-") as text:
        out = Path(text)
        pair = PairToRun(
            reference=request.reference.resolve(),
            candidate=request.candidate.resolve(),
            inputs=None if request.inputs is None else request.inputs.resolve(),
            dimensions=request.dimensions,
            without=request.without,
            out=out,
            runtimes=request.runtimes,
        )
        answer = _job(request, out, RUN, pair)
        known = _judged_outputs(answer, answer, out)
        empty = {one.name: _lacking(one) for one in known if one.lacks_numbers}
        outputs = [one for one in known if one.name not in empty]
        if not outputs:
            raise _nothing_to_compare(request, empty)
        edges = _at_the_edges(answer, outputs, out)
        judged, missing = _judged(answer, outputs, edges, out)
        refused = [one for one in judged.comparisons if one.subject.startswith("candidate") and not one.passed]
        why = Explained()
        if refused or "candidate" in missing:
            only = bool(refused) and all(one.inputs.endswith(AT_THE_EDGES) for one in refused)
            used = (out / EDGES if only else out) / INPUTS_FILE
            why = explained(
                DisagreeingCandidate(
                    comparisons=judged.comparisons,
                    pair=PairOnInputs(
                        reference=pair.reference,
                        candidate=pair.candidate,
                        inputs=used,
                        out=out,
                        without=(*request.without, *empty),
                    ),
                    repro=request.repro or out / "repro",
                    ask=partial(_job, request, out),
                    runtimes={run: name for run, name in answer.runtimes.items() if run.startswith("candidate")},
                    failed=list(answer.failed),
                    outputs=edges if only else outputs,
                    out=out,
                    same_file=request.reference == request.candidate,
                    drawn=request.inputs is None,
                    operators=answer.operators,
                )
            )
        model = audit_of_model(
            f"{request.candidate.name} against {request.reference.name}",
            Identity({name: file_sha256(getattr(request, name)) for name in ("reference", "candidate")}, {}),
            [_input_set(request, one.name, answer.made, out) for one in (*outputs, *edges)],
            judged,
            why,
            task=PLAIN_TASK,
            reference=f"the reference file in float64, by {answer.by}" + (f"; {answer.note}" if answer.note else ""),
            reference_check=answer.apart,
            missing=missing,
            left_out=[*request.without, *(f"{name}, which is {kind}" for name, kind in empty.items())],
        )
    return audit_of([model], _command(request), {"audit": time.monotonic() - begun}, host=request.host)


def _job(request: PairRequest, out: Path, job: Job[Asked, Answered], asked: Asked) -> Answered:
    """Run a job on the files, in their box."""
    answers = [out]
    if isinstance(asked, PairToLocalise):
        answers.append(asked.repro)
        with reporting_disk_errors(answers[-1]):
            answers[-1].mkdir(parents=True, exist_ok=True)
    with _named_as_given(request):
        return run_job(
            job,
            asked,
            out / "job.log",
            limit_seconds=Limit(max(LIMIT_SECONDS, 10 * (request.call_limit or 0)), DOING[job.name], LONGER),
            environment=limits_told(request.call_limit),
            box=Box(tuple(answers), request.trusted),
            host=request.host,
        )


@contextmanager
def _named_as_given(request: PairRequest) -> Iterator[None]:
    """Make errors of the job name the files as they were given, not their paths on this machine."""
    try:
        yield
    except AssayError as error:
        text = str(error)
        for path in filter(None, (request.reference, request.candidate, request.inputs)):
            text = text.replace(str(path.resolve()), str(path))
        raise type(error)(text) from error


def _judged_outputs(answer: PairAnswer, runs: RunsOfPair, out: Path) -> list[JudgedOutput]:
    """Return the reference of every run of the candidate, by output; for runs of the reference, `_of_reference` changes
    it.
    """
    natives = _outputs(runs.natives, out)
    deciders = read_deciders(out / DECIDERS_FILE)
    narrower = answer.candidate_in if is_less_exact(answer.candidate_in, answer.reference_in) else ""
    return [
        JudgedOutput(
            name=name,
            reference=as_rows(exact),
            natives={run: as_rows(arrays[name]) for run, arrays in natives.items()},
            shape=exact.shape[1:] if exact.ndim and exact.size else (exact.size,),
            whole=is_whole(exact.dtype),
            decider=deciders.get(name),
            arithmetic=answer.reference_in,
            narrower=narrower,
            may_be_wider=True,
            is_one_call=True,
        )
        for name, exact in read_named(out / "reference.npz").items()
    ]


def _at_the_edges(answer: PairAnswer, ordinary: list[JudgedOutput], out: Path) -> list[JudgedOutput]:
    """Return the same for the call at the edges, where there was one. Whole numbers that come from floating-point
    inputs, and entries that scores select, may tie there and are left out.
    """
    if answer.edges is None:
        return []
    inputs = read_named(out / EDGES / INPUTS_FILE).values()
    may_tie = not all(is_whole(array.dtype) for array in inputs)
    scales = {one.name: one.scale for one in ordinary}
    return [
        replace(one, name=f"{one.name}{AT_THE_EDGES}", usual_scale=scales[one.name], decider=None)
        for one in _judged_outputs(answer, answer.edges, out / EDGES)
        if one.name in scales and not (one.whole and may_tie) and not one.lacks_numbers
        if not isinstance(one.decider, Selected | Unfollowed)
    ]


def _lacking(output: JudgedOutput) -> str:
    """Return what an output without numbers is, in words."""
    return "infinite or NaN throughout for these inputs" if output.reference.size else "empty for these inputs"


def _nothing_to_compare(request: PairRequest, empty: Mapping[str, str]) -> InputError:
    """Return the error for files of which no output has a number."""
    return InputError(
        f"The outputs of {request.reference.name} cannot be compared",
        expected="numbers, so that a broken output would differ",
        found="; ".join(f"'{name}' is {kind}" for name, kind in empty.items()),
        remedy="Give other inputs with --inputs",
    )


def _runs(answer: RunsOfPair, whole: PairAnswer, out: Path, role: str) -> Iterator[RunOfOutputs]:
    """Iterate over every run of one of the files.

    Args:
        answer: the runs, those of `whole` or of its call at the edges.
    """
    names = {told: name for name, told in RUNNERS.items()}
    own = {"reference": whole.reference_in, "candidate": whole.candidate_in}[role]
    for run, arrays in _outputs(answer.subjects, out).items():
        if run.startswith(role):
            precision = least_exact([own, answer.computed_in.get(run, own)])
            ran = Ran(subject=run, precision=precision, unseen=SAID)
            yield RunOfOutputs(ran, names[whole.runtimes[run]], partial(_rows_of, arrays))


def _rows_of(arrays: Mapping[str, NDArray[np.generic]], output: JudgedOutput) -> NDArray[np.generic]:
    return as_rows(arrays[tensor_of(output)])


def _of_reference(output: JudgedOutput) -> JudgedOutput:
    """Return an output as the reference for the reference file's own runs."""
    return replace(output, narrower="") if output.narrower else output


def _judged(
    answer: PairAnswer, outputs: list[JudgedOutput], edges: list[JudgedOutput], out: Path
) -> tuple[ComparedOutputs, dict[str, str]]:
    """Compare every output of every run, elsewhere and at the edges, and return the runs that gave none, with why."""
    judged = _of_both(answer, answer, outputs, out)
    missing = _missing(answer.failed, judged.comparisons)
    if not edges or answer.edges is None:
        return judged, missing
    at_edges = _of_both(answer.edges, answer, edges, out / EDGES)
    wrong = {one.subject for one in judged.comparisons if not one.passed}  # they need no edges
    further = [one for one in at_edges.comparisons if one.subject not in wrong]
    missing |= {f"{run}{AT_THE_EDGES}": why for run, why in answer.edges.failed.items() if run not in missing}
    return ComparedOutputs(judged.tolerances + at_edges.tolerances, judged.comparisons + further, judged.ran), missing


def _of_both(answer: RunsOfPair, whole: PairAnswer, outputs: list[JudgedOutput], out: Path) -> ComparedOutputs:
    """Compare the runs of both files, each by the outputs in its own form."""
    reference = judged_by_output([_of_reference(one) for one in outputs], _runs(answer, whole, out, "reference"))
    candidate = judged_by_output(outputs, _runs(answer, whole, out, "candidate"))
    return ComparedOutputs(
        [audited_tolerance(one) for output in outputs for one in _judged_by(output)],
        reference.comparisons + candidate.comparisons,
        reference.ran + candidate.ran,
    )


def _judged_by(output: JudgedOutput) -> list[JudgedOutput]:
    """Return an output in both forms, for either file, where these are judged differently."""
    return list({one.narrower: one for one in (_of_reference(output), output)}.values())


def _missing(failed: Mapping[str, str], comparisons: list[Comparison]) -> dict[str, str]:
    """Return runs that gave no outputs; having no comparison of the candidate at all is a failure of its own."""
    found = dict(failed)
    if not any(one.subject.startswith("candidate") for one in comparisons):
        found["candidate"] = "no run of it produced outputs"
    return found


def _input_set(request: PairRequest, output: str, made: str, out: Path) -> InputSet:
    path = (out / EDGES if output.endswith(AT_THE_EDGES) else out) / INPUTS_FILE
    arrays = read_named(path)
    rows = max((len(array) for array in arrays.values() if array.ndim), default=1)
    drawn = made if request.inputs is None else f"given in {request.inputs.name}"
    return InputSet(name=output, sha256=file_sha256(path), images=rows, sampled_from=rows, what=f"inputs {drawn}")


def _outputs(files: Mapping[str, str], out: Path) -> dict[str, dict[str, NDArray[np.generic]]]:
    return {run: read_named(out / file) for run, file in files.items()}


def _command(request: PairRequest) -> str:
    parts = ["assay", "audit", "--reference", request.reference.name, "--candidate", request.candidate.name]
    parts += ["--inputs", request.inputs.name] if request.inputs else []
    given = {told: name for name, told in RUNNERS.items()}
    for one in request.runtimes if request.runtimes != ORT_LEVELS else ():
        parts += ["--runtime", given[one]]
    for name, size in request.dimensions.items():
        parts += ["--dimension", f"{name}={size}"]
    for name in request.without:
        parts += ["--without", name]
    return shlex.join(parts)
