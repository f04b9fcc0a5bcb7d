"""Graph or runtime: what of a time comes with the exported graph, and what with the runtime that runs it."""

from __future__ import annotations

from typing import Literal

from assay.records.base import Interval, Record

Question = Literal["runtime", "optimisation level"]


class Factors(Record):
    """A two-way table of times, exporter by runtime, taken apart; of one model under one set of conditions.

    Every number is a ratio: 1.05 is 5 % slower than the table's geometric mean, or than the two effects together say.

    Attributes:
        question: what stands across the table, runtimes or the optimisation levels of ONNX Runtime.
        exporters: by exporter, the effect of its graph, over all runtimes.
        runtimes: by runtime, its effect, over all graphs.
        interaction: by exporter and runtime, what the two effects do not explain: this runtime does well or badly with
            this graph.
        shares: of the table's variation (sum of squares of logarithms), what "exporter", "runtime" and "interaction"
            explain; together 1, or all 0 where nothing varies.
        processes, blocks: how many of each it was taken from; every block has the whole table.
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
