"""What is required of the ruler, and whether what was measured meets it. All but the timer's are pure functions."""

from __future__ import annotations

import statistics
import time
from itertools import pairwise

from assay.selfcheck import Bound, Check, PlantedComparisons, Unit
from infer.calibrated import KERNEL_NS, OVERHEAD_NS

MOST_TIMER_NS = 1000.0
MOST_FLOOR_US = 5.0
MOST_MISTAKEN, LEAST_FOUND = 0.05, 0.95
MOST_ATTRIBUTION_ERROR = 0.05
READINGS = 20_000


def timer_checks() -> list[Check]:
    """Smallest step of the clock that times calls, and what reading it costs."""
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
    """What the harness adds to a call: the null runtime at the device boundary."""
    remark = "the null runtime could not be timed"
    if device_us is not None:
        remark = f"null runtime, median at the device boundary; {host_us:.2f} µs at the host boundary"
    return _check("harness floor", device_us, "us", MOST_FLOOR_US, remark)


def attribution_check(whole_us: float | None, skeleton_us: float | None) -> Check:
    """Overhead and kernel of a runtime that spends known times: the skeleton's time, and the rest."""
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


def mistaken_check(found: PlantedComparisons, wanted: int) -> Check:
    """The share of identical runtimes judged different."""
    different = sum(verdict in {"faster", "slower"} for verdict in found.verdicts)
    return _share("identical judged different", different, found, wanted, MOST_MISTAKEN, "at most")


def found_check(found: PlantedComparisons, wanted: int) -> Check:
    """The share of planted slowdowns judged slower."""
    slower = found.verdicts.count("slower")
    return _share(f"slowdown of {found.planted:.0%} found", slower, found, wanted, LEAST_FOUND, "at least")


def _share(name: str, count: int, found: PlantedComparisons, wanted: int, required: float, bound: Bound) -> Check:
    """A share of comparisons; it fails where fewer were made than were wanted, since few prove little."""
    made = len(found.verdicts)
    remarks = [f"{count} of {made}", _precision(found)] if made else []
    if made < wanted:
        remarks.append(f"only {made} of {wanted} comparisons fitted the time")
    check = _check(name, count / made if made else None, "share", required, "; ".join(remarks), bound)
    return check.model_copy(update={"passed": check.passed and made >= wanted})


def _precision(found: PlantedComparisons) -> str:
    """How the ratios came out, and how sure they were."""
    halves = [(ratio.high - ratio.low) / 2 / ratio.value for ratio in found.ratios]
    values = [ratio.value - 1 for ratio in found.ratios]
    return (
        f"measured {statistics.median(values):+.1%} ({min(values):+.1%} to {max(values):+.1%}), to within "
        f"{statistics.median(halves):.1%}, from {min(found.processes)} to {max(found.processes)} processes"
    )


def _check(name: str, found: float | None, unit: Unit, required: float, remark: str, bound: Bound = "at most") -> Check:
    met = found is not None and (found <= required if bound == "at most" else found >= required)
    return Check(name=name, found=found, unit=unit, bound=bound, required=required, passed=met, remark=remark)
