"""Records of where the time of a call goes, which `assay.bench.stages.attribute` makes and the report shows.

Wall time at the device boundary is kernel time plus framework overhead; the host boundary adds transfer. Two
estimators that share nothing tell the two apart: each framework's own profiler, and a *skeleton* of the model, the
same operators with next to no arithmetic, timed without any profiler.
"""

from __future__ import annotations

import operator
from typing import Literal

from pydantic import Field

from assay.records.base import Interval, Record


class OperatorTime(Record):
    """One operator of a call, as the profiler names it.

    Attributes:
        name: as the profiler gives it.
        kind: the type of its longest part, such as "Conv" or "mkldnn_convolution".
        layer: the canonical layer it computes (see `assay.train.architectures`), or "" if unknown.
        aligned_by: how the layer was found: by its "name", by its "order" among the convolutions and products, or "".
        ms: its milliseconds in one call, with the operators it calls; as recorded, not corrected for the profiler.
        share: share of all operators' milliseconds together.
    """

    name: str
    kind: str
    layer: str = ""
    aligned_by: Literal["", "name", "order"] = ""
    ms: float
    share: float


class ProfiledEstimate(Record):
    """The estimate from the framework's own profiler.

    Attributes:
        kernel_ms: length of the union of the intervals of the operators (on a GPU, of its kernels and copies) in one
            call, corrected, as a share of the wall time measured in the same process, applied to the cell's median. The
            interval is over processes, and includes the median's own.
        overhead_ms: the rest of the cell's median.
        gaps_ms: the part of `overhead_ms` in which a GPU waits between two kernels; None on the CPU.
        inflation: wall time of a profiled call over that of an unprofiled one, in alternating bursts of one process;
            None where there was only one process, which has no interval.
        trusted: whether the inflation is small enough to be corrected for; a GPU's times need no correction.
        calls: number of profiled calls.
        events: records that the profiler made in one call, among which the inflation is shared out.
        processes: number of fresh processes it rests on. Records from before 2026-11-27 have one, and intervals over
            its bursts, which say nothing about how processes differ.
        reason: why there is no estimate, or why it is not trusted.
    """

    kernel_ms: Interval | None = None
    overhead_ms: Interval | None = None
    gaps_ms: Interval | None = Field(default=None, exclude_if=operator.not_)
    inflation: Interval | None = None
    trusted: bool = False
    calls: int = 0
    events: float = 0
    processes: int = Field(default=1, ge=1)
    reason: str = ""


class SkeletonEstimate(Record):
    """The estimate from the same graph without arithmetic.

    Attributes:
        overhead_ms: median time of a call of the skeleton with one image; the interval is over processes.
        kernel_ms: the cell's median minus that; never below zero. Its interval includes the median's own.
        processes: number of fresh processes it rests on; see `ProfiledEstimate`.
        reason: why there is no estimate.
    """

    kernel_ms: Interval | None = None
    overhead_ms: Interval | None = None
    processes: int = Field(default=1, ge=1)
    reason: str = ""


class Attribution(Record):
    """Where the time of one cell goes.

    Attributes:
        cell: the cell's name.
        wall_ms: its median at the device boundary.
        transfer_ms: its median at the host boundary minus that; the two are timed apart, so it can be below zero.
        profiled, skeleton: the two estimators.
        agree: whether their kernel times are within 15 % of the wall time of each other; None when one is missing.
        remark: the meaning of a disagreement, in words; "" where they agree.
        operators: the operators of one call, the longest first.
    """

    cell: str
    wall_ms: Interval
    transfer_ms: float
    profiled: ProfiledEstimate
    skeleton: SkeletonEstimate
    agree: bool | None = None
    remark: str = ""
    operators: list[OperatorTime] = Field(default_factory=list)


class AffineFit(Record):
    """Wall time at the device boundary as fixed + per_image * batch, by least squares of the relative error.

    Attributes:
        architecture, size, threads, label: those of its cells, which differ in batch.
        fixed_ms: time of a call however few images it has.
        per_image_ms: time that each image adds.
        batches: the batch sizes it rests on; two are fitted exactly, so only three or more can contradict it.
        worst_relative_error: largest |fit / measured - 1| over them.
    """

    architecture: str
    size: int
    threads: int
    label: str
    fixed_ms: float
    per_image_ms: float
    batches: list[int]
    worst_relative_error: float


class Crossover(Record):
    """The image size at which the kernels of a runtime outweigh its framework.

    Attributes:
        architecture, batch, threads, label: those of its cells, which differ in size.
        estimator: the estimator whose kernel time it rests on.
        pixels: height and width, interpolated between the sizes around it; None when it is not between two sizes.
        place: "between" two sizes, "below" the smallest size (kernels outweigh everywhere), or "above" the largest.
        sizes: the sizes measured.
    """

    architecture: str
    batch: int
    threads: int
    label: str
    estimator: Literal["profiled", "skeleton"]
    pixels: float | None = None
    place: Literal["between", "below", "above"]
    sizes: list[int]


Question = Literal["runtime", "optimisation level"]


class Factors(Record):
    """A two-way table of times, exporter by runtime, decomposed; for one model under one set of conditions.

    Every number is a ratio: 1.05 is 5 % slower than the table's geometric mean, or than the two effects together
    predict.

    Attributes:
        architecture, size, batch, threads: those of the cells in the table.
        question: the columns of the table: runtimes, or the optimisation levels of ONNX Runtime.
        exporters: effect of each exporter's graph, over all runtimes.
        runtimes: effect of each runtime, over all graphs.
        interaction: the remainder by exporter and runtime that the two effects do not explain: this runtime does well
            or badly with this graph.
        shares: parts of the table's variation (sum of squares of logarithms) that "exporter", "runtime" and
            "interaction" explain; together 1, or all 0 where nothing varies.
        processes, blocks: number of each that it was computed from; every block has the whole table.
    """

    architecture: str
    size: int
    batch: int
    threads: int
    question: Question
    exporters: dict[str, Interval]
    runtimes: dict[str, Interval]
    interaction: dict[str, dict[str, Interval]]
    shares: dict[str, float]
    processes: int
    blocks: int


class PrecisionFactors(Record):
    """A table of times, runtime by precision, decomposed: the gain from a smaller precision, whichever runtime runs it.

    Attributes:
        architecture, size, batch, threads: those of the cells in the table.
        precision: the smaller precision; the other is fp32.
        gain: how many times as fast it makes a call, as the geometric mean over the table's runtimes.
        between: slowest over fastest of the table's cells in that precision: how much the choice of runtime matters.
        runtimes: how many times as fast the same runtime is as in fp32, by label in that precision.
        graphs: effect of each exporter's graph (1.05 is 5 % slower than the mean), where the table has graphs as its
            third side; else empty, and every runtime appears with the graph that it runs fastest.
        shares: parts of the table's variation (sum of squares of logarithms) that "precision", "runtime", "graph" and
            "interaction" explain; together 1, or all 0 where nothing varies.
        processes, blocks: number of each that it was computed from; every block has the whole table.
    """

    architecture: str
    size: int
    batch: int
    threads: int
    precision: str
    gain: Interval
    between: Interval
    runtimes: dict[str, Interval]
    graphs: dict[str, Interval] = Field(default_factory=dict)
    shares: dict[str, float]
    processes: int
    blocks: int
