"""The reason why a candidate does not agree with its reference file: who is wrong, and at which node."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from assay.bench.atlas.lookup import known_of_file
from assay.bench.auditing.guilt import witnesses_in
from assay.bench.auditing.localise import RUNNERS
from assay.bench.auditing.outputs import Array, as_rows, compared, tensor_of
from assay.bench.auditing.record import Explained
from assay.bench.auditing.runs import AuditCall
from assay.errors import AssayError, DiskError
from assay.export.pairs.pair_jobs import (
    COMPANY,
    FOLLOW,
    HEAR,
    LOCALISE,
    PairOnInputs,
    PairToAskItself,
    PairToFollow,
    PairToHear,
    PairToLocalise,
)
from assay.files.named_arrays import read_named
from assay.jobs.job import Answered, Asked, Job
from assay.numerics.guilt import (
    EVALUATOR,
    EVALUATOR_IN_FLOAT64,
    OPENVINO,
    OPENVINO_AS_IT_COMES,
    UNOPTIMISED,
    Outcome,
    guilt_of,
)
from assay.records.audit import Comparison
from assay.records.localisation import Localisation
from assay.train.brought.judged import JudgedOutput


class Ask(Protocol):
    """Runs a job on the files."""

    def __call__(self, job: Job[Asked, Answered], asked: Asked, /) -> Answered: ...


@dataclass(frozen=True)
class DisagreeingCandidate:
    """A candidate that did not agree with its reference.

    Attributes:
        pair: the files, with the inputs that were used.
        repro: folder for repros.
        ask: runs a job on the files.
        runtimes: runtime of each of the candidate's runs, by subject.
        failed: subjects without outputs.
        outputs: the outputs that every run is compared with.
        out: folder of the job's answers.
        same_file: whether the reference is the candidate itself.
        drawn: whether the inputs are random numbers.
        operators: types of the candidate's nodes.
    """

    comparisons: Sequence[Comparison]
    pair: PairOnInputs
    repro: Path
    ask: Ask
    runtimes: Mapping[str, str]
    failed: Sequence[str]
    outputs: Sequence[JudgedOutput]
    out: Path
    same_file: bool
    drawn: bool
    operators: Sequence[str]


def explained(one: DisagreeingCandidate) -> Explained:
    """Return who is wrong and where, and what the atlas has on the operators of a file that a runtime gets wrong;
    nothing if the candidate cannot be followed.

    A candidate is compared with itself first: one that only seems to differ is reported as such, and not followed.
    """
    refused = [each for each in one.comparisons if not each.passed and each.subject in one.runtimes]
    if refused and all(each.ground == "open" for each in refused):
        return Explained(guilt=["candidate: nobody can say whether it is wrong"])
    if told := _of_itself(one):
        return Explained(guilt=[f"candidate: {told}"])
    outcomes = witnesses_in(one.comparisons, one.runtimes, one.failed)
    if one.same_file:  # its runs gave the tolerance
        outcomes.setdefault(UNOPTIMISED, "agrees")
    nodes: list[Localisation] = []
    if followed := _answer(one, LOCALISE, PairToLocalise(**dict(one.pair), repro=one.repro)):
        nodes = followed.found
        outcomes[EVALUATOR_IN_FLOAT64] = "differs" if nodes else "agrees"
    outcomes |= _heard(one, [name for name in _to_ask(outcomes) if name not in outcomes])
    guilt = guilt_of(outcomes)
    wrong = [name for name in RUNNERS.values() if name in guilt.wrong and outcomes[name] == "differs"]
    if not nodes and wrong and guilt.right:
        asked = PairToFollow(**dict(one.pair), wrong=tuple(wrong), right=guilt.right)
        nodes = departed.found if (departed := _answer(one, FOLLOW, asked)) else []
    runtimes = [name for name, runner in RUNNERS.items() if runner in wrong]
    known = [f"candidate: {said}" for said in known_of_file(one.operators, runtimes)]
    return Explained(nodes, [f"candidate: {guilt.said}", *known] if guilt.said else [])


def _answer(one: DisagreeingCandidate, job: Job[Asked, Answered], asked: Asked) -> Answered | None:
    """Return a job's answer; None if it fails, which proves nothing about the candidate."""
    try:
        return one.ask(job, asked)
    except DiskError:
        raise  # the machine's failure, not this one's
    except AssayError:
        return None


def _of_itself(one: DisagreeingCandidate) -> str:
    """Return the verdict of the files compared with themselves, which replaces the party at fault, or ""."""
    if one.same_file:
        return ""
    told = _answer(one, COMPANY, PairToAskItself(**dict(one.pair), drawn=one.drawn))
    return told.said if told else ""


def _to_ask(outcomes: Mapping[str, Outcome]) -> list[str]:
    """Return the witnesses that could tell more than those already asked."""
    if not any(outcome == "agrees" for name, outcome in outcomes.items() if name != EVALUATOR_IN_FLOAT64):
        return [OPENVINO, EVALUATOR]
    return [OPENVINO] if outcomes.get(OPENVINO_AS_IT_COMES) == "differs" else []


def _heard(one: DisagreeingCandidate, names: list[str]) -> dict[str, Outcome]:
    """Return the verdicts of further witnesses on the candidate; without those that are not available."""
    heard = _answer(one, HEAR, PairToHear(**dict(one.pair), runtimes=tuple(names))) if names else None
    files = heard.files if heard else {}
    return {name: _judged(one, read_named(one.out / file)) for name, file in files.items() if name in names}


def _judged(one: DisagreeingCandidate, arrays: Mapping[str, Array]) -> Outcome:
    for output in one.outputs:
        rows = as_rows(arrays[tensor_of(output)])
        call = AuditCall(output.name, batch=len(rows), threads=0, images=len(rows))
        if not compared(output, "", call, rows).passed:
            return "differs"
    return "agrees"
