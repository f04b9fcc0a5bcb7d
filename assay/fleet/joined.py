"""The record of several runs of one study on several machines, held together by kind of machine.

A folder of it holds `joined.json`, and below `runs/` each run as it was, which everything here can be derived from
again.
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import Field, ValidationError

from assay.errors import ArtifactError
from assay.files.mistakes import mistake_in
from assay.files.texts import read_bytes
from assay.fleet.kind import MachineKind
from assay.records.base import Interval, Record, Verdict

JOINED_FILE = "joined.json"
RUNS = "runs"
GroupOfCells = tuple[str, int, int, int]


class JoinedRun(Record):
    """One run on one machine.

    Attributes:
        name: of its folder below `runs/`.
        kind: the key of its machine's.
        machine: which machine of that kind, a letter for each in the order of the runs; runs that do not say which
            machine they are of count as of one.
        ruler_passed: what the self-check on that machine said; None where there was none.
        ceilings: by name, the best that the machine was seen to do on one thread: "fp32 GFLOP/s", "memory GB/s".
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
        key: of `kind`.
        name: what it is called beside the others.
        machines: how many of it were measured.
        price_per_hour: None where nobody said it.
    """

    key: str
    name: str
    kind: MachineKind
    machines: int = Field(ge=1)
    price_per_hour: float | None = None


class KindCell(Record):
    """What one cell is on one kind of machine.

    Attributes:
        median_ms: of a call; the geometric mean over machines, see `assay.bench.fleet.levels` for the interval.
        by_machine: the median on each machine.
        spread: between machines, as the standard deviation of the logarithm; None of a single one.
        p99_ms: of the worst machine.
        throughput: rows a second, with as many instances as give most where the study has them.
        instances: processes at the same time that the throughput is of.
        cost_per_million: of a million rows, in the prices' currency; None where the kind has no price or the cell
            leaves a part of the machine idle, which `not_priced` says.
        front: no cell of the same model on any kind is both quicker and cheaper.
        reason: why it may not be ranked on this kind, or "".
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
        precision: as in `assay.records.races.Race`.
        native, onnx: their labels.
        speedup: native median over ONNX median, a ratio within each machine, combined over them; above 1 ONNX is
            faster.
        by_machine: the ratio within each machine.
        spread: of these between machines, as the standard deviation of the logarithm; None of a single one.
        verdict: of ONNX against native; those of all kinds are one family.
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
        study, title, task, data: that all of them are of.
        currency: of all prices, "" where none is said.
        allowed: differences between the runs that were said to be meant, in words.
        kinds: in the order of the runs.
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
        """What a kind is called, by its key."""
        return next(one.name for one in self.kinds if one.key == kind)


def read_joined(folder: Path) -> Joined:
    """
    Raises:
        ArtifactError: there is none, or it is damaged or of another version.
    """
    path = folder / JOINED_FILE
    try:
        return Joined.model_validate_json(read_bytes(path))
    except (OSError, ValidationError) as error:
        raise ArtifactError(
            f"Cannot read joined runs from {path}",
            expected="a joined.json written by `assay join`",
            found=mistake_in(error),
            remedy="Join the runs again",
        ) from error
