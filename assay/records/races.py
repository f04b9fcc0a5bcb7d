"""The fastest native cell against the fastest through ONNX, like with like: what `assay.bench.judging` makes."""

from __future__ import annotations

from pydantic import Field

from assay.records.base import Interval, Record, Verdict
from assay.runtimes.entry import Tier

OF_ALL = ""
"""The precision of a race in which each side computes in whichever is fastest."""


class Race(Record):
    """One group's cells of one precision, or all that keep their accuracy: the best of each tier, and who is faster.

    Attributes:
        precision: that all of them compute in, as a call showed it; `OF_ALL` of the fastest of all.
        best: by tier (`assay.runtimes.entry.TIERS`), the label of its fastest cell; a tier that has none is not in it.
        native: label of the fastest of the first two tiers, "" where none was timed that may be ranked.
        onnx: the same through ONNX.
        speedup: native median over ONNX median at the host boundary, paired within interleaved blocks; above 1 ONNX is
            faster. None where a side is missing, as is `verdict`.
        verdict: of ONNX against native; those of all races of a study are one family.
        told: the smallest difference that these samples would have told four times of five.
        processes: fresh processes behind `speedup`.
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
    """The best ONNX cell against the best native cell of one group (architecture, size, batch, threads).

    Attributes:
        speedup: native median over ONNX median at the host boundary, paired within interleaved blocks;
            above 1 ONNX is faster.
        verdict: of ONNX against native, see `assay.bench.judging.verdicts`; those of all groups are one family.
        ratios: per cell label, its median over the fastest native one's.
        verdicts: per cell label, of it against the fastest native one; a family beside `verdict`.
        told: the smallest difference that these samples would have told four times of five, 0.06 for 6 %; None where
            that was not asked yet.
        processes: fresh processes behind `speedup`; 0 likewise.
        precision: that both compute in; "fp32" in older records.
        gains: per label of a cell that computes in less than fp32, how many times as long the same runtime takes in
            fp32, paired: what the precision brings, apart from what ONNX does.
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
