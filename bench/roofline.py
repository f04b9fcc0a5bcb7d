"""The least time the machine allows for each cell: pure functions from work, ceilings and cells to bounds.

The model is the roofline (see `assay.roofline`). For the bound to hold for every runtime, whatever it fuses or skips,
it is made of the least that any way to compute the model by multiplying and adding needs: no operation on padding, and
of the bytes only weights, input and output, each moved once, between the processor and the smallest cache that holds
them all (from one call to the next they can stay there).
"""

from __future__ import annotations

from collections.abc import Sequence

from assay.results import Cell
from assay.roofline import Bandwidth, Bound, Ceilings, GraphWork

Model = tuple[str, int, int]


def bounds_of(cells: Sequence[Cell], works: Sequence[GraphWork], ceilings: Sequence[Ceilings]) -> list[Bound]:
    """The bound of every timed cell of a framework on the CPU whose work and ceilings are known."""
    work_of = leanest_works(works)
    machine = {found.threads: found for found in ceilings}
    found = []
    for cell in cells:
        work = work_of.get((cell.architecture, cell.size, cell.batch))
        limits = machine.get(cell.threads)
        if not (work and limits and cell.framework and cell.device and cell.device_kind == "cpu"):
            continue
        if cell.precision in limits.gflop_s:
            found.append(bound_of(cell.name, cell.precision, work, limits, cell.device.median_ms.value))
    return found


def leanest_works(works: Sequence[GraphWork]) -> dict[Model, GraphWork]:
    """By model and batch, of the exports whose operations are all known the one with the fewest.

    All exports of a model compute the same function, so what one of them can do without, every runtime can.
    """
    found: dict[Model, GraphWork] = {}
    for work in works:
        model = (work.architecture, work.size, work.batch)
        if work.reason or work.uncounted or not work.flops:
            continue
        if model not in found or _cost(work) < _cost(found[model]):
            found[model] = work
    return found


def _cost(work: GraphWork) -> tuple[int, int]:
    return work.least_flops, work.least_bytes


def bound_of(cell: str, precision: str, work: GraphWork, ceilings: Ceilings, device_median_ms: float) -> Bound:
    """The bound of one cell, from work in `flops` and bytes, and ceilings in 10^9 a second."""
    level = level_for(work.least_bytes, ceilings.bandwidths)
    arithmetic_ms = work.least_flops / ceilings.gflop_s[precision].best / 1e6
    traffic_ms = work.least_bytes / level.gb_s.best / 1e6
    bound_ms = max(arithmetic_ms, traffic_ms)
    return Bound(
        cell=cell,
        flops=work.least_flops,
        bytes=work.least_bytes,
        precision=precision,
        level=level.level,
        arithmetic_ms=arithmetic_ms,
        traffic_ms=traffic_ms,
        bound_ms=bound_ms,
        limit="arithmetic" if arithmetic_ms >= traffic_ms else "traffic",
        fraction=bound_ms / device_median_ms,
        gflop_s=work.least_flops / device_median_ms / 1e6,
        intensity=work.least_flops / max(work.least_bytes, 1),
    )


def level_for(working_set_bytes: int, bandwidths: Sequence[Bandwidth]) -> Bandwidth:
    """The smallest cache that holds the working set; memory where none does."""
    caches = sorted((one for one in bandwidths if one.capacity_bytes), key=lambda one: one.capacity_bytes)
    memory = next(one for one in bandwidths if not one.capacity_bytes)
    return next((cache for cache in caches if cache.capacity_bytes >= working_set_bytes), memory)
