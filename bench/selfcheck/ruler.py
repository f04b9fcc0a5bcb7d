"""The requirements of the instrument, and whether the measurements meet them. Only the timer's check is impure."""

from __future__ import annotations

import math
import statistics
import time
from collections.abc import Mapping, Sequence
from itertools import pairwise

import numpy as np

from assay.bench.judging.verdicts import TOLD_OFTEN
from assay.bench.statistics.intervals import ratio_over_processes
from assay.bench.statistics.sequential import Sequential
from assay.bench.statistics.stats import CONFIDENCE
from assay.infer.runtimes.calibrated import KERNEL_NS, OVERHEAD_NS
from assay.numerics.distributions import student_quantile
from assay.records.selfcheck import Bound, Check, PlantedComparisons, Unit

MOST_TIMER_NS = 1000.0
MOST_FLOOR_US = 5.0
MISTAKEN = Sequential(good=0.05, bad=0.15)
"""How often verdicts may err: at 95 % confidence, in 5 % of all cases."""
MISSED = Sequential(good=0.05, bad=0.25)
MOST_TOLD = 0.1
TOLD_DRAWS = 20_000
MOST_ATTRIBUTION_ERROR = 0.05
MOST_FROZEN_COST = 0.01
READINGS = 20_000


def timer_checks() -> list[Check]:
    """Check the smallest step of the clock that times calls, and the cost of reading it."""
    readings = [time.perf_counter_ns() for _ in range(READINGS)]
    gaps = [after - before for before, after in pairwise(readings)]
    steps = [gap for gap in gaps if gap > 0]
    resolution = float(min(steps)) if steps else None
    cost = float(statistics.median(gaps))
    return [
        _check("timer resolution", resolution, "ns", MOST_TIMER_NS, "smallest step of time.perf_counter_ns"),
        _check("timer overhead", cost, "ns", MOST_TIMER_NS, "one reading, median"),
    ]


def floor_check(device_us: float | None, host_us: float | None) -> Check:
    """Check how much the harness adds to a call: the null runtime at the device boundary."""
    remark = "the null runtime could not be timed"
    if device_us is not None:
        remark = f"null runtime, median at the device boundary; {host_us:.2f} µs at the host boundary"
    return _check("harness floor", device_us, "us", MOST_FLOOR_US, remark)


def attribution_check(whole_us: float | None, skeleton_us: float | None) -> Check:
    """Check overhead and kernel of a runtime that spends known times: the skeleton's time, and the rest."""
    name = "attribution error"
    if whole_us is None or skeleton_us is None:
        remark = "the runtime of known overhead could not be timed"
        return _check(name, None, "share", MOST_ATTRIBUTION_ERROR, remark)
    overhead_us, kernel_us = OVERHEAD_NS / 1000, KERNEL_NS / 1000
    worst = max(abs(skeleton_us / overhead_us - 1), abs((whole_us - skeleton_us) / kernel_us - 1))
    remark = (
        f"overhead {skeleton_us:.1f} µs of {overhead_us:.0f}, kernel {whole_us - skeleton_us:.1f} µs of "
        f"{kernel_us:.0f}; the larger error of the two"
    )
    return _check(name, worst, "share", MOST_ATTRIBUTION_ERROR, remark)


def frozen_check(medians: Mapping[int, Sequence[float]]) -> Check:
    """Check by how much frozen processes with a context on a GPU slow down the one that runs there.

    Args:
        medians: its median in each fresh process, by the number of frozen ones beside it; 0 is among them.
    """
    name, alone = "slower beside frozen processes", medians[0]
    costs = {
        many: ratio_over_processes([one / zero for one, zero in zip(beside, alone, strict=True)])
        for many, beside in medians.items()
        if many and beside and len(beside) == len(alone)
    }
    if len(costs) < len(medians) - 1:
        return _check(name, None, "share", MOST_FROZEN_COST, "not measured within the time")
    told = [
        f"{cost.value - 1:+.2%} ({cost.low - 1:+.2%} to {cost.high - 1:+.2%}) beside {many}"
        for many, cost in costs.items()
    ]
    worst = max(cost.value for cost in costs.values()) - 1
    return _check(name, max(worst, 0.0), "share", MOST_FROZEN_COST, "; ".join(told))


