"""The way from rounds of timed and profiled calls to the two estimators, the fit over batches and the crossover.
Pure.
"""

from __future__ import annotations

import itertools
import math
from collections import defaultdict
from collections.abc import Callable, Sequence
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from assay.bench.statistics.intervals import difference, part_of, ratio_over_processes, rest_of, share_over_processes
from assay.infer.profile.timing import Round
from assay.records.attribution import AffineFit, Attribution, Crossover, ProfiledEstimate, SkeletonEstimate
from assay.records.base import Interval
from assay.records.results import Cell

TRUSTED_INFLATION = 1.5
AGREEMENT = 0.15
LOW_QUARTILE = 0.25
NANOSECONDS_IN_MS = 1e6

Estimator = Literal["profiled", "skeleton"]
ESTIMATORS: tuple[Estimator, ...] = ("profiled", "skeleton")

Rows = NDArray[np.float64]


def profiled_estimate(
    by_process: Sequence[Sequence[Round]], costs_ns: Sequence[float], wall_ms: Interval, wall_processes: int = 0
) -> ProfiledEstimate:
    """Estimate by the profiles of fresh processes, for a cell whose median is `wall_ms`.

    The profiler's cost (`event_cost_ns`) is subtracted from the wall time for every event it records, and from the
    kernel time for those inside operators. The remainder is used as a share, which holds for the cell's own median even
    if the machine was slower or faster when it was profiled. A disturbance only ever makes a round slower: inflation
    compares lower quartiles over the rounds, and the share rests on the faster half of them.

    On a GPU the kernels' time is by its own clock, which recording does not lengthen: it is a share of the call without
    the profiler, whatever the inflation. So are the gaps between kernels, as far as the rest of the call has room for
    them: they are as recorded, and a launch takes longer under the profiler.

    Each process gives one share and one inflation, by its own rounds and its own cost; the intervals are Student's over
    processes (`assay.bench.statistics.intervals`), and a time holds the uncertainty of the cell's median too.

    Args:
        by_process: the rounds of each process.
        costs_ns: cost of an event, for each process.
        wall_processes: number of processes behind the cell's median; 0 if unknown.
    """
    rows = [_rows(rounds) for rounds in by_process]
    on_gpu = any(one.on_gpu for rounds in by_process for one in rounds)
    both = (wall_processes, len(rows))
    inflation = ratio_over_processes([_inflation(one) for one in rows])
    if on_gpu:
        share = share_over_processes([_share_on_gpu(one) for one in rows])
    else:
        share = share_over_processes([_kernel_share(one, cost) for one, cost in zip(rows, costs_ns, strict=True)])
    trusted = on_gpu or inflation.value <= TRUSTED_INFLATION
    return ProfiledEstimate(
        kernel_ms=part_of(wall_ms, share, both),
        overhead_ms=part_of(wall_ms, rest_of(share), both),
        gaps_ms=part_of(wall_ms, share_over_processes([_gap_share(one) for one in rows]), both) if on_gpu else None,
        inflation=inflation if len(rows) > 1 else None,
        trusted=trusted,
        calls=sum(r.calls for rounds in by_process for r in rounds),
        events=float(np.median(np.concatenate(rows)[:, 3])),
        processes=len(rows),
        reason="" if trusted else f"the profiler makes a call {inflation.value:.1f} times as long",
    )


def event_cost_ns(by_batch: Sequence[Sequence[Round]]) -> float:
    """Return what recording one event adds to a call: the inflation of a call, shared out among its events.

    The cost does not depend on the batch, while the noise around it grows with the batch: so the least over the batches
    counts.
    """
    return min((_event_cost(_rows(rounds)) for rounds in by_batch), default=0.0)


def skeleton_estimate(
    by_process: Sequence[Sequence[float]], wall_ms: Interval, wall_processes: int = 0
) -> SkeletonEstimate:
    """Estimate by the skeleton's bursts: its time is the framework's, and the rest of the cell's time is kernels.

    Args:
        by_process: median nanoseconds of a call in each burst, for each fresh process.
        wall_processes: number of processes behind the cell's median; 0 if unknown.
    """
    found = ratio_over_processes([float(np.median(bursts)) / NANOSECONDS_IN_MS for bursts in by_process])
    overhead = Interval(
        value=min(found.value, wall_ms.value), low=min(found.low, wall_ms.value), high=min(found.high, wall_ms.high)
    )
    return SkeletonEstimate(
        overhead_ms=overhead,
        kernel_ms=difference(wall_ms, overhead, least=0.0, processes=(wall_processes, len(by_process))),
        processes=len(by_process),
    )


def judged(attribution: Attribution) -> Attribution:
    """Return the attribution with whether its estimators agree, and the meaning of a disagreement."""
    profiled, skeleton = attribution.profiled.kernel_ms, attribution.skeleton.kernel_ms
    if profiled is None or skeleton is None:
        return attribution
    apart = (profiled.value - skeleton.value) / attribution.wall_ms.value
    if abs(apart) <= AGREEMENT:
        return attribution.model_copy(update={"agree": True})
    remark = (
        "the profile counts more as kernels: operators dispatch within their own intervals, or the framework's work "
        "overlaps them, and the skeleton counts that as framework"
        if apart > 0
        else "the profile counts less as kernels: the framework does more for a full model than for its skeleton "
        "(memory, threads, work that no operator records)"
    )
    return attribution.model_copy(update={"agree": False, "remark": remark})


