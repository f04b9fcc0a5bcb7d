"""`assay choose`: the best cell of a study under constraints, and why each of the others is not chosen. Pure functions.
Only a trustworthy cell can be chosen: one that was measured, is valid, and whose audit compared exactly this cell, with
the weights and the file that were timed, and passed. Its accuracy is that of its own outputs in the audit and, on
images that it was not run on, that of the reference, if it is proven that the cell has the same classes
(`assay.bench.judging.quality`). A least accuracy has to be met by the lower bound of its interval (Wilson 1927, 95 %),
a limit on the 99th percentile by its upper bound (`assay.bench.statistics.tails`), which takes 299 calls, and one on
memory by the estimate.

The answer is the candidate of the Pareto front with the best objective (`assay.bench.choosing.pareto`), or among those
tied with it by paired evidence (`assay.bench.choosing.best`) the simplest (`assay.bench.choosing.reasons`).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

from assay.bench.choosing.alike import best_of_tiers
from assay.bench.choosing.best import CellSamples, Speeds, tied_with_best
from assay.bench.choosing.pareto import cost_of, pareto_front
from assay.bench.choosing.reasons import because, reasons_against, simplicity
from assay.bench.choosing.whole_machine import (
    assumed_of,
    best_instances,
    cost_of_a_million,
    reason_against_price,
    to_serve_with,
)
from assay.bench.deployment.subject import audited_comparisons
from assay.bench.judging.judged import judged
from assay.bench.judging.quality import quality_of_cell
from assay.bench.statistics.tails import least_calls
from assay.bench.tasks.measure import Measure, is_labelled, known_measures, measure_of
from assay.errors import FailedError, InputError
from assay.fingerprint import fingerprint_in
from assay.records.audit import Audit
from assay.records.base import Interval
from assay.records.choice import PRECISIONS, Choice, Constraints, EligibleCell, NearMiss, Objective, in_words
from assay.records.results import Cell, Results
from assay.records.stale import AGAIN, Stale, is_of, stale_parts
from assay.records.timings import Instances
from assay.registry import RUNTIMES

P99 = 0.99
METRIC = "metric"
"""The name for the user's metric, whatever it is called."""


def choose(
    results: Results,
    audit: Audit,
    constraints: Constraints,
    objective: Objective = "latency",
    price_per_hour: float | None = None,
    *,
    samples: CellSamples | None = None,
    one_process: bool = False,
) -> Choice:
    """Choose the best cell under constraints.

    Args:
        samples: the calls behind the cells; without them ties are judged by the intervals on record.
        one_process: whether a whole machine may be priced for one process that does not use all of it.

    Raises:
        InputError: the objective is "cost" without a price, a constraint names something that does not exist, an
            accuracy is asked for without labels, or a price is given for a machine that the cells do not fill.
    """
    labelled, measure, measures = is_labelled(results), measure_of(results), known_measures(results)
    constraints = _by_full_name(constraints, measures)
    _check_question(constraints, objective, price_per_hour, labelled=labelled)
    _check_shares(constraints, measure, measures)
    losers = not_asked_for(results.cells, constraints)
    others = list(losers)
    assumed = assumed_of(results, others, one_process=one_process) if objective == "cost" else ""
    priced = objective == "cost" and not one_process
    candidates: dict[str, EligibleCell] = {}
    cells = {cell.name: cell for cell in results.cells}
    misses: list[NearMiss] = []
    stale = stale_parts(audit, results)
    for cell in results.cells:
        if cell.name in losers:
            continue
        if priced and (reason := reason_against_price(results, cell)):
            losers[cell.name] = reason
            continue
        try:
            found = _believed(
                cell, results, audit, stale, objective, price_per_hour, labelled=labelled, one_process=one_process
            )
        except FailedError as error:
            losers[cell.name] = str(error)
            continue
        excluded = _excluded(cell, found, constraints)
        missed = _missed(found, constraints, measure, measures)
        if excluded:
            losers[cell.name] = excluded
        elif missed:
            losers[cell.name] = "; ".join(in_words(one) for one in missed)
            misses.append(max(missed, key=lambda one: one.by))
        else:
            candidates[cell.name] = found
    speeds = Speeds(cells, objective, samples or {})
    ordered = sorted(candidates.values(), key=lambda one: (cost_of(one.value.value, objective), one.cell))
    answer, tied = _best(ordered, cells, results, speeds)
    front = {one.cell for one in pareto_front(ordered, speeds)}
    losers |= reasons_against(ordered, answer, tied, front, cells, results, speeds)
    behind = speeds.behind_at_most(answer, ordered) if answer else None
    return Choice(
        study=results.study,
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        machine=fingerprint_in(results.environment).words,
        objective=objective,
        measure=measure.name,
        share=measure.share,
        price_per_hour=price_per_hour,
        constraints=constraints,
        answer=answer.cell if answer else "",
        because=because(answer, tied, objective) if answer else "no candidate qualifies",
        serve_with=to_serve_with(answer, cells[answer.cell]) if answer and objective != "latency" else "",
        assumed=assumed,
        paired=bool(samples),
        behind_at_most=behind if behind is not None and math.isfinite(behind) else None,
        beside=best_of_tiers(answer, ordered, cells, speeds) if answer else [],
        candidates=[one.model_copy(update={"front": one.cell in front, "tied": one.cell in tied}) for one in ordered],
        losers=losers,
        not_asked_for=others,
        wrong=_wrong(results, audit, losers),
        nearest=min(misses, key=lambda one: (one.by, one.cell), default=None) if answer is None else None,
    )


