"""`assay choose` over kinds of machines: the best on each under constraints, and the best of these. Pure functions.

A cell qualifies on a kind where it does on every run that has it: a limit that one machine misses is missed. Its value
is that of `assay.bench.fleet.levels` over the kind's machines. Where every run has one answer that is it, so that what
is tied on each is settled by simplicity as `assay.bench.choosing` does it; else it is the cell of the best value. Kinds
were never timed together: two differ only where their intervals leave no doubt.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

from assay.bench.choosing.choose import choose, not_asked_for
from assay.bench.choosing.pareto import cost_of
from assay.bench.choosing.whole_machine import assumed_of
from assay.bench.fleet.levels import estimate_of_kind, of_machine
from assay.bench.fleet.runs import RunApart
from assay.bench.judging.verdicts import MARGIN
from assay.errors import ArtifactError, InputError
from assay.fleet.choice import ChoiceOnKind, KindChoice
from assay.fleet.joined import Joined, JoinedKind
from assay.fleet.prices import Prices
from assay.records.base import Interval
from assay.records.choice import Choice, Constraints, Objective


def choose_over_kinds(
    joined: Joined,
    runs: Mapping[str, RunApart],
    constraints: Constraints,
    objective: Objective,
    prices: Prices | None = None,
    *,
    one_process: bool = False,
) -> KindChoice:
    """Choose the best kind and cell.

    Args:
        runs: runs by their names in the record.
        prices: prices that replace those that the runs were joined with.

    Raises:
        InputError: constraints that cannot be, a run without an audit, or the objective "cost" where no kind has a
            price.
    """
    priced = {kind.key: prices.of(kind.kind) if prices else kind.price_per_hour for kind in joined.kinds}
    if objective == "cost" and not any(priced.values()):
        raise InputError(
            "No kind of machine has a price",
            expected=f"a price of {' or '.join(one.kind.instance_type or one.kind.short_key for one in joined.kinds)}",
            remedy="Name a file of prices with --prices",
        )
    found = [
        _on_kind(joined, kind, runs, constraints, objective, priced[kind.key], one_process=one_process)
        for kind in joined.kinds
    ]
    qualified = [one for one in found if one.value is not None]
    best = min(qualified, key=lambda one: cost_of(one.value.value, objective) if one.value else 0.0, default=None)
    told = [one.model_copy(update={"tied": best is not None and _tied(one, best)}) for one in found]
    ordered = sorted(
        told, key=lambda one: (one.value is None, cost_of(one.value.value, objective) if one.value else 0.0)
    )
    return KindChoice(
        study=joined.study,
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        objective=objective,
        currency=prices.currency if prices else joined.currency,
        constraints=constraints,
        kind=best.kind if best else "",
        cell=best.cell if best else "",
        on_kinds=ordered,
    )


def _on_kind(
    joined: Joined,
    kind: JoinedKind,
    runs: Mapping[str, RunApart],
    constraints: Constraints,
    objective: Objective,
    price: float | None,
    *,
    one_process: bool,
) -> ChoiceOnKind:
    blank = ChoiceOnKind(kind=kind.key, name=kind.name, machines=kind.machines, price_per_hour=price)
    if objective == "cost" and price is None:
        return blank.model_copy(update={"reason": "it has no hourly price"})
    names = [run for run in joined.runs if run.kind == kind.key]
    try:
        if objective == "cost":
            for one in names:
                results = runs[one.name].results
                assumed_of(results, list(not_asked_for(results.cells, constraints)), one_process=one_process)
    except InputError as error:  # the kind has more cores than its cells fill; another kind may not
        return blank.model_copy(update={"reason": str(error)})
    choices = {
        one.name: _choice(runs[one.name], constraints, objective, price, one_process=one_process) for one in names
    }
    values = _values({one.name: one.machine for one in names}, choices)
    if not values:
        return blank.model_copy(update={"reason": _why_none(list(choices.values()))})
    cell = _picked(values, [choice.answer for choice in choices.values()], objective)
    answered = next((one for one in choices.values() if one.answer == cell), None)
    return blank.model_copy(
        update={"cell": cell, "value": values[cell], "serve_with": answered.serve_with if answered else ""}
    )


def _choice(
    run: RunApart, constraints: Constraints, objective: Objective, price: float | None, *, one_process: bool
) -> Choice:
    if run.audit is None:
        raise ArtifactError(
            f"{run.folder} has no audit", expected="an audited run", remedy="Audit the runs before they are joined"
        )
    return choose(run.results, run.audit, constraints, objective, price, samples=run.timed, one_process=one_process)


def _values(machines: Mapping[str, str], choices: Mapping[str, Choice]) -> dict[str, Interval]:
    """Return the value over machines of each cell that qualifies on every run."""
    lost = {
        cell
        for choice in choices.values()
        for cell in choice.losers
        if cell not in {one.cell for one in choice.candidates}
    }
    by_cell: dict[str, dict[str, list[Interval]]] = {}
    for name, choice in choices.items():
        for one in choice.candidates:
            if one.cell not in lost:
                by_cell.setdefault(one.cell, {}).setdefault(machines[name], []).append(one.value)
    return {cell: estimate_of_kind([of_machine(values) for values in of.values()]) for cell, of in by_cell.items()}


def _picked(values: Mapping[str, Interval], answers: Sequence[str], objective: Objective) -> str:
    if len(set(answers)) == 1 and answers[0] in values:
        return answers[0]
    return min(values, key=lambda cell: (cost_of(values[cell].value, objective), cell))


def _why_none(choices: Sequence[Choice]) -> str:
    """Return the first reason why the nearest cell of any run does not qualify."""
    nearest = next((choice.nearest for choice in choices if choice.nearest), None)
    if nearest is not None:
        reason = next(choice.losers.get(nearest.cell, "") for choice in choices if choice.nearest == nearest)
        return f"nothing qualifies; the nearest, {nearest.cell}: {reason}"
    return "nothing qualifies on every machine of it, and no valid measurement comes near"


def _tied(one: ChoiceOnKind, best: ChoiceOnKind) -> bool:
    """Check whether both intervals leave doubt that its value is behind the best, or it is within the margin."""
    if one.value is None or best.value is None:
        return False
    if one.kind == best.kind:
        return True
    halves = [math.log(value.high / value.low) / 2 for value in (one.value, best.value)]
    return abs(math.log(one.value.value / best.value.value)) <= max(math.log1p(MARGIN), math.hypot(*halves))
