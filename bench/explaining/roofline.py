"""The least time the machine allows for each cell: pure functions from work, ceilings and cells to bounds.

The model is the roofline (see `assay.records.roofline`). For the bound to hold for every runtime, whatever it fuses or
skips, it counts only the least that any way to compute the model by multiplying and adding needs: no operations on
padding, and only the bytes of weights, input and output, each moved once. Weights are as wide as the cell's precision.
Caches keep their content from one call to the next, so that only what does not fit in them has to come from farther
away.
"""

from __future__ import annotations

from collections.abc import Sequence

from assay.records.results import Cell
from assay.records.roofline import Bandwidth, Bound, Ceilings, GraphWork

Model = tuple[str, int, int]
WEIGHT_BYTES = {"fp32": 4, "tf32": 4, "bf16": 2, "fp16": 2, "int8": 1}
"""The size of one weight, by a ceiling's precision; the weights counted are those of an export, which is fp32."""


def bounds_of(cells: Sequence[Cell], works: Sequence[GraphWork], ceilings: Sequence[Ceilings]) -> list[Bound]:
    """Return the bound of every timed cell of a framework whose work is known, as are the ceilings of its device."""
    work_of = leanest_works(works)
    complete = [one for one in ceilings if any(not level.capacity_bytes for level in one.bandwidths)]
    cpu = {one.threads: one for one in complete if one.device == "cpu"}
    gpu = next((one for one in complete if one.device == "cuda"), None)
    found = []
    for cell in cells:
        work = work_of.get((cell.architecture, cell.size, cell.batch))
        limits = {"cpu": cpu.get(cell.threads), "cuda": gpu}.get(cell.device_kind)
        if not (work and limits and cell.framework and cell.device):
            continue
        if cell.precision in limits.gflop_s:
            found.append(bound_of(cell.name, cell.precision, work, limits, cell.device.median_ms.value))
    return found


def leanest_works(works: Sequence[GraphWork]) -> dict[Model, GraphWork]:
    """Return, by model and batch, the least work among the exports whose operations are all known.

    All exports of a model compute the same function, so work that one of them avoids, every runtime can avoid.
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
    """Return the bound of one cell, from work in `flops` and bytes, and ceilings in 10^9 a second."""
    weight_bytes = work.weight_bytes * WEIGHT_BYTES[precision] // WEIGHT_BYTES["fp32"]
    least_bytes = weight_bytes + work.input_bytes + work.output_bytes
    arithmetic_ms = work.least_flops / ceilings.gflop_s[precision].best / 1e6
    traffic_ms, level = traffic_of(least_bytes, ceilings.bandwidths)
    bound_ms = max(arithmetic_ms, traffic_ms)
    return Bound(
        cell=cell,
        flops=work.least_flops,
        bytes=least_bytes,
        precision=precision,
        level=level,
        arithmetic_ms=arithmetic_ms,
        traffic_ms=traffic_ms,
        bound_ms=bound_ms,
        limit="arithmetic" if arithmetic_ms >= traffic_ms else "traffic",
        fraction=bound_ms / device_median_ms,
        gflop_s=work.least_flops / device_median_ms / 1e6,
        intensity=work.least_flops / max(least_bytes, 1),
    )


def traffic_of(working_set_bytes: int, bandwidths: Sequence[Bandwidth]) -> tuple[float, str]:
    """Return the least time in ms to move a working set once in every call, and the level of the memory that takes it.

    At least the part that the caches before a level cannot hold together comes from that level or beyond. Levels work
    at the same time, so the slowest of them is the bound.
    """
    caches = sorted((one for one in bandwidths if one.capacity_bytes), key=lambda one: one.capacity_bytes)
    memory = next(one for one in bandwidths if not one.capacity_bytes)
    held, found = 0, []
    for one in (*caches, memory):
        found.append((max(working_set_bytes - held, 0) / one.gb_s.best / 1e6, one.level))
        held += one.capacity_bytes
    return max(found, key=lambda pair: pair[0])
