"""`assay choose`: the best cell of a study under constraints, and why each of the others is not it. Pure functions.

Only what may be believed can be chosen: a cell that was measured, is valid, and whose audit compared exactly it, with
the weights and the file that were timed, and passed. Its accuracy is that of its own outputs in the audit, and a least
accuracy has to be met by the lower bound of its interval (Wilson 1927, 95 %); a limit on the 99th percentile or on
memory by the estimate.

Two speeds are a *tie* when their intervals overlap or they differ by no more than `bench.verdicts.MARGIN`; two
accuracies when their intervals overlap. One candidate *dominates* another when it is estimated no worse in the
objective and in accuracy, and better in one of them by more than a tie. What nothing dominates is the Pareto front;
since dominance needs a strictly better estimate, there always is one.

The answer is the candidate of the front with the best objective, or among those tied with it the simplest. In this
order, simpler is: more of fp32 (fp32, then bf16, fp16, int8), fewer conversions between the trained weights and what
runs (none, one export, an export in two steps), fewer threads, a smaller batch, a smaller model, and what comes first
in Assay's list of runtimes and exporters; the name settles what is left, so that the answer never hangs on an order.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

from pydantic import Field, ValidationError

from assay.audit import Audit
from assay.errors import ArtifactError, FailedError, InputError
from assay.records import Interval, Record
from assay.registry import EXPORTERS, FRAMEWORKS, RUNTIMES
from assay.results import Cell, Results
from assay.stale import AGAIN, Stale, stale_parts
from assay.store import write_atomically
from bench.deployment.subject import audited_comparisons
from bench.verdicts import MARGIN
from train.metrics import share

CHOICE_FILE = "choice.json"
Objective = Literal["latency", "throughput", "cost"]
OBJECTIVES: tuple[Objective, ...] = ("latency", "throughput", "cost")
PRECISIONS = ("fp32", "bf16", "fp16", "int8")
LICENCES = {
    "torch": "BSD-3-Clause",
    "tensorflow": "Apache-2.0",
    "keras": "Apache-2.0",
    "jax": "Apache-2.0",
    "onnxruntime": "MIT",
    "openvino": "Apache-2.0",
}
"""Of what a runtime imports, as their distributions say."""
SECONDS_IN_AN_HOUR = 3600
A_MILLION = 1e6


class Constraints(Record):
    """What an answer has to meet; empty or None leaves it open.

    Attributes:
        architecture, size, batch, threads: of the cell.
        least_accuracy: share of test images, held against the lower bound.
        most_p99_ms: of one call at the host boundary.
        most_memory_mib: highest resident memory of the process.
        precisions: allowed; "fp32", "bf16", "fp16", "int8".
        runtimes: allowed, by registered name.
        licences: allowed, of everything the runtime imports.
    """

    architecture: str | None = None
    size: int | None = None
    batch: int | None = None
    threads: int | None = None
    least_accuracy: float | None = Field(default=None, ge=0, le=1)
    most_p99_ms: float | None = Field(default=None, gt=0)
    most_memory_mib: float | None = Field(default=None, gt=0)
    precisions: list[str] = Field(default_factory=list)
    runtimes: list[str] = Field(default_factory=list)
    licences: list[str] = Field(default_factory=list)


class Candidate(Record):
    """A cell that may be believed.

    Attributes:
        value: of the objective: median ms a call, images a second, or the price of a million images.
        accuracy: on the audit's test images.
        tied: its objective is a tie with the answer's.
        front: nothing dominates it.
    """

    cell: str
    label: str
    precision: str
    value: Interval
    accuracy: Interval
    p99_ms: float
    memory_mib: float | None
    front: bool = False
    tied: bool = False


class NearMiss(Record):
    """What misses the constraints by the least, `by` as a share of the limit: "misses p99 by 12 %"."""

    cell: str
    constraint: str
    by: float
    found: float
    limit: float


class Choice(Record):
    """The answer to `assay choose`.

    Attributes:
        price_per_hour: of the machine, for the objective "cost"; the currency is the asker's.
        answer: the chosen cell, "" when none qualifies.
        because: why it and not a tied one, in words.
        candidates: that meet every constraint, best objective first.
        losers: by cell, why it is not the answer.
        nearest: when none qualifies, what comes nearest; None when nothing may be believed at all.
    """

    schema_version: Literal[1] = 1
    study: str
    created: str
    objective: Objective
    price_per_hour: float | None
    constraints: Constraints
    answer: str
    because: str
    candidates: list[Candidate]
    losers: dict[str, str]
    nearest: NearMiss | None


def choose(
    results: Results,
    audit: Audit,
    constraints: Constraints,
    objective: Objective = "latency",
    price_per_hour: float | None = None,
) -> Choice:
    """The best cell under constraints.

    Raises:
        InputError: the objective "cost" without a price, or a constraint that names what does not exist.
    """
    _check_question(constraints, objective, price_per_hour)
    losers: dict[str, str] = {}
    candidates: dict[str, Candidate] = {}
    cells = {cell.name: cell for cell in results.cells}
    misses: list[NearMiss] = []
    stale = stale_parts(audit, results)
    for cell in results.cells:
        try:
            found = _believed(cell, audit, stale, objective, price_per_hour)
        except FailedError as error:
            losers[cell.name] = str(error)
            continue
        excluded = _excluded(cell, found, constraints)
        missed = _missed(found, constraints)
        if excluded:
            losers[cell.name] = excluded
        elif missed:
            losers[cell.name] = "; ".join(_in_words(one) for one in missed)
            misses.append(max(missed, key=lambda one: one.by))
        else:
            candidates[cell.name] = found
    answer, tied = _best(list(candidates.values()), cells, results, objective)
    front = {one.cell for one in pareto_front(list(candidates.values()), objective)}
    losers |= _reasons(list(candidates.values()), answer, tied, front, cells, results, objective)
    ordered = sorted(candidates.values(), key=lambda one: (_cost_of(one.value.value, objective), one.cell))
    return Choice(
        study=results.study,
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        objective=objective,
        price_per_hour=price_per_hour,
        constraints=constraints,
        answer=answer.cell if answer else "",
        because=_because(answer, tied, objective) if answer else "no candidate qualifies",
        candidates=[one.model_copy(update={"front": one.cell in front, "tied": one.cell in tied}) for one in ordered],
        losers=losers,
        nearest=min(misses, key=lambda one: (one.by, one.cell), default=None) if answer is None else None,
    )


def pareto_front(candidates: Sequence[Candidate], objective: Objective) -> list[Candidate]:
    """Those that nothing dominates; never empty unless there is no candidate."""
    return [one for one in candidates if not any(dominates(other, one, objective) for other in candidates)]


def dominates(left: Candidate, right: Candidate, objective: Objective) -> bool:
    """Whether one candidate is estimated no worse than another, and beyond a tie better in something."""
    cost, other = (_cost_of(one.value.value, objective) for one in (left, right))
    no_worse = cost <= other and left.accuracy.value >= right.accuracy.value
    faster = cost < other and not tie(left.value, right.value)
    more_accurate = left.accuracy.low > right.accuracy.high
    return no_worse and (faster or more_accurate)


def tie(left: Interval, right: Interval) -> bool:
    """Whether two speeds differ by no more than the measurement error, or than what does not matter."""
    overlap = left.low <= right.high and right.low <= left.high
    return overlap or abs(math.log(left.value / right.value)) <= math.log1p(MARGIN)


def read_choice(folder: Path) -> Choice:
    """The last answer in a study's folder.

    Raises:
        ArtifactError: there is none, or it is damaged.
    """
    path = folder / CHOICE_FILE
    try:
        return Choice.model_validate_json(path.read_bytes())
    except (OSError, ValidationError) as error:
        raise ArtifactError(
            f"Cannot read a choice from {path}",
            found=str(error).splitlines()[0],
            remedy="Run `assay choose` on the study, or name a cell with --cell",
        ) from error


def write_choice(choice: Choice, folder: Path) -> None:
    """Write choice.json, whole or not at all."""
    write_atomically(folder / CHOICE_FILE, choice.model_dump_json(indent=1).encode())


def _check_question(constraints: Constraints, objective: Objective, price_per_hour: float | None) -> None:
    if objective == "cost" and not (price_per_hour and price_per_hour > 0):
        raise InputError("The objective 'cost' needs the price of the machine for an hour", expected="--price 0.17")
    for name in constraints.runtimes:
        RUNTIMES[name]
    for name in constraints.precisions:
        if name not in PRECISIONS:
            raise InputError(f"Unknown precision '{name}'", expected=f"one of {', '.join(PRECISIONS)}")


def _believed(
    cell: Cell, audit: Audit, stale: Mapping[str, Stale], objective: Objective, price_per_hour: float | None
) -> Candidate:
    """A cell as a candidate.

    Raises:
        FailedError: it may not be believed; the text is the reason.
    """
    if cell.status != "ok" or cell.host is None or cell.throughput is None:
        raise FailedError(f"not measured ({cell.status}): {cell.reason}")
    if cell.invalid:
        raise FailedError(f"not valid: {'; '.join(cell.invalid)}")
    if not cell.framework or cell.runtime.startswith("calibrated"):
        raise FailedError("no model: a ruler")
    if cell.agreement is not None and not cell.agreement.passed:
        raise FailedError(f"wrong: {cell.agreement.reason}")
    out_of_date = stale.get(f"{cell.architecture}/{cell.size}", Stale()).reason(cell.exporter)
    if out_of_date:
        raise FailedError(f"its audit is out of date: {out_of_date}", remedy=AGAIN)
    _, comparisons = audited_comparisons(audit, cell)
    whole = [one for one in comparisons if one.inputs == "test" and one.measured and one.measured.accuracy]
    measured = max((one.measured for one in whole if one.measured), key=lambda one: one.images, default=None)
    if measured is None or measured.accuracy is None:
        raise FailedError("the audit has no accuracy of it")
    accuracy = measured.accuracy
    return Candidate(
        cell=cell.name,
        label=cell.label,
        precision=cell.precision or "fp32",
        value=_value(cell.host.median_ms, cell.throughput, objective, price_per_hour),
        accuracy=share(round(accuracy.candidate * accuracy.images), accuracy.images),
        p99_ms=cell.host.p99_ms.value,
        memory_mib=cell.peak_memory_mib,
    )


def _value(median_ms: Interval, throughput: Interval, objective: Objective, price_per_hour: float | None) -> Interval:
    if objective == "latency":
        return median_ms
    if objective == "throughput":
        return throughput
    price = (price_per_hour or 0) * A_MILLION / SECONDS_IN_AN_HOUR
    return Interval(value=price / throughput.value, low=price / throughput.high, high=price / throughput.low)


def _cost_of(value: float, objective: Objective) -> float:
    """Less is better."""
    return -value if objective == "throughput" else value


def _excluded(cell: Cell, found: Candidate, constraints: Constraints) -> str:
    """Why a cell is not what was asked for, however good, or ""."""
    for name in ("architecture", "size", "batch", "threads"):
        wanted = getattr(constraints, name)
        if wanted is not None and getattr(cell, name) != wanted:
            return f"{name} {getattr(cell, name)}, {wanted} was asked for"
    if constraints.precisions and found.precision not in constraints.precisions:
        return f"{found.precision} is not among the precisions allowed"
    if constraints.runtimes and cell.runtime not in constraints.runtimes:
        return f"{cell.runtime} is not among the runtimes allowed"
    licences = {LICENCES.get(name, "unknown") for name in RUNTIMES[cell.runtime].packages}
    if constraints.licences and not licences <= set(constraints.licences):
        return f"licence {', '.join(sorted(licences - set(constraints.licences)))} is not among those allowed"
    return ""


def _missed(found: Candidate, constraints: Constraints) -> list[NearMiss]:
    """The limits that a candidate does not keep."""
    missed = []
    if constraints.least_accuracy is not None and found.accuracy.low < constraints.least_accuracy:
        limit = constraints.least_accuracy
        by = (limit - found.accuracy.low) / limit
        missed.append(NearMiss(cell=found.cell, constraint="accuracy", by=by, found=found.accuracy.low, limit=limit))
    if constraints.most_memory_mib is not None and found.memory_mib is None:
        missed.append(NearMiss(cell=found.cell, constraint="memory", by=1, found=0, limit=constraints.most_memory_mib))
    upper = (("p99", found.p99_ms, constraints.most_p99_ms), ("memory", found.memory_mib, constraints.most_memory_mib))
    missed += [
        NearMiss(cell=found.cell, constraint=name, by=value / limit - 1, found=value, limit=limit)
        for name, value, limit in upper
        if limit is not None and value is not None and value > limit
    ]
    return missed


def _in_words(miss: NearMiss) -> str:
    if miss.constraint == "accuracy":
        return f"accuracy is only sure to be {miss.found:.2%}, {miss.limit:.2%} is asked for"
    unit = "ms" if miss.constraint == "p99" else "MiB"
    return f"misses {miss.constraint} by {miss.by:.0%}: {miss.found:.4g} {unit}, at most {miss.limit:.4g}"


def nearest_in_words(choice: Choice) -> str:
    """What to say when no candidate qualifies."""
    if choice.nearest is None:
        return "No candidate qualifies, and none that may be believed comes near."
    return f"No candidate qualifies; the nearest, {choice.nearest.cell}, {_in_words(choice.nearest)}."


def _best(
    candidates: list[Candidate], cells: dict[str, Cell], results: Results, objective: Objective
) -> tuple[Candidate | None, set[str]]:
    """The answer, and the cells whose objective is tied with the best of the front."""
    front = pareto_front(candidates, objective)
    if not front:
        return None, set()
    best = min(front, key=lambda one: (_cost_of(one.value.value, objective), -one.accuracy.value, one.cell))
    tied = [one for one in front if one is best or tie(one.value, best.value)]
    return min(tied, key=lambda one: simplicity(cells[one.cell], one.precision, results)), {one.cell for one in tied}


def simplicity(cell: Cell, precision: str, results: Results) -> tuple[int, int, int, int, int, int, int, str]:
    """The simpler of two cells has the smaller one, see the module's text."""
    route = cell.exporter.partition("+")[0]
    conversions = 0 if cell.framework in FRAMEWORKS else 2 if route == "jax2tf" else 1
    parameters = next((one.parameters for one in results.trainings if one.weights == cell.weights), 0)
    runtimes, routes = list(RUNTIMES), list(EXPORTERS)
    return (
        PRECISIONS.index(precision) if precision in PRECISIONS else len(PRECISIONS),
        conversions,
        cell.threads,
        cell.batch,
        parameters,
        runtimes.index(cell.runtime) if cell.runtime in runtimes else len(runtimes),
        routes.index(route) if route in routes else len(routes),
        cell.name,
    )