def affine_fits(cells: Sequence[Cell]) -> list[AffineFit]:
    """Fit every runtime on every model that was timed at two batch sizes or more."""
    found = []
    for (architecture, size, threads, label), members in _grouped(cells, lambda c: c.size).items():
        batches = np.array([cell.batch for cell in members], float)
        walls = np.array([cell.device.median_ms.value for cell in members if cell.device])
        if len(set(batches)) < 2:
            continue
        design = np.stack([np.ones_like(batches), batches], 1) / walls[:, None]
        (fixed, per_image), *_ = np.linalg.lstsq(design, np.ones_like(walls), rcond=None)
        found.append(
            AffineFit(
                architecture=str(architecture),
                size=int(size),
                threads=int(threads),
                label=str(label),
                fixed_ms=float(fixed),
                per_image_ms=float(per_image),
                batches=[int(batch) for batch in batches],
                worst_relative_error=float(np.abs(design @ [fixed, per_image] - 1).max()),
            )
        )
    return found


def crossovers(cells: Sequence[Cell], attributions: Sequence[Attribution]) -> list[Crossover]:
    """Find, for every runtime, batch and estimator, the size from which kernels take more than half of the wall time.

    Between two sizes the logarithm of kernel over framework time is taken to be linear in that of the size.
    """
    by_cell = {attribution.cell: attribution for attribution in attributions}
    found = []
    for (architecture, batch, threads, label), members in _grouped(cells, lambda c: c.batch).items():
        for estimator in ESTIMATORS:
            known = [(cell.size, _log_ratio(by_cell.get(cell.name), estimator)) for cell in members]
            ratios = sorted((size, ratio) for size, ratio in known if ratio is not None)
            if not ratios:
                continue
            place, pixels = _crossing(ratios)
            found.append(
                Crossover(
                    architecture=str(architecture),
                    batch=int(batch),
                    threads=int(threads),
                    label=str(label),
                    estimator=estimator,
                    pixels=pixels,
                    place=place,
                    sizes=[size for size, _ in ratios],
                )
            )
    return found


def _inflation(rows: Rows) -> float:
    plain, profiled = (np.quantile(rows[:, column], LOW_QUARTILE) for column in (0, 1))
    return float(profiled / plain)


def _rows(rounds: Sequence[Round]) -> Rows:
    return np.array([[r.plain_ns, r.profiled_ns, r.kernel_ns, r.events, r.events_inside, r.gap_ns] for r in rounds])


def _event_cost(rows: Rows) -> float:
    plain, profiled = (np.quantile(rows[:, column], LOW_QUARTILE) for column in (0, 1))
    return max(float(profiled - plain), 0.0) / max(float(np.median(rows[:, 3])), 1.0)


def _faster_half(rows: Rows, column: int) -> Rows:
    """Return the rounds whose time in a column is at most the median."""
    return rows[rows[:, column] <= np.median(rows[:, column])]


def _kernel_share(rows: Rows, event_ns: float) -> float:
    """Return the median, over the faster half of the rounds, of the corrected share of operators in the corrected wall
    time.
    """
    rows = _faster_half(rows, 1)
    wall = rows[:, 1] - event_ns * rows[:, 3]
    kernel = rows[:, 2] - event_ns * rows[:, 4]
    return float(np.median(np.clip(kernel / np.maximum(wall, 1.0), 0, 1)))


def _share_on_gpu(rows: Rows) -> float:
    """Return the median, over the faster half of the rounds, of the kernels' share of a call without the profiler."""
    rows = _faster_half(rows, 0)
    return float(np.median(np.clip(rows[:, 2] / rows[:, 0], 0, 1)))


def _gap_share(rows: Rows) -> float:
    """Return the same of the gaps between kernels."""
    rows = _faster_half(rows, 0)
    room = np.maximum(rows[:, 0] - rows[:, 2], 0)
    return float(np.median(np.minimum(rows[:, 5], room) / rows[:, 0]))


Key = tuple[str, int, int, str]


def _grouped(cells: Sequence[Cell], of: Callable[[Cell], int]) -> dict[Key, list[Cell]]:
    """Group timed cells of a framework by architecture, one more number, threads and label; sizes and batches
    ascend.
    """
    found: dict[Key, list[Cell]] = defaultdict(list)
    for cell in sorted(cells, key=lambda cell: (cell.size, cell.batch)):
        if cell.status == "ok" and cell.device is not None and cell.framework:
            found[(cell.architecture, of(cell), cell.threads, cell.label)].append(cell)
    return found


def _log_ratio(attribution: Attribution | None, estimator: Literal["profiled", "skeleton"]) -> float | None:
    """Return the logarithm of kernel over framework time; None where there is no estimate."""
    if attribution is None:
        return None
    estimate = attribution.profiled if estimator == "profiled" else attribution.skeleton
    if estimate.kernel_ms is None or estimate.overhead_ms is None:
        return None
    least = 1e-6 * attribution.wall_ms.value
    return math.log(max(estimate.kernel_ms.value, least) / max(estimate.overhead_ms.value, least))


def _crossing(ratios: Sequence[tuple[int, float]]) -> tuple[Literal["between", "below", "above"], float | None]:
    """Return the last size at which the sign turns to kernels for good."""
    if ratios[-1][1] < 0:
        return "above", None
    for (small, before), (large, after) in reversed(list(itertools.pairwise(ratios))):
        if before < 0 <= after:
            return "between", small * (large / small) ** (-before / (after - before))
    return "below", None