def _by_full_name(constraints: Constraints, measures: Mapping[str, Measure]) -> Constraints:
    """Return the constraints with measures by their own names; "metric" stands for the user's.

    Raises:
        InputError: a measure is not known of these results.
    """
    metric = next((name for name, one in measures.items() if one.is_metric), METRIC)
    least = {metric if name == METRIC else name: limit for name, limit in constraints.least.items()}
    for name in least:
        if name not in measures:
            raise InputError(
                f"--least {name} is not a measure of these results",
                expected=f"one of {', '.join(measures)}" if measures else None,
                found=None if measures else "no right answers",
                remedy="Run `assay model` again with --labels and --metric" if name == METRIC or not measures else None,
            )
    return constraints.model_copy(update={"least": least})


def _check_question(
    constraints: Constraints, objective: Objective, price_per_hour: float | None, *, labelled: bool
) -> None:
    if objective == "cost" and not (price_per_hour or 0.0) > 0:
        raise InputError("The objective 'cost' needs the hourly price of the machine", expected="--price 0.17")
    if constraints.least_quality is not None and not labelled:
        raise InputError(
            "The right answers of this model are unknown",
            remedy="Leave out the limit on the measure, or run `assay model` again with --task and --labels",
        )
    for name in constraints.runtimes:
        RUNTIMES[name]
    for name in constraints.precisions:
        if name not in PRECISIONS:
            raise InputError(f"Unknown precision '{name}'", expected=f"one of {', '.join(PRECISIONS)}")


def _check_shares(constraints: Constraints, measure: Measure, measures: Mapping[str, Measure]) -> None:
    limits = [(measure, constraints.least_quality), *((measures[name], one) for name, one in constraints.least.items())]
    for one, limit in limits:
        if limit is not None and one.share and not 0 <= limit <= 1:
            raise InputError(
                f"The least {one.name} is out of range", expected="from 0 to 1, as 0.98", found=f"{limit:g}"
            )


def _believed(
    cell: Cell,
    results: Results,
    audit: Audit,
    stale: Mapping[str, Stale],
    objective: Objective,
    price_per_hour: float | None,
    *,
    labelled: bool,
    one_process: bool,
) -> EligibleCell:
    """Return a cell as a candidate.

    Args:
        labelled: whether it is known which answers are right.
        one_process: whether the throughput of several instances is ignored.

    Raises:
        FailedError: the cell may not be trusted; the text is the reason.
    """
    if cell.status != "ok" or cell.host is None or cell.throughput is None:
        raise FailedError(f"not measured ({cell.status}): {cell.reason}")
    if cell.invalid:
        raise FailedError(f"not valid: {'; '.join(cell.invalid)}")
    if not cell.framework:
        raise FailedError("a ruler, not a model")
    if cell.agreement is not None and not cell.agreement.passed:
        raise FailedError(f"wrong: {cell.agreement.reason}")
    audited = next((one.name for one in audit.models if is_of(cell, one)), "")
    out_of_date = stale.get(audited, Stale()).reason(cell.exporter)
    if out_of_date:
        raise FailedError(f"its audit is out of date: {out_of_date}", remedy=AGAIN)
    audited_comparisons(audit, cell)
    several = None if objective == "latency" or one_process else best_instances(results, cell.name)
    known = quality_of_cell(audit, cell) if labelled else None
    throughput = several.throughput if several and several.throughput else cell.throughput
    found = EligibleCell(
        cell=cell.name,
        label=cell.label,
        precision=cell.precision or "fp32",
        value=_value(cell.host.median_ms, throughput, objective, price_per_hour),
        quality=known.interval if known else None,
        quality_images=known.images if known else 0,
        quality_inferred=bool(known and known.inferred),
        quality_open=known.open if known else 0,
        measures={one.name: one.value for one in cell.judgement.qualities} if cell.judgement else {},
        p99_ms=cell.host.p99_ms.value,
        p99_at_most_ms=cell.host.p99_ms.high if cell.host.samples >= least_calls(P99) else None,
        calls=cell.host.samples,
        memory_mib=cell.peak_memory_mib,
    )
    return _as_measured(found, several) if several else found


