"""The way from samples to the cells of a study's results: pure functions."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence

import numpy as np
import polars
from pydantic import JsonValue

from assay.bench.statistics.stats import Samples, quantile_intervals
from assay.bench.statistics.tails import tail
from assay.bench.timing.trials import CellFacts, Group, Observation, computed_in
from assay.bench.timing.workers import Candidate
from assay.infer.observing.observed import NODES_ON_CPU
from assay.numerics.precisions import FULL
from assay.records.base import TOO_FEW
from assay.records.results import Agreement, Cell
from assay.records.timings import ColdStart, Timing

NANOSECONDS_IN_MS = 1e6
GroupKey = tuple[str, int, int, int]
CellSamples = Mapping[str, Mapping[str, Samples]]


def cells_of(
    groups: Sequence[Group],
    facts: Sequence[CellFacts],
    samples: polars.DataFrame,
    agreements: dict[str, Agreement],
    weights: dict[str, str],
    planned: int = 0,
) -> list[Cell]:
    """Return one record for each candidate and batch of each group.

    Args:
        agreements: comparison of each cell's outputs, by cell name.
        weights: key of the weights that all candidates of a group run, by group name.
        planned: see `Samples`.
    """
    told: dict[str, list[CellFacts]] = defaultdict(list)
    for fact in facts:
        told[fact.cell].append(fact)
    timed = by_cell(samples, planned)
    found = []
    for group in groups:
        for batch in group.batches:
            for candidate in group.candidates:
                blank = blank_cell(group, batch, candidate, weights[group.name])
                cell = _cell(blank, told[blank.name], timed.get(blank.name), agreements.get(blank.name))
                made = _with_making(cell, candidate)
                found.append(_allowed(made) if group.nodes_on_cpu else made)
            for candidate, reason in group.refused:
                blank = blank_cell(group, batch, candidate, weights[group.name])
                found.append(blank.model_copy(update={"status": "failed", "reason": reason}))
    return found


def blank_cell(group: Group, batch: int, candidate: Candidate, weights: str) -> Cell:
    """Return a cell about which nothing is known yet."""
    spec = candidate.model.spec
    return Cell(
        name=group.cell_name(batch, candidate.label),
        architecture=spec.architecture,
        size=spec.size,
        batch=batch,
        threads=group.settings.threads,
        device_kind=candidate.asked_device(group.settings.device),
        asked_device=candidate.asked_device(group.settings.device),
        asked_precision=candidate.asked_precision,
        runtime=candidate.runtime,
        framework=candidate.framework,
        exporter=candidate.exporter,
        label=candidate.label,
        status="skipped",
        reason="nothing was measured",
        weights=weights,
        program=candidate.model.program_key,
    )


def planned_of(settings: Mapping[str, JsonValue]) -> int:
    """Return how many processes the settings of a record plan before any is added (see `Samples`); 0 if none is ever
    added.
    """
    bench = settings.get("bench")
    asked = bench if isinstance(bench, dict) else settings
    processes = asked.get("processes")
    adds = asked.get("interval_width", asked.get("precision"))  # its name in older records
    return processes if isinstance(processes, int) and adds else 0


def by_cell(samples: polars.DataFrame, planned: int = 0) -> dict[str, dict[str, Samples]]:
    """Return samples by cell name and boundary, in milliseconds; `planned` is that of `Samples`."""
    found: dict[str, dict[str, Samples]] = defaultdict(dict)
    for (cell, boundary), part in samples.group_by("cell", "boundary"):
        found[str(cell)][str(boundary)] = Samples(
            part["process"].to_numpy().astype(np.int64),
            part["block"].to_numpy().astype(np.int64),
            part["wall_ns"].to_numpy() / NANOSECONDS_IN_MS,
            planned,
        )
    return found


def _cell(blank: Cell, facts: list[CellFacts], timed: dict[str, Samples] | None, agreement: Agreement | None) -> Cell:
    failed = [fact for fact in facts if fact.reason and not fact.skipped]
    good = [fact for fact in facts if not fact.reason]
    if failed:
        return blank.model_copy(update={"status": "failed", "reason": failed[0].reason})
    if not good or not timed:
        return blank.model_copy(update=_why_untimed(facts))
    host = timing(timed["host"])
    first = min(good, key=lambda fact: fact.process)
    update = {
        "status": "ok",
        "reason": "",
        "host": host,
        "device": timing(timed["device"]),
        "throughput": host.median_ms.per_second(blank.batch),
        "cold": ColdStart(
            import_seconds=float(np.median([fact.import_seconds for fact in good])),
            load_seconds=float(np.median([fact.load_seconds for fact in good])),
            first_call_seconds=first.first_call_seconds,
            first_calls=first.first_calls,
        ),
        "peak_memory_mib": max(fact.peak_mib for fact in good),
        "precision": computed_in(good),
        "provenance": first.facts,
        "agreement": agreement,
    }
    return blank.model_copy(update=update | _as_seen(blank, first.seen))


def _why_untimed(facts: Sequence[CellFacts]) -> dict[str, str]:
    """Return what the facts say of a cell without times, as its fields; nothing where there is no reason among them."""
    first = next(iter(facts), None)
    return {"reason": first.reason, "lacks": "time" if first.skipped else ""} if first and first.reason else {}


def _with_making(cell: Cell, candidate: Candidate) -> Cell:
    """Return the cell with the time that making its program took."""
    if cell.cold is None or candidate.made_seconds is None:
        return cell
    cold = cell.cold.model_copy(update={"made_seconds": candidate.made_seconds})
    return cell.model_copy(update={"cold": cold})


def _allowed(cell: Cell) -> Cell:
    """Return the cell with its nodes on the CPU on record as allowed, so that they do not count against it."""
    facts = dict(cell.provenance)
    if left := facts.pop(NODES_ON_CPU, ""):
        facts[f"{NODES_ON_CPU}, as the study allows"] = left
    return cell.model_copy(update={"provenance": facts})


def _as_seen(blank: Cell, seen: Observation | None) -> dict[str, str]:
    """Return the device and precision of a cell that a call showed.

    A user's model is not asked for a precision. A file in fp32 asks every runtime for fp32.
    """
    if seen is None:
        return {}
    asked = blank.asked_precision or (seen.model if seen.model in FULL else "")
    computed = seen.computed if seen.computed != seen.precision else ""
    return {"device_kind": seen.device or blank.device_kind, "asked_precision": asked, "computed_in": computed}


def timing(samples: Samples) -> Timing:
    """Return the median, 90th and 99th percentile, the first two with their intervals and the last with its bounds."""
    median, p90 = quantile_intervals(samples, (0.5, 0.9))
    return Timing(
        median_ms=median,
        p90_ms=p90,
        p99_ms=tail(samples),
        samples=len(samples.values),
        processes=len(np.unique(samples.process)),
    )


def group_key(cell: Cell) -> GroupKey:
    """Return what a cell is compared within: architecture, size, batch and threads."""
    return (cell.architecture, cell.size, cell.batch, cell.threads)


def ranked(cell: Cell) -> bool:
    """Return whether a cell may be ranked: measured, valid, of a framework, and not shown to be wrong."""
    agrees = cell.agreement is None or cell.agreement.passed
    return cell.status == "ok" and cell.host is not None and bool(cell.framework) and agrees and not cell.invalid


def is_short_of_samples(cell: Cell) -> bool:
    """Whether nothing but too few processes or calls is against a cell: its times are not INVALID, and not ranked."""
    return bool(cell.invalid) and all(reason.startswith(TOO_FEW) for reason in cell.invalid)


def dropped(cell: Cell) -> bool:
    """Whether nothing but too few processes keep a cell from being ranked: it was in the running for a while."""
    return is_short_of_samples(cell) and ranked(cell.model_copy(update={"invalid": []}))
