"""Records of instances from the results of their sets: rates, latencies, and whether they may be trusted. Pure
functions.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from assay.bench.judging.validity import LEAST_BUSY, LEAST_CALLS, disturbances
from assay.bench.statistics.stats import Samples
from assay.bench.statistics.tails import least_calls, tail
from assay.bench.statistics.together import Together, mean_interval, ratio_interval
from assay.bench.timing.instances import BatchSeen
from assay.records.base import TOO_FEW, Interval, Tail
from assay.records.results import Cell
from assay.records.timings import Instances

LEAST_SETS = 2
"""The fewest sets: a single one says nothing about how sets differ."""
P99 = 0.99


@dataclass(frozen=True)
class SetSeen:
    """One set of one cell: its conditions and its results, which are None if nothing, or not all, ran."""

    round: int
    seen: BatchSeen
    gave: Together | None


def instances_of(
    cell: Cell, instances: int, sets: Sequence[SetSeen], alone: Sequence[SetSeen], reason: str = ""
) -> Instances:
    """Return the record of one cell at one number of instances.

    Args:
        sets: sets of so many instances, in the order of rounds.
        alone: sets of a single instance, if it was measured; else empty.
        reason: why nothing was measured, if there are no sets.
    """
    good = [one for one in sets if one.gave is not None]
    cores = instances * cell.threads
    if not good:
        failed = next((one.seen.reason for one in sets if one.seen.reason), "")
        reason = failed or reason or "the processes never all ran at the same time"
        return Instances(cell=cell.name, instances=instances, cores=cores, reason=reason)
    gave = [one.gave for one in good if one.gave is not None]
    rates = [one.calls_a_second * cell.batch for one in gave]
    p99, calls = _tail(gave), sum(len(calls) for one in gave for calls in one.calls_ms)
    return Instances(
        cell=cell.name,
        instances=instances,
        cores=cores,
        sets=rates,
        throughput=mean_interval(rates),
        median_ms=mean_interval([one.median_ms for one in gave]),
        p99_ms=p99.value,
        p99_at_most_ms=p99.high if calls >= least_calls(P99) else None,
        calls=calls,
        slowed=_slowed(good, alone) if instances > 1 else None,
        memory_mib=max(one.seen.peak_mib for one in good),
        invalid=_reasons(cell, sets, gave),
    )


def _tail(gave: Sequence[Together]) -> Tail:
    """Return the 99th percentile over all sets; a set counts as a process elsewhere, and an instance as a block."""
    calls = [(place, number, one) for place, each in enumerate(gave) for number, one in enumerate(each.calls_ms)]
    return tail(
        Samples(
            process=np.concatenate([np.full(len(one), place) for place, _, one in calls]),
            block=np.concatenate([np.full(len(one), number) for _, number, one in calls]),
            values=np.concatenate([one for _, _, one in calls]),
        ),
        P99,
    )


def _slowed(sets: Sequence[SetSeen], alone: Sequence[SetSeen]) -> Interval | None:
    """Return how many times as long a call takes as alone, over the rounds that have both."""
    single = {one.round: one.gave.median_ms for one in alone if one.gave}
    pairs = [(one.gave.median_ms, single[one.round]) for one in sets if one.gave and one.round in single]
    return ratio_interval(*zip(*pairs, strict=True)) if pairs else None


def _reasons(cell: Cell, sets: Sequence[SetSeen], gave: Sequence[Together]) -> list[str]:
    """Return why the numbers are not to be trusted; empty if they are. The limits are those of `validity`."""
    found = []
    if len(gave) < LEAST_SETS:
        found.append(f"{TOO_FEW} sets of processes: {len(gave)}, at least {LEAST_SETS} are needed")
    if failed := [one for one in sets if one.gave is None]:
        why = next((one.seen.reason for one in failed if one.seen.reason), "not all processes ran at the same time")
        found.append(f"{len(failed)} of {len(sets)} sets failed: {why}")
    if (fewest := min(one.fewest for one in gave)) < LEAST_CALLS:
        found.append(f"{TOO_FEW} calls: {fewest} while all ran, at least {LEAST_CALLS} are needed")
    seen = [one.seen for one in sets if one.gave]
    busy = min(one.busy for one in seen)
    found += disturbances(
        stolen_share=max(one.stolen_share or 0.0 for one in seen),
        throttle_events=sum(one.throttle_events or 0 for one in seen),
        switches_per_second=0.0 if cell.waits else max(one.switches_per_second for one in seen),
        lost=1 - busy,
    )
    if cell.device_kind == "cpu" and busy * cell.threads < LEAST_BUSY and not cell.waits:
        found.append(f"an instance used {busy:.0%} of its cores; it was waiting")
    return found