def mistaken_check(found: PlantedComparisons) -> Check:
    """Check the share of identical runtimes judged different."""
    errors = [verdict in {"faster", "slower"} for verdict in found.verdicts]
    share = sum(errors) / len(errors) if errors else None
    return _tested("identical judged different", share, found, errors, MISTAKEN, "at most")


def found_check(found: PlantedComparisons) -> Check:
    """Check the share of planted slowdowns judged slower."""
    errors = [verdict != "slower" for verdict in found.verdicts]
    share = 1 - sum(errors) / len(errors) if errors else None
    return _tested(f"slowdown of {found.planted:.0%} found", share, found, errors, MISSED, "at least")


def told_check(told: dict[int, float], processes: int) -> Check:
    """Check the smallest slowdown that the study's own design detects four times out of five."""
    name = f"told with {processes} processes"
    if processes not in told:
        return _check(name, None, "share", MOST_TOLD, "too few comparisons to say")
    others = [f"{share:.1%} with {count}" for count, share in told.items() if count != processes]
    remark = f"the smallest slowdown that is detected four times out of five; {', '.join(others)}"
    return _check(name, told[processes], "share", MOST_TOLD, remark)


def _tested(
    name: str, share: float | None, found: PlantedComparisons, errors: Sequence[bool], test: Sequential, bound: Bound
) -> Check:
    """Check a share of comparisons by a sequential test, which has to pass before the time is up."""
    answer = test.answer(errors)
    remarks = (
        [f"{len(errors) - sum(errors) if bound == 'at least' else sum(errors)} of {len(errors)}"] if errors else []
    )
    remarks += [_ratios_found(found)] if errors else []
    remarks += (
        [test.sentence]
        if answer != "open"
        else [f"not decided within the time: it takes {test.least} comparisons without an error, or more --minutes"]
    )
    required = test.bad if bound == "at most" else 1 - test.bad
    return Check(
        name=name,
        found=share,
        unit="share",
        bound=bound,
        required=required,
        passed=answer == "good",
        remark="; ".join(remarks),
    )


def least_told(logs: Sequence[float], processes: int) -> float:
    """Return the smallest slowdown, as a share, that so many processes detect four times out of five.

    A slowdown adds to the logarithm of every ratio, so a draw of processes detects it where it exceeds the threshold of
    Student's test there. Draws are with replacement from the ratios of identical runtimes, one a process.
    """
    drawn = np.random.default_rng(0).choice(np.asarray(logs), (TOLD_DRAWS, processes))
    errors = drawn.std(axis=1, ddof=1) / math.sqrt(processes)
    needed = student_quantile(processes - 1, (1 + CONFIDENCE) / 2) * errors - drawn.mean(axis=1)
    return max(math.expm1(float(np.quantile(needed, TOLD_OFTEN))), 0.0)


def _ratios_found(found: PlantedComparisons) -> str:
    """Describe the ratios, and how certain they were."""
    halves = [(ratio.high - ratio.low) / 2 / ratio.value for ratio in found.ratios]
    values = [ratio.value - 1 for ratio in found.ratios]
    return (
        f"measured {statistics.median(values):+.1%} ({min(values):+.1%} to {max(values):+.1%}), to within "
        f"{statistics.median(halves):.1%}"
    )


def _check(name: str, found: float | None, unit: Unit, most: float, remark: str) -> Check:
    """Check a number against an upper limit."""
    met = found is not None and found <= most
    return Check(name=name, found=found, unit=unit, bound="at most", required=most, passed=met, remark=remark)
