"""Comparisons of the fastest native cell with the fastest through ONNX, like with like, made by
`assay.bench.judging`.
"""

from __future__ import annotations

from pydantic import Field

from assay.records.base import Interval, Record, Verdict
from assay.runtimes.entry import Tier

OF_ALL = ""
"""The precision of a race in which each side computes in whichever precision is fastest."""


class Race(Record):
    """A race between one group's cells of one precision, or all that keep their accuracy: the best of each tier, and
    who wins.

    Attributes:
        architecture, size, batch, threads: those of the cells.
        precision: the precision that all of them compute in, as a call showed it; `OF_ALL` for the fastest of all.
        best: label of the fastest cell of each tier (`assay.runtimes.entry.TIERS`); a tier without cells is left out.
        native: label of the fastest of the first two tiers, "" where none that may be ranked was timed.
        onnx: the same through ONNX.
        speedup: native median over ONNX median at the host boundary, paired within interleaved blocks; above 1 ONNX is
            faster. None where a side is missing, as is `verdict`.
        verdict: verdict of ONNX against native; the verdicts of all races of a study are one family.
        told: the smallest difference that these samples would have detected four times out of five.
        processes: number of fresh processes behind `speedup`.
    """

    architecture: str
    size: int
    batch: int
    threads: int
    precision: str
    best: dict[Tier, str]
    native: str = ""
    onnx: str = ""
    speedup: Interval | None = None
    verdict: Verdict | None = None
    told: float | None = None
    processes: int = Field(default=0, ge=0)

    @property
    def group(self) -> tuple[str, int, int, int]:
        """Architecture, size, batch and threads."""
        return (self.architecture, self.size, self.batch, self.threads)


class SpeedComparison(Record):
    """A comparison of the best ONNX cell with the best native cell of one group (architecture, size, batch, threads).

    Attributes:
        architecture, size, batch, threads: those of the cells.
        native, onnx: label of the fastest cell of each side.
        speedup: native median over ONNX median at the host boundary, paired within interleaved blocks;
            above 1 ONNX is faster.
        verdict: verdict of ONNX against native; see `assay.bench.judging.verdicts`; those of all groups are one family.
        ratios: each cell's median over that of the fastest native cell, by label.
        verdicts: verdict of each cell against the fastest native one, by label; a family of its own besides `verdict`.
        told: the smallest difference that these samples would have detected four times out of five, 0.06 for 6 %; None
            in records from before it was computed.
        processes: number of fresh processes behind `speedup`; 0 in such records.
        gains: how many times as long the same runtime takes in fp32, paired, by label of each cell in less than fp32:
            the gain from the precision, apart from that of ONNX.
        precision: the precision that both compute in; "fp32" in older records.
    """

    architecture: str
    size: int
    batch: int
    threads: int
    native: str
    onnx: str
    speedup: Interval
    verdict: Verdict
    ratios: dict[str, Interval]
    verdicts: dict[str, Verdict] = Field(default_factory=dict)
    told: float | None = None
    processes: int = Field(default=0, ge=0)
    gains: dict[str, Interval] = Field(default_factory=dict)
    precision: str = "fp32"
