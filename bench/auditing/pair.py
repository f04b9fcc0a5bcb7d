"""The audit of two ONNX files that are said to be the same model, from wherever they come."""

from __future__ import annotations

import shlex
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import numpy as np
from numpy.typing import NDArray

from assay.audit import Audit, Comparison, InputSet, ModelAudit
from assay.boxing import Box
from assay.jobs import Answer, Message, run_job
from assay.named_arrays import read_named
from assay.steps import MOST_SECONDS, limits_told
from assay.store import file_sha256, reporting_disk_errors
from assay.ties import read_deciders
from assay.values import is_whole
from bench.auditing.localise import RUNNERS
from bench.auditing.outputs import AuditedOutput, as_rows
from bench.auditing.pair_guilt import Refused, explained
from bench.auditing.record import audit_of
from bench.auditing.runs import Call

LIMIT_SECONDS = MOST_SECONDS
"""Of a job, whose steps have limits of their own (`assay.steps`)."""
DECIDERS_FILE = "deciders.npz"
CPU_ONLY = {"CUDA_VISIBLE_DEVICES": ""}
ORT_LEVELS = ("no-opt", "basic", "extended", "all")


@dataclass(frozen=True)
class PairRequest:
    """Two ONNX files and what goes into them.

    Attributes:
        inputs: .npz or folder of .npy by input name; None draws them.
        dimensions: sizes of dynamic dimensions by name.
        runtimes: of `RUNNERS`, what runs the candidate, and the reference file too.
        repro: takes the smallest models that show where the candidate goes wrong; None keeps none.
        call_limit: seconds that one call of a file may take; in proportion to its size where None.
        trusted: the files run outside of their box, see `assay.boxing.Box`.
    """

    reference: Path
    candidate: Path
    inputs: Path | None
    dimensions: dict[str, int]
    runtimes: tuple[str, ...] = ORT_LEVELS
    repro: Path | None = None
    trusted: bool = False
    call_limit: float | None = None


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
        message: Message = {
            "do": "run",
            "reference": str(request.reference.resolve()),
            "candidate": str(request.candidate.resolve()),
            "inputs": None if request.inputs is None else str(request.inputs.resolve()),
            "dimensions": dict(request.dimensions),
            "out": text,
            "runtimes": list(request.runtimes),
        }
        answer = _job(request, message, out)
        outputs = _audited_outputs(answer, out)
        model = _model_audit(request, answer, outputs, out)
        refused = [one for one in model.comparisons if one.subject.startswith("candidate") and not one.passed]
        if refused or "candidate" in model.missing:
            given: Message = {"inputs": str(out / "inputs.npz"), "repro": str(request.repro or out / "repro")}
            model = explained(
                Refused(
                    model=model,
                    message={**message, **given},
                    ask=lambda asked: _job(request, asked, out),
                    runtimes=cast("dict[str, str]", answer["runtimes"]),
                    failed=list(cast("dict[str, str]", answer["failed"])),
                    outputs=outputs,
                    out=out,
                    same_file=request.reference == request.candidate,
                )
            )
    return audit_of([model], _command(request), {"audit": time.monotonic() - begun})


def _job(request: PairRequest, message: Message, out: Path) -> Answer:
    """A job on the files, in their box."""
    answers = [out]
    if "repro" in message:
        answers.append(Path(str(message["repro"])))
        with reporting_disk_errors(answers[-1]):
            answers[-1].mkdir(parents=True, exist_ok=True)
    return run_job(
        "export.on_onnx_pair",
        message,
        out / "job.log",
        limit_seconds=max(LIMIT_SECONDS, 10 * (request.call_limit or 0)),
        environment=CPU_ONLY | limits_told(request.call_limit),
        box=Box(tuple(answers), request.trusted),
    )


def _audited_outputs(answer: Message, out: Path) -> list[AuditedOutput]:
    """What every run is held against, by output."""
    natives = _outputs(cast("dict[str, str]", answer["natives"]), out)
    deciders = read_deciders(out / DECIDERS_FILE)
    return [
        AuditedOutput(
            name=name,
            reference=as_rows(exact),
            natives={run: as_rows(arrays[name]) for run, arrays in natives.items()},
            shape=exact.shape[1:] if exact.ndim and exact.size else (exact.size,),
            whole=is_whole(exact.dtype),
            decider=deciders.get(name),
        )
        for name, exact in read_named(out / "reference.npz").items()
    ]


def _model_audit(request: PairRequest, answer: Message, outputs: list[AuditedOutput], out: Path) -> ModelAudit:
    subjects = _outputs(cast("dict[str, str]", answer["subjects"]), out)
    comparisons = [
        one.compared(run, Call(one.name, batch=len(rows), threads=0, images=len(rows)), rows)
        for one in outputs
        for run, arrays in subjects.items()
        for rows in [as_rows(arrays[one.name])]
    ]
    return ModelAudit(
        name=f"{request.candidate.name} against {request.reference.name}",
        reference=f"the reference file in float64, by {answer['by']}"
        + (f"; {answer['note']}" if answer["note"] else ""),
        reference_check=cast("float | None", answer["apart"]),
        models={
            "reference": file_sha256(request.reference),
            "candidate": file_sha256(request.candidate),
        },
        inputs=[_input_set(request, one.name, out) for one in outputs],
        tolerances=[one.tolerance for one in outputs],
        comparisons=comparisons,
        missing=_missing(cast("dict[str, str]", answer["failed"]), comparisons),
    )


def _missing(failed: Mapping[str, str], comparisons: list[Comparison]) -> dict[str, str]:
    """Runs that gave nothing; one with no comparison of the candidate at all is a failure of its own."""
    found = dict(failed)
    if not any(one.subject.startswith("candidate") for one in comparisons):
        found["candidate"] = "no run of it gave outputs"
    return found


def _input_set(request: PairRequest, output: str, out: Path) -> InputSet:
    arrays = read_named(out / "inputs.npz")
    rows = max((len(array) for array in arrays.values() if array.ndim), default=1)
    drawn = "drawn from the signature with seed 0" if request.inputs is None else f"given in {request.inputs.name}"
    return InputSet(
        name=output, sha256=file_sha256(out / "inputs.npz"), images=rows, sampled_from=rows, what=f"inputs {drawn}"
    )


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
    return shlex.join(parts)
