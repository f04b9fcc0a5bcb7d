"""The record of several runs of one study on several machines, held together by kind of machine.

A folder of it holds `joined.json`, and below `runs/` each run as it was, which everything here can be derived from
again.
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import Field

from assay.fleet.kind import MachineKind
from assay.records.base import Interval, Record, Verdict

JOINED_FILE = "joined.json"
RUNS = "runs"
GroupOfCells = tuple[str, int, int, int]


class JoinedRun(Record):
    """One run on one machine.

    Attributes:
        name: name of its folder below `runs/`.
        kind: key of its machine's kind.
        machine: letter of the machine of that kind, in the order of the runs; runs without a machine's identity count
            as of one.
        ruler_passed: whether the self-check on that machine passed; None where there was none.
        ceilings: by name, the best observed rates of the machine on one thread: "fp32 GFLOP/s", "memory GB/s".
        created: UTC, ISO 8601.
        assay_version: version of Assay that made it.
    """

    name: str
    created: str
    assay_version: str
    kind: str
    machine: str
    ruler_passed: bool | None
    ceilings: dict[str, float] = Field(default_factory=dict)


class JoinedKind(Record):
    """One kind of machine.

    Attributes:
        key: key of `kind`.
        name: name that distinguishes it from the others.
        machines: number of its machines that were measured.
        price_per_hour: price of an hour; None where unknown.
        kind: processor, cores, memory and devices.
    """

    key: str
    name: str
    kind: MachineKind
    machines: int = Field(ge=1)
    price_per_hour: float | None = None


class KindCell(Record):
    """One cell on one kind of machine.

    Attributes:
        median_ms: median of a call; the geometric mean over machines, see `assay.bench.fleet.levels` for the interval.
        by_machine: median on each machine.
        spread: spread between machines, as the standard deviation of the logarithm; None for a single one.
        p99_ms: 99th percentile of the worst machine.
        throughput: rows per second, with the best number of instances where the study has several.
        instances: number of processes at the same time for the throughput.
        cost_per_million: cost of a million rows, in the prices' currency; None where the kind has no price or the cell
            leaves a part of the machine idle, which `not_priced` says.
        front: whether no cell of the same model on any kind is both quicker and cheaper.
        reason: reason why it may not be ranked on this kind, or "".
        kind: key of the kind.
        cell: full name of the cell.
        architecture, size, batch, threads: the model, and how it was run.
        label: its runtime and export.
        precision: precision that it computes in.
        native: whether it ran without ONNX.
        not_priced: why it has no cost, or "".
    """

    kind: str
    cell: str
    architecture: str
    size: int
    batch: int
    threads: int
    label: str
    precision: str
    native: bool
    median_ms: Interval | None = None
    by_machine: dict[str, float] = Field(default_factory=dict)
    spread: float | None = None
    p99_ms: float | None = None
    throughput: Interval | None = None
    instances: int = Field(default=1, ge=1)
    cost_per_million: Interval | None = None
    not_priced: str = ""
    front: bool = False
    reason: str = ""

    @property
    def group(self) -> GroupOfCells:
        """Architecture, size, batch and threads."""
        return (self.architecture, self.size, self.batch, self.threads)


class KindRace(Record):
    """The fastest native cell against the fastest through ONNX, on one kind of machine, like with like.

    Attributes:
        precision: precision as in `assay.records.races.Race`.
        native, onnx: labels of both.
        speedup: native median over ONNX median, a ratio within each machine, combined over them; above 1 ONNX is
            faster.
        by_machine: ratio within each machine.
        spread: spread of these between machines, as the standard deviation of the logarithm; None for a single one.
        verdict: verdict on ONNX against native; those of all kinds are one family.
        kind: key of the kind.
        architecture, size, batch, threads: the model, and how it was run.
    """

    kind: str
    architecture: str
    size: int
    batch: int
    threads: int
    precision: str
    native: str
    onnx: str
    speedup: Interval
    by_machine: dict[str, Interval]
    spread: float | None = None
    verdict: Verdict

    @property
    def group(self) -> GroupOfCells:
        """Architecture, size, batch and threads."""
        return (self.architecture, self.size, self.batch, self.threads)


class Joined(Record):
    """Several runs as one.

    Attributes:
        study, title, task, data: those that all of them have in common.
        currency: currency of all prices, "" where none is given.
        allowed: intended differences between the runs, in words.
        kinds: kinds in the order of the runs.
        schema_version: version of this form of record.
        created: UTC, ISO 8601.
        assay_version: version of Assay that made it.
        runs: every run.
        cells: every cell on every kind.
        races: native against ONNX on every kind.
    """

    schema_version: Literal[1] = 1
    study: str
    title: str
    task: str
    data: str
    created: str
    assay_version: str
    currency: str = ""
    allowed: list[str] = Field(default_factory=list)
    runs: list[JoinedRun]
    kinds: list[JoinedKind]
    cells: list[KindCell]
    races: list[KindRace]

    def name_of(self, kind: str) -> str:
        """Return a kind's name, by its key."""
        return next(one.name for one in self.kinds if one.key == kind)


def read_joined(folder: Path) -> Joined:
    """
    Raises:
        ArtifactError: there is none, or it is damaged or of another version.
    """
    path, expected = folder / JOINED_FILE, "a joined.json written by `assay join`"
    return Joined.read_from(
        path, f"Cannot read joined runs from {path}", expected=expected, remedy="Join the runs again"
    )
