"""Reasons why one of several candidates is the answer to `assay choose`, and why each of the others is not. Pure
functions. Among tied candidates the simplest is the answer. These are simpler, in this order: a more exact precision
(fp32, then bf16, fp16, int8), fewer conversions between the trained weights and what runs (none, one export or file of
a deployment runtime, an export in two steps), fewer threads, a smaller batch, a smaller model, and an earlier place in
Assay's list of runtimes and exporters; the name decides the rest, so that the answer never depends on an order.
"""

from __future__ import annotations

import math

from assay.bench.choosing.best import Speeds
from assay.bench.choosing.pareto import dominates
from assay.records.choice import PRECISIONS, EligibleCell, Objective
from assay.records.results import Cell, Results
from assay.registry import EXPORTERS, RUNTIMES


def simplicity(cell: Cell, precision: str, results: Results) -> tuple[int, int, int, int, int, int, int, str]:
    """Return a key that is smaller for the simpler of two cells; see the module's text."""
    route = cell.exporter.partition("+")[0]
    conversions = 0 if cell.tier == "framework" else 2 if route == "jax2tf" else 1
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


def reasons_against(
    candidates: list[EligibleCell],
    answer: EligibleCell | None,
    tied: set[str],
    front: set[str],
    cells: dict[str, Cell],
    results: Results,
    speeds: Speeds,
) -> dict[str, str]:
    """Return why each candidate that meets every constraint is not the answer."""
    found = {}
    for one in candidates:
        if answer is None or one.cell == answer.cell:
            continue
        if one.cell in tied:
            found[one.cell] = f"tied with {answer.cell}, which is simpler: {_simpler(answer, one, cells, results)}"
            continue
        by = next((other for other in candidates if dominates(other, one, speeds)), None)
        if one.cell not in front and by is not None:
            right = "right more often" if by.correct.value > one.correct.value else "right no less often"
            which = f", which is {right}" if one.quality else ""
            found[one.cell] = f"dominated by {by.cell}: {_times(one, by, speeds)} as that one{which}"
        else:
            found[one.cell] = f"{_times(one, answer, speeds)} as {answer.cell}{_not_compared(one, answer)}"
    return found


def _not_compared(one: EligibleCell, answer: EligibleCell) -> str:
    """Say that the quality of two candidates is known on different images, or return ""."""
    if one.quality_images == answer.quality_images:
        return ""
    images = f"{one.quality_images:,} and {answer.quality_images:,}"
    return f"; their measures are of different images, {images}, and were not compared"


def _times(loser: EligibleCell, winner: EligibleCell, speeds: Speeds) -> str:
    """Say how much worse the objective of one is."""
    ratio = math.exp(speeds.ratio(loser, winner).log_mean)
    if speeds.tie(loser, winner):
        return f"as good within the measurement error (estimated {ratio:.2f} times)"
    return f"{ratio:.2f} times as {'expensive' if speeds.objective == 'cost' else 'slow'}"


def _simpler(answer: EligibleCell, other: EligibleCell, cells: dict[str, Cell], results: Results) -> str:
    """Return the first respect in which the answer is simpler."""
    names = ("precision", "conversions", "threads", "batch", "parameters", "runtime", "exporter", "name")
    mine, theirs = (simplicity(cells[one.cell], one.precision, results) for one in (answer, other))
    place = next(index for index, pair in enumerate(zip(mine, theirs, strict=True)) if pair[0] != pair[1])
    if names[place] in {"conversions", "threads", "batch", "parameters"}:
        return f"{names[place]} {mine[place]} against {theirs[place]}"
    if names[place] == "precision":
        return f"{answer.precision} against {other.precision}"
    return f"{names[place]} comes first in Assay's list"


def because(answer: EligibleCell, tied: set[str], objective: Objective) -> str:
    """Say why it was chosen and not a tied one."""
    others = len(tied) - 1
    best = {"latency": "the lowest median time", "throughput": "the most images per second", "cost": "the lowest price"}
    if not others:
        return best[objective]
    return f"{best[objective]} within the measurement error, and the simplest of {others + 1} that are tied"
