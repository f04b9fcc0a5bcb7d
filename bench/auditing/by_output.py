"""The comparisons of a model that a user brought, output by output: for `assay compare-model`, and for a pair of files.
The additions for a study's images (classes, labels, several sets of inputs that are too large to be held at once) are
in `assay.bench.auditing.judge`, with the same rules for numbers.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from assay.bench.auditing.outputs import Array, audited_tolerance, compared, tensor_of
from assay.bench.auditing.record import ComparedOutputs
from assay.bench.auditing.runs import AuditCall, answering
from assay.numerics.following import is_reduced
from assay.numerics.judgement import Judgement
from assay.numerics.precisions import is_less_exact
from assay.records.audit import Comparison, Ran
from assay.registry import RUNTIMES
from assay.runtimes.entry import AS_IT_COMES
from assay.train.brought.judged import JudgedOutput


@dataclass(frozen=True)
class RunOfOutputs:
    """The result of one run of a model.

    Attributes:
        ran: device and precision of the run.
        runtime: a registered runtime, or "" for anything else.
        rows: returns the (rows, numbers) of an output.
        batch: number of rows in a call; 0 where all were one call.
        judgement: the task's judgement of one of the outputs.
    """

    ran: Ran
    runtime: str
    rows: Callable[[JudgedOutput], Array]
    batch: int = 0
    threads: int = 0
    judgement: Judgement | None = None


def judged_in(runtime: str, asked: str, computed: str, arithmetic: str) -> str:
    """Return the precision by which a run is judged: the one asked for, or where the runtime chooses, the one that its
    session says it computed in, if that is less exact than the model.

    Args:
        arithmetic: precision that the model computes in.
    """
    entry = RUNTIMES.find(runtime)
    chooses = entry is not None and entry.precision == AS_IT_COMES
    return computed if not asked and chooses and is_less_exact(computed, arithmetic) else asked


def judged_by_output(outputs: Sequence[JudgedOutput], runs: Iterable[RunOfOutputs]) -> ComparedOutputs:
    """Compare every output of every run, by the output's tolerance; a run in less than the model's precision has to
    follow. A subject's deviating run is recorded before one that does not deviate.
    """
    every = list(runs)
    ran = {one.ran.subject: one.ran for one in sorted(every, key=lambda one: bool(one.ran.otherwise))}
    comparisons = [_compared(output, run) for output in outputs for run in every]
    return ComparedOutputs([audited_tolerance(one) for one in outputs], comparisons, list(ran.values()))


def _compared(output: JudgedOutput, run: RunOfOutputs) -> Comparison:
    rows, ran = run.rows(output), run.ran
    call = AuditCall(output.name, batch=run.batch or len(rows), threads=run.threads, images=len(rows))
    arithmetic = output.narrower or output.arithmetic
    precision = judged_in(run.runtime, ran.asked_precision, ran.precision, arithmetic)
    reduced = is_reduced(precision, arithmetic)  # else by its tolerance, whatever it computes in
    said = ran.precision or (precision if reduced else "fp32")
    found = compared(output, ran.subject, call, rows, said, reduced=reduced)
    judgement = run.judgement if run.judgement and run.judgement.output == tensor_of(output) else None
    changes: dict[str, object] = {"judgement": judgement}
    if found.passed and judgement and judgement.reason:
        changes |= {"passed": False, "reason": judgement.reason}
    return answering(found.model_copy(update=changes), ran)
