"""The throughput of a whole machine with one cell, measured with several instances at the same time. Pure functions.
Nothing is multiplied: two processes share the memory and the last cache of their machine, and give less than twice as
much as one. If several numbers of instances do not differ significantly, the fewest are taken.
"""

from __future__ import annotations

from collections.abc import Sequence

from assay.bench.choosing.best import is_tie
from assay.bench.statistics.together import ratio_of_sets
from assay.errors import InputError
from assay.records.base import Interval
from assay.records.choice import EligibleCell
from assay.records.results import Cell, Results
from assay.records.timings import Instances

SECONDS_IN_AN_HOUR = 3600
A_MILLION = 1e6


def best_instances(results: Results, cell: str) -> Instances | None:
    """Return the number of instances that gives most; None if there is no trustworthy measurement of the cell."""
    measured = sorted(
        (one for one in results.instances if one.cell == cell and one.is_valid), key=lambda one: one.instances
    )
    if not measured:
        return None
    most = max(measured, key=lambda one: one.throughput.value if one.throughput else 0.0)
    return next(one for one in measured if one is most or is_tie(ratio_of_sets(most.sets, one.sets)))


def fills(results: Results, cell: Cell, cores: int) -> bool:
    """Return whether it was measured with as many instances as so many cores have room for."""
    measured = max((one.instances for one in results.instances if one.cell == cell.name and one.is_valid), default=1)
    return (measured + 1) * cell.threads > cores


def assumed_of(results: Results, not_asked_for: Sequence[str], *, one_process: bool) -> str:
    """Return the assumptions behind the price of an image.

    Raises:
        InputError: a requested cell leaves cores of the machine idle, the user did not say that this is intended, and
            the study did not measure several instances.
    """
    asked = [one for one in results.cells if one.name not in not_asked_for and one.status == "ok"]
    asked = [one for one in asked if one.device_kind == "cpu"]
    threads = ", ".join(map(str, sorted({one.threads for one in asked})))
    cores = results.environment.get("cores")
    known = f"{cores} cores" if isinstance(cores, int) else "an unknown number of cores"
    filling = [one for one in asked if isinstance(cores, int) and fills(results, one, cores)]
    if one_process:
        rest = "" if len(filling) == len(asked) else f", though it has {known} and the process uses {threads}"
        return f"one process has the whole machine{rest}, and makes its calls without pauses"
    if len(filling) < len(asked) and not any(one.instances > 1 for one in results.instances):
        raise InputError(
            "The price of a whole machine does not apply to a process that leaves part of it idle",
            expected="cells with as many threads as the machine has cores, or bench.instances that fill it",
            found=f"{known} and cells of {threads} threads; how many such processes a machine can run at once was "
            "not measured",
            remedy="Set bench.instances in the study and run it again, ask for other --threads, or give --one-process "
            "if the machine is paid for one process alone",
        )
    if all(one.instances == 1 for one in results.instances):
        return "one process has the whole machine and makes its calls without pauses"
    return "its processes have the whole machine, and each makes its calls without pauses"


def reason_against_price(results: Results, cell: Cell) -> str:
    """Return why the price of the machine says nothing about a cell, or ""."""
    cores = results.environment.get("cores")
    if cell.device_kind != "cpu" or not isinstance(cores, int) or fills(results, cell, cores):
        return ""
    return (
        f"it leaves some of the {cores} cores idle, and the number of such processes that they can run was not measured"
    )


def cost_of_a_million(price_per_hour: float, throughput: Interval) -> Interval:
    """Return the cost of a million rows on a machine that gives so many a second, in the currency of its price."""
    price = price_per_hour * A_MILLION / SECONDS_IN_AN_HOUR
    return Interval(value=price / throughput.value, low=price / throughput.high, high=price / throughput.low)


def to_serve_with(one: EligibleCell, cell: Cell) -> str:
    """Say what to start: "2 instances of 1 thread, each on cores of its own (2 in all), batch 32"."""
    each = f"{cell.threads} thread{'s' if cell.threads > 1 else ''}"
    if one.instances == 1:
        return f"1 instance of {each}, batch {cell.batch}"
    cores = one.instances * cell.threads
    return f"{one.instances} instances of {each}, each on cores of its own ({cores} in all), batch {cell.batch}"
