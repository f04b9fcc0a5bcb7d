"""A test of whether a cell's times may be trusted: VALID, or INVALID with every reason. Pure functions. A number that
fails is shown and never ranked, as in MLPerf LoadGen. The origin of each limit is given below.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np
import polars

from assay.bench.judging import gpu_conditions
from assay.bench.judging.summary import CellSamples, group_key
from assay.bench.statistics import modes
from assay.bench.statistics.stats import Samples, block_medians
from assay.bench.statistics.steadiness import DRIFT_LARGEST, is_drift, process_medians, steadiness
from assay.bench.statistics.steadiness import CallSteadiness as Found
from assay.bench.timing.measurements import Measurements
from assay.infer.observing.observed import NODES_ON_CPU, not_as_asked
from assay.records.base import TOO_FEW
from assay.records.results import Agreement, Cell
from assay.records.timings import Steadiness
from assay.runtimes.rulers import NULL

TOO_SHORT = "harness floor"
"""The beginning of a reason that a larger batch would remove, and no quieter machine would."""

LEAST_PROCESSES = 2
"""The fewest processes: one says nothing about how processes differ."""

LEAST_CALLS = 8
"""The fewest calls: with fewer, not even the median's interval lies inside the sample (a sign interval of 99 % needs
eight).
"""

MOST_STOLEN = 0.02
"""The largest share of stolen time, equal to the margin within which runtimes count as the same: with more, theft alone
could decide.
"""

MOST_SWITCHES_PER_SECOND = 100.0
LEAST_KEPT = 0.95
"""The least share of wall time that a cell keeps of its processor. A switch costs a few microseconds and a share of the
caches: at this rate about 1 % of the time. A runtime that hands work from one of its threads to another switches as
often by itself, but the processor stays with it: switches count against a cell only if its processor time, for each
thread asked for, is below this share of the wall time.
"""

MOST_FLOOR = 0.1
"""The largest share of a call that may be the harness's own, as the runtime that does nothing shows it.

Every runtime of a group pays the same, which never turns an order round and only draws a ratio towards 1: of 1.50
measured with a tenth of the faster call, 1.56 is left. Where it is more than `TELLING_FLOOR`, the verdict says so.
"""

TELLING_FLOOR = 0.01
"""The share of a call above which a verdict states what the harness's own time does to its ratio."""

PROCESSOR_SLACK = 0.1
"""The share by which processor time over wall time may exceed the number of threads asked for."""

LEAST_BUSY = 0.75
"""The share of one thread below which a runtime on the CPU was waiting for something other than its work.

A runtime whose entry says that it gives up the processor by design is subject to neither this limit nor that on
switches: its waiting is part of every call, and is timed as such. Load by other processes shows in the cells timed in
turns with it.
"""


def judged(cells: Sequence[Cell], measured: Measurements, timed: Mapping[str, Agreement]) -> list[Cell]:
    """Return the cells with the conditions while they were timed, and the reasons why they are not valid.

    Args:
        timed: agreement of the outputs of timed calls with the reference, by cell name.
    """
    samples = measured.by_cell
    bursts = {str(cell): part for (cell,), part in measured.bursts.group_by("cell")}
    floors = {group_key(cell): cell for cell in cells if cell.runtime == NULL.name and cell.status == "ok"}
    return [
        _judge(cell, samples, bursts[cell.name], floors.get(group_key(cell)), timed.get(cell.name))
        if cell.status == "ok"
        else cell
        for cell in cells
    ]


def _judge(
    cell: Cell, samples: CellSamples, bursts: polars.DataFrame, floor: Cell | None, timed: Agreement | None
) -> Cell:
    seen = _steadiness_of(cell, samples[cell.name]["host"], bursts, floor)
    use = _total(bursts, "processor_ns") / _total(bursts, "wall_ns")
    cell = cell.model_copy(update={"steadiness": seen, "processor_use": use, "timed_agreement": timed})
    return cell.model_copy(update={"invalid": reasons(cell)})


def _steadiness_of(cell: Cell, host: Samples, bursts: polars.DataFrame, floor: Cell | None) -> Steadiness:
    """Return the conditions while a cell was timed."""
    found = steadiness(host)
    wall_seconds = _total(bursts, "wall_ns") / 1e9
    on_gpu = gpu_conditions.conditions(bursts)
    return Steadiness(
        drift=found.drift,
        drift_p_value=found.drift_p_value,
        autocorrelation=None if math.isnan(found.call_autocorrelation) else found.call_autocorrelation,
        involuntary_switches_per_second=_total(bursts, "involuntary_switches") / wall_seconds,
        stolen_share=_total(bursts, "stolen_seconds") / wall_seconds if _shown(bursts, "stolen_seconds") else None,
        throttle_events=int(_total(bursts, "throttle_events")) if _shown(bursts, "throttle_events") else None,
        floor_share=_floor_share(cell, floor),
        kinds=modes.in_words(kinds) if (kinds := modes.two_kinds(process_medians(host))) else "",
        not_testable=[*_not_testable(host, found), *gpu_conditions.not_testable(on_gpu)],
        gpu=on_gpu,
    )


def _not_testable(host: Samples, found: Found) -> list[str]:
    """Return the rules that cannot find anything with so few blocks or processes."""
    processes, blocks = len(np.unique(host.process)), len(block_medians(host))
    told = []
    if not found.drift_testable:
        told.append(f"drift: {blocks} blocks in {processes} process(es) are too few to show one")
    if processes < modes.LEAST_PROCESSES:
        chance = modes.missed(processes)
        told.append(
            f"two kinds of processes: {processes} cannot show them, and miss one that {modes.RARE_KIND:.0%} of "
            f"processes are of with a chance of {chance:.0%}"
        )
    return told


