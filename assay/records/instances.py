"""The record of several processes of one runtime that ran at the same time, each on cores of its own."""

from __future__ import annotations

from pydantic import Field

from assay.records.base import Interval, Record


class Instances(Record):
    """The joint performance of so many processes of one cell.

    Attributes:
        cell: the cell that each process runs.
        instances: number of processes at the same time; 1 is measured in the same way, for comparison.
        cores: number of cores that they had, all together.
        sets: images a second of all processes, in each set of fresh ones.
        throughput: images a second of all processes, with its 95 % interval over sets.
        median_ms: median of a call while all ran, with its 95 % interval over sets.
        p99_ms: p99 of all calls of all sets; `p99_at_most_ms` bounds it with 95 % confidence, None where the calls are
            too few.
        p99_at_most_ms: what the 99th percentile is at most, with 95 % confidence.
        calls: number of calls that these were computed from.
        slowed: how many times as long a call takes as with a single instance, in the same rounds; None where no single
            instance was measured.
        memory_mib: highest resident memory of all processes, each counted whole.
        reason: why there are no numbers, or "".
        invalid: why the numbers are not to be trusted; empty if VALID.
    """

    cell: str
    instances: int = Field(ge=1)
    cores: int = Field(ge=1)
    sets: list[float] = Field(default_factory=list)
    throughput: Interval | None = None
    median_ms: Interval | None = None
    p99_ms: float | None = None
    p99_at_most_ms: float | None = None
    calls: int = 0
    slowed: Interval | None = None
    memory_mib: float | None = None
    reason: str = ""
    invalid: list[str] = Field(default_factory=list)

    @property
    def is_valid(self) -> bool:
        """Whether its numbers may be trusted."""
        return self.throughput is not None and not self.invalid