def _reasons(
    candidates: list[Candidate],
    answer: Candidate | None,
    tied: set[str],
    front: set[str],
    cells: dict[str, Cell],
    results: Results,
    objective: Objective,
) -> dict[str, str]:
    """Why each candidate that meets every constraint is not the answer."""
    found = {}
    for one in candidates:
        if answer is None or one.cell == answer.cell:
            continue
        if one.cell in tied:
            found[one.cell] = f"tied with {answer.cell}, which is simpler: {_simpler(answer, one, cells, results)}"
            continue
        by = next((other for other in candidates if dominates(other, one, objective)), None)
        if one.cell not in front and by is not None:
            accuracy = "more accurate" if by.accuracy.value > one.accuracy.value else "no less accurate"
            found[one.cell] = f"dominated by {by.cell}: {_times(one, by, objective)} as that one, which is {accuracy}"
        else:
            found[one.cell] = f"{_times(one, answer, objective)} as {answer.cell}"
    return found


def _times(loser: Candidate, winner: Candidate, objective: Objective) -> str:
    """How much worse the objective of one is."""
    ratio = math.exp(abs(math.log(loser.value.value / winner.value.value)))
    if tie(loser.value, winner.value):
        return "within the measurement error as good"
    return f"{ratio:.2f} times as {'dear' if objective == 'cost' else 'slow'}"


def _simpler(answer: Candidate, other: Candidate, cells: dict[str, Cell], results: Results) -> str:
    """The first thing in which the answer is simpler."""
    names = ("precision", "conversions", "threads", "batch", "parameters", "runtime", "exporter", "name")
    mine, theirs = (simplicity(cells[one.cell], one.precision, results) for one in (answer, other))
    place = next(index for index, pair in enumerate(zip(mine, theirs, strict=True)) if pair[0] != pair[1])
    if names[place] in {"conversions", "threads", "batch", "parameters"}:
        return f"{names[place]} {mine[place]} against {theirs[place]}"
    if names[place] == "precision":
        return f"{answer.precision} against {other.precision}"
    return f"{names[place]} comes first in Assay's list"


def _because(answer: Candidate, tied: set[str], objective: Objective) -> str:
    others = len(tied) - 1
    best = {"latency": "the least median time", "throughput": "the most images a second", "cost": "the least price"}
    if not others:
        return best[objective]
    return f"{best[objective]} within the measurement error, and the simplest of {others + 1} that are tied"