def _total(bursts: polars.DataFrame, column: str) -> float:
    return float(bursts[column].to_numpy().sum())


def _shown(bursts: polars.DataFrame, column: str) -> bool:
    """Return whether the system showed this for every burst."""
    return bursts[column].null_count() == 0


def _floor_share(cell: Cell, floor: Cell | None) -> float | None:
    if floor is None or floor.host is None or cell.host is None or not cell.framework:
        return None
    return floor.host.median_ms.value / cell.host.median_ms.value


def reasons(cell: Cell) -> list[str]:
    """Return why the cell's times are not to be trusted; empty if they are. The instrument's own zero is not judged."""
    if not cell.framework:
        return []
    return [
        *_too_few(cell),
        *taken_by_others(cell),
        *_too_short(cell),
        *_too_many_threads(cell),
        *_not_as_asked(cell),
        *_wrong_outputs(cell),
    ]


def is_too_short(cell: Cell) -> bool:
    """Return whether only the length of its calls is against a cell: the harness itself takes too much of them."""
    return bool(cell.invalid) and all(reason.startswith(TOO_SHORT) for reason in cell.invalid)


def times_may_change(cell: Cell) -> bool:
    """Return whether the cell is INVALID for a reason that another timing may not find.

    Wrong outputs stay wrong, and too few processes only need more; those it has are as good as any.
    """
    if not cell.invalid:  # without times there is nothing to judge
        return False
    lasting = {*_not_as_asked(cell), *_wrong_outputs(cell), *_too_few_processes(cell)}
    return any(reason not in lasting for reason in cell.invalid)


def to_time_again(cells: Sequence[Cell]) -> list[Cell]:
    """Return the cells that another timing may make valid."""
    return [cell for cell in cells if times_may_change(cell)]


def _too_few_processes(cell: Cell) -> list[str]:
    host = cell.host
    assert host is not None, "only timed cells are judged"
    if host.processes >= LEAST_PROCESSES:
        return []
    return [f"{TOO_FEW} processes: {host.processes}, at least {LEAST_PROCESSES} are needed"]


def _too_few(cell: Cell) -> list[str]:
    found = _too_few_processes(cell)
    if cell.host and cell.host.samples < LEAST_CALLS:
        found.append(f"{TOO_FEW} calls: {cell.host.samples}, at least {LEAST_CALLS} are needed")
    return found


def disturbances(*, stolen_share: float, throttle_events: int, switches_per_second: float, lost: float) -> list[str]:
    """Return the disturbances of calls from outside that exceed the limits.

    Args:
        lost: unused share of the processor time that the threads asked for would have used.
    """
    found = []
    if stolen_share > MOST_STOLEN:
        found.append(f"stolen processor time: {stolen_share:.1%}, at most {MOST_STOLEN:.0%} is tolerated")
    if throttle_events:
        found.append(f"throttled processor: {throttle_events} events while it was timed")
    if switches_per_second > MOST_SWITCHES_PER_SECOND and lost > 1 - LEAST_KEPT:
        found.append(
            f"involuntary context switches: {switches_per_second:.0f} a second and {lost:.1%} of the "
            f"processor lost, at most {MOST_SWITCHES_PER_SECOND:.0f} and {1 - LEAST_KEPT:.0%} are tolerated"
        )
    return found


def taken_by_others(cell: Cell) -> list[str]:
    """Return the reasons that show, or may come of, something else that the machine did while the cell was timed."""
    seen = cell.steadiness or Steadiness()
    use = cell.processor_use or 0.0
    found = []
    if is_drift(seen.drift or 0, seen.drift_p_value or 0):
        found.append(f"drift: {seen.drift:+.1%} over the blocks of a process, at most {DRIFT_LARGEST:.0%} is tolerated")
    found += disturbances(
        stolen_share=seen.stolen_share or 0.0,
        throttle_events=seen.throttle_events or 0,
        switches_per_second=0.0 if cell.waits else seen.involuntary_switches_per_second or 0.0,
        lost=1 - use / cell.threads,
    )
    found += gpu_conditions.against(seen.gpu)
    if cell.device_kind == "cpu" and use < LEAST_BUSY and not cell.waits:
        found.append(f"processor time over wall time: {use:.2f}, less than one thread's; it was waiting")
    return found


def _too_short(cell: Cell) -> list[str]:
    share = cell.steadiness.floor_share or 0 if cell.steadiness else 0
    if share <= MOST_FLOOR:
        return []
    return [f"{TOO_SHORT}: {share:.1%} of the median, at most {MOST_FLOOR:.0%} is tolerated"]


def _too_many_threads(cell: Cell) -> list[str]:
    use = cell.processor_use or 0.0
    if use <= cell.threads * (1 + PROCESSOR_SLACK):
        return []
    return [f"processor time over wall time: {use:.2f}, more than the {cell.threads} threads asked for"]


def _not_as_asked(cell: Cell) -> list[str]:
    """Return deviations of device or arithmetic from the request: such times answer another question."""
    computed = cell.computed_in or cell.precision
    found = not_as_asked(cell.asked_device, cell.asked_precision, cell.device_kind, computed)
    if left := cell.provenance.get(NODES_ON_CPU):
        found.append(f"{NODES_ON_CPU}, of a file that was to run on {cell.asked_device}: {left}")
    return found


def _wrong_outputs(cell: Cell) -> list[str]:
    timed = cell.timed_agreement
    if timed is None:
        return ["the outputs of its timed calls were not compared"]
    return [] if timed.passed else [f"wrong outputs in timed calls: {timed.reason}"]
