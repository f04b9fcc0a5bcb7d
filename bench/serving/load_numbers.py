"""Estimates from the clients' measurements, and whether they can be trusted: pure functions."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from assay.bench.judging.validity import LEAST_CALLS, LEAST_PROCESSES, MOST_STOLEN
from assay.bench.machine.machine import MOST_LOAD
from assay.bench.statistics.intervals import half_width
from assay.bench.statistics.stats import Samples
from assay.bench.statistics.steadiness import DRIFT_LARGEST, steadiness
from assay.records.base import ROUNDING, Interval
from assay.records.load import Conditions, HighestRate, LatencySplit, RateTried

BLOCKS = 8
"""Parts of equal time that a client's run is cut into."""
MOST_CLIENT_USE = 0.95
"""A client in Python uses one processor at most: beyond this the client is the limit."""
CLOSE_ENOUGH = 1.08
"""The search for a rate ends when the rate that holds and the one that fails are this close."""
STEP = 1.6
KEEPS_UP = 0.95
"""A server that answers less than this share of what is due does not hold the rate, whatever its percentiles."""


def samples_of(begun_ns: Sequence[NDArray[np.int64]], total_ns: Sequence[NDArray[np.int64]]) -> Samples:
    """Return latencies in milliseconds, one array for each process, in blocks of equal time; in the order of time."""
    block = [(BLOCKS * part / (part.max(initial=0) + 1)).astype(np.int64) for part in begun_ns]
    process = [np.full(len(part), number) for number, part in enumerate(begun_ns)]
    return Samples(np.concatenate(process), np.concatenate(block), np.concatenate(total_ns) / 1e6)


def split_of(counters: Sequence[dict[str, dict[str, int]]], wire_ms: float, client_ms: float) -> LatencySplit | None:
    """Split the time of a request by the growth of Triton's counters; see `LatencySplit`."""
    requests = sum(one["success"]["count"] for one in counters)
    if not requests:
        return None

    def mean_ms(*names: str) -> float:
        return sum(one[name]["ns"] for one in counters for name in names) / requests / 1e6

    queue, compute = mean_ms("queue"), mean_ms("compute_input", "compute_infer", "compute_output")
    whole = mean_ms("success")
    return LatencySplit(
        client=client_ms,
        network=wire_ms - whole,
        queue=queue,
        compute=compute,
        server=whole - queue - compute,
    )


def reasons(samples: Samples | None, conditions: Sequence[Conditions], failed: int, wrong: int) -> list[str]:
    """Return why a load measurement cannot be trusted, by the limits of `bench.judging.validity`; none when it can."""
    found = _about_answers(failed, wrong) + _about_machine(conditions)
    if len(conditions) < LEAST_PROCESSES:
        found.append(f"too few processes: {len(conditions)}, at least {LEAST_PROCESSES} are needed")
    if samples is None:
        return found
    if len(samples.values) < LEAST_CALLS:
        return [*found, f"too few requests: {len(samples.values)}, at least {LEAST_CALLS} are needed"]
    seen = steadiness(samples)
    if seen.drifts:
        found.append(f"drift: {seen.drift:+.1%} over a process, at most {DRIFT_LARGEST:.0%} is tolerated")
    return found


def _about_answers(failed: int, wrong: int) -> list[str]:
    found = [f"{failed} requests failed"] if failed else []
    return found + ([f"{wrong} records got answers that differ from the audited ones"] if wrong else [])


def _about_machine(conditions: Sequence[Conditions]) -> list[str]:
    found = []
    stolen = max((one.stolen_share or 0 for one in conditions), default=0)
    if stolen > MOST_STOLEN:
        found.append(f"stolen processor time: {stolen:.1%}, at most {MOST_STOLEN:.0%} is tolerated")
    throttled = sum(one.throttle_events or 0 for one in conditions)
    if throttled:
        found.append(f"throttled processor: {throttled} events")
    busy = max((one.others_busy or 0 for one in conditions), default=0)
    if busy > MOST_LOAD:
        found.append(f"other work on this machine: {busy:.1f} cores were busy before it began, at most {MOST_LOAD}")
    use = max((one.client_use for one in conditions), default=0)
    if use > MOST_CLIENT_USE:
        found.append(f"the client was busy {use:.0%} of the time: it may be the limit, not the server")
    return found


def search_rate(
    measure: Callable[[float], RateTried], start: float, bound_ms: float, tries: int, searches: int = 1
) -> HighestRate:
    """Find the highest rate that holds: steps until one holds and one fails, then between them, on a geometric scale.

    One search says where a server was once, and another one, in fresh client processes, says something else: the
    interval is Student's over the searches, each with the middle between the rates that held and failed, and no
    narrower than their distance. All begin at the same place, with steps that are large compared with a server's
    fluctuation: one that began where another had ended would end near it, whatever the truth
    (docs/explanation/statistics.md).

    Args:
        measure: tries a rate, in a fresh process.
        start: where to begin.
        tries: greatest number of tries in a search.
        searches: number of searches.
    """
    tried = _search(measure, start, STEP, tries)
    holds, fails = _bracket(tried)
    found = [(holds, fails)]
    if holds and fails:
        for _ in range(searches - 1):
            more = _search(measure, start, STEP, tries)
            found.append(_bracket(more))
            tried += more
    known = [one for one in found if all(one)]
    return HighestRate(
        bound_ms=bound_ms,
        rate=min((one[0] for one in known), default=holds) or None,
        fails_at=min((one[1] for one in known), default=fails) or None,
        searches=len(found),
        interval=_interval_of_rate(known) if len(known) == len(found) > 1 else None,
        tried=tried,
    )


def _interval_of_rate(brackets: Sequence[tuple[float, float]]) -> Interval:
    """Return the geometric mean of the searches' rates, with the uncertainty that they and their brackets leave."""
    middles = np.log([math.sqrt(holds * fails) for holds, fails in brackets])
    bracket = max(math.log(fails / holds) for holds, fails in brackets) / 2
    half, mean = math.hypot(half_width(middles), bracket), float(middles.mean())
    return Interval(value=math.exp(mean), low=math.exp(mean - half), high=math.exp(mean + half))


def _search(measure: Callable[[float], RateTried], start: float, step: float, tries: int) -> list[RateTried]:
    """Return the rates of one search; it ends when the rates that hold and fail are close."""
    tried: list[RateTried] = []
    rate = start
    while len(tried) < tries:
        tried.append(measure(rate))
        holds, fails = _bracket(tried)
        if holds and fails and fails / holds <= CLOSE_ENOUGH * (1 + ROUNDING):
            break
        outwards = holds * step if holds else rate / step
        rate = math.sqrt(holds * fails) if holds and fails else outwards
    return tried


def _bracket(tried: Sequence[RateTried]) -> tuple[float, float]:
    """Return the lowest rate that failed, and the highest below it that held; 0 where there is none.

    A failure counts: where a higher rate held by chance, the lower one that failed decides.
    """
    fails = min((one.rate for one in tried if not one.holds), default=0.0)
    holds = max((one.rate for one in tried if one.holds and (not fails or one.rate < fails)), default=0.0)
    return holds, fails