def _as_measured(one: EligibleCell, several: Instances) -> EligibleCell:
    """Return the candidate with the measurements made while so many instances ran."""
    return one.model_copy(
        update={
            "instances": several.instances,
            "sets": several.sets,
            "p99_ms": several.p99_ms if several.p99_ms is not None else one.p99_ms,
            "p99_at_most_ms": several.p99_at_most_ms,
            "calls": several.calls,
            "memory_mib": several.memory_mib,
        }
    )


def _wrong(results: Results, audit: Audit, losers: Mapping[str, str]) -> list[str]:
    """Return the losers whose outputs do not agree."""
    return [
        cell.name
        for cell in judged(results, audit).cells
        if cell.name in losers and cell.agreement is not None and not cell.agreement.passed
    ]


def _value(median_ms: Interval, throughput: Interval, objective: Objective, price_per_hour: float | None) -> Interval:
    if objective == "latency":
        return median_ms
    if objective == "throughput":
        return throughput
    return cost_of_a_million(price_per_hour or 0.0, throughput)


def not_asked_for(cells: Sequence[Cell], constraints: Constraints) -> dict[str, str]:
    """Return how each cell that the question is not about differs, by cell."""
    found: dict[str, str] = {}
    for cell in cells:
        for name in ("architecture", "size", "batch", "threads"):
            wanted = getattr(constraints, name)
            if wanted is not None and getattr(cell, name) != wanted:
                found.setdefault(cell.name, f"{name} {getattr(cell, name)}, {wanted} was requested")
    return found


def _excluded(cell: Cell, found: EligibleCell, constraints: Constraints) -> str:
    """Return why a cell is not allowed, however good, or ""."""
    if constraints.precisions and found.precision not in constraints.precisions:
        return f"{found.precision} is not among the allowed precisions"
    if constraints.runtimes and cell.runtime not in constraints.runtimes:
        return f"{cell.runtime} is not among the allowed runtimes"
    family = RUNTIMES[cell.runtime].family
    licences = {family.licences.get(name, "unknown") for name in family.packages}
    if constraints.licences and not licences <= set(constraints.licences):
        return f"licence {', '.join(sorted(licences - set(constraints.licences)))} is not among the allowed ones"
    return ""


def _missed(
    found: EligibleCell, constraints: Constraints, measure: Measure, measures: Mapping[str, Measure]
) -> list[NearMiss]:
    """Return the limits that a candidate does not meet."""
    asked = [(measure, found.correct, constraints.least_quality)]
    asked += [
        (measures[name], found.measures.get(name, found.correct), limit) for name, limit in constraints.least.items()
    ]
    missed = [
        NearMiss(
            cell=found.cell,
            constraint=one.name,
            by=(limit - value.low) / (abs(limit) or 1.0),
            found=value.low,
            limit=limit,
            images=found.quality_images,
            share=one.share,
        )
        for one, value, limit in asked
        if limit is not None and value.low < limit
    ]
    if constraints.most_memory_mib is not None and found.memory_mib is None:
        missed.append(NearMiss(cell=found.cell, constraint="memory", by=1, found=0, limit=constraints.most_memory_mib))
    if constraints.most_p99_ms is not None and found.p99_at_most_ms is None:
        limit, by = constraints.most_p99_ms, max(1.0, found.p99_ms / constraints.most_p99_ms - 1)
        known = {"found": found.p99_ms, "limit": limit, "images": found.calls}
        missed.append(NearMiss(cell=found.cell, constraint="p99 unknown", by=by, **known))
    upper = (
        ("p99", found.p99_at_most_ms, constraints.most_p99_ms),
        ("memory", found.memory_mib, constraints.most_memory_mib),
    )
    missed += [
        NearMiss(cell=found.cell, constraint=name, by=value / limit - 1, found=value, limit=limit)
        for name, value, limit in upper
        if limit is not None and value is not None and value > limit
    ]
    return missed


def _best(
    candidates: Sequence[EligibleCell], cells: dict[str, Cell], results: Results, speeds: Speeds
) -> tuple[EligibleCell | None, set[str]]:
    """Return the answer, and the cells that cannot be told from the best of the front."""
    front = pareto_front(candidates, speeds)
    if not front:
        return None, set()
    tied = tied_with_best(front, speeds)
    return min(tied, key=lambda one: simplicity(cells[one.cell], one.precision, results)), {one.cell for one in tied}
