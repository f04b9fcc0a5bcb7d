"""The parts of the roofline: the work in a graph, the abilities of the machine, and the bound of each cell.

The roofline is that of Williams, Waterman & Patterson 2009 ("Roofline: an insightful visual performance model for
multicore architectures", Communications of the ACM 52): no program is faster than its arithmetic at the highest rate
of arithmetic, nor than its traffic at the highest rate of traffic.
"""

from __future__ import annotations

import operator
from typing import Literal

from pydantic import Field

from assay.records.base import Record

Limit = Literal["arithmetic", "traffic"]


class LayerWork(Record):
    """The work of one node with weights or a matrix product, for one call at the graph's batch.

    Attributes:
        name: name of the node.
        operator: operator of the node.
        flops: operations of its matrix product or convolution; a multiply-add is two.
        least_flops: those among them that read no padding.
        weight_bytes: bytes of the constants that it reads.
        activation_bytes: bytes of the other values that it reads and writes.
    """

    name: str
    operator: str
    flops: int
    least_flops: int
    weight_bytes: int
    activation_bytes: int


class GraphWork(Record):
    """The work in one exported graph at one batch, or the `reason` why it could not be counted.

    Attributes:
        architecture, size, exporter, batch: the export's, and the number of images in a call.
        reason: why it could not be counted, or "".
        flops: operations of matrix products and convolutions as usually counted; a multiply-add is two.
        least_flops: those among them that read no padding, which a kernel may skip: at 7 pixels and a window of 3
            that is 18 % of them. The bound is made of these: all other operations can run beside them.
        elementwise: other operations, one for each element written, or read where many become one (pools, sums).
        weight_bytes: constants the graph reads in a call, each once; shapes and axes (int64) are not counted.
        input_bytes, output_bytes: the model's own input and output. With the weights they are the least that any
            way to compute it must move, all intermediate values being kept in registers and caches.
        traffic_bytes: bytes moved when every node reads its inputs and writes its outputs, with nothing fused.
        layers: the nodes that `flops` is made of.
        uncounted: number of nodes of each operator whose operations are not known.
    """

    architecture: str
    size: int
    exporter: str
    batch: int
    reason: str = ""
    flops: int = 0
    least_flops: int = 0
    elementwise: int = 0
    weight_bytes: int = 0
    input_bytes: int = 0
    output_bytes: int = 0
    traffic_bytes: int = 0
    layers: list[LayerWork] = Field(default_factory=list)
    uncounted: dict[str, int] = Field(default_factory=dict)

    @property
    def least_bytes(self) -> int:
        """Weights, input and output, each moved once."""
        return self.weight_bytes + self.input_bytes + self.output_bytes


class Rate(Record):
    """A measured ceiling.

    Attributes:
        best: the highest rate of all repetitions, which is the ceiling.
        median: median over the repetitions of the fastest method; if it is far below the best, the machine was not
            quiet.
        by: the fastest method, such as "torch" or "triad".
        repetitions: number of repetitions of each method.
        all_best: the best rate of each method tried.
    """

    best: float
    median: float
    by: str
    repetitions: int
    all_best: dict[str, float]


class Bandwidth(Record):
    """The speed at which bytes move at one level of the memory.

    Attributes:
        level: "L1d", "L2", "L3" or "memory".
        capacity_bytes: the largest working set that the level holds on the cores used; 0 for memory, which has no
            limit.
        array_bytes: bytes of the measurement's arrays together.
        gb_s: 10^9 bytes a second, counted as McCalpin does: the bytes that the kernel reads and writes.
    """

    level: str
    capacity_bytes: int
    array_bytes: int
    gb_s: Rate


class Ceilings(Record):
    """The highest rates of this machine at one thread count, on the cores that the cells were timed on, or of its GPU.

    Attributes:
        threads: number of threads used.
        cores: cores that they ran on.
        gflop_s: 10^9 operations per second of a matrix product, by precision ("fp32", "tf32", "bf16", "int8").
        bandwidths: bandwidths from the smallest cache to memory.
        device: "cpu", or "cuda" for a GPU, whose rates do not depend on threads.
        gpu: the GPU's name and driver; "" on the CPU.
        transfers: between the host's memory and a GPU's, 10^9 bytes a second: "to the GPU, pinned", "pageable", "from".
        versions: versions of the packages that measured.
        notes: failed measurements, with reasons.
    """

    threads: int
    cores: tuple[int, ...]
    gflop_s: dict[str, Rate]
    bandwidths: list[Bandwidth]
    device: str = Field(default="cpu", exclude_if="cpu".__eq__)
    gpu: str = Field(default="", exclude_if=operator.not_)
    transfers: dict[str, Rate] = Field(default_factory=dict, exclude_if=operator.not_)
    versions: dict[str, str] = Field(default_factory=dict)
    notes: list[str] = Field(default_factory=list)


class Bound(Record):
    """The least time that the machine allows for a cell, compared with its time at the device boundary.

    Attributes:
        cell: the cell's name.
        flops, bytes: work of the leanest export of the model at this batch that no way to compute it can avoid, with
        weights as wide as the cell's precision.
        precision: the cell's own.
        level: the part of the memory whose bandwidth that is, "L2" or "memory".
        arithmetic_ms: time of `flops` at the ceiling of the cell's precision.
        traffic_ms: the least time to move `bytes`; `level` is the level of memory that takes it, such as "L2" or
            "memory".
        bound_ms: the larger of the two; `limit` says which.
        limit: which of the two is larger, "arithmetic" or "traffic".
        fraction: `bound_ms` over the median at the device boundary: the share of the attainable rate. More than 1
            means that the cell computes less than was counted (Winograd's convolution does) or that a ceiling was
            measured on a busy machine.
        gflop_s: operations a second that the cell reached, in 10^9.
        intensity: operations per byte.
    """

    cell: str
    flops: int
    bytes: int
    precision: str
    level: str
    arithmetic_ms: float
    traffic_ms: float
    bound_ms: float
    limit: Limit
    fraction: float
    gflop_s: float
    intensity: float
