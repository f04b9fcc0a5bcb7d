"""The record of an answer to `assay choose`: what was asked, what qualified, and why the others did not."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import Field, FiniteFloat

from assay.records.base import ONCE, Interval, OfMeasure, Record
from assay.runtimes.entry import Tier
from assay.store import write_atomically

CHOICE_FILE = "choice.json"
Objective = Literal["latency", "throughput", "cost"]
OBJECTIVES: tuple[Objective, ...] = ("latency", "throughput", "cost")
PRECISIONS = ("fp32", "bf16", "fp16", "int8")
"""Precisions, the most exact first."""
UNKNOWN = Interval(value=0.5, low=0, high=1)


class Constraints(OfMeasure):
    """The constraints on an answer; empty or None leaves one open.

    Attributes:
        architecture, size, batch, threads: required conditions of the cell.
        least_quality: the least value by the measure of the results; compared with the lower bound.
        least: the least value of each measure named, likewise.
        most_p99_ms: largest p99 of one call at the host boundary; compared with the upper bound.
        most_memory_mib: highest resident memory of the process.
        precisions: allowed precisions: "fp32", "bf16", "fp16", "int8".
        runtimes: allowed runtimes, by registered name.
        licences: allowed licences of everything that the runtime imports.
    """

    architecture: str | None = None
    size: int | None = None
    batch: int | None = None
    threads: int | None = None
    least_quality: FiniteFloat | None = None
    least: dict[str, FiniteFloat] = Field(default_factory=dict)
    most_p99_ms: float | None = Field(default=None, gt=0)
    most_memory_mib: float | None = Field(default=None, gt=0)
    precisions: list[str] = Field(default_factory=list)
    runtimes: list[str] = Field(default_factory=list)
    licences: list[str] = Field(default_factory=list)


class EligibleCell(OfMeasure):
    """A cell that may be trusted.

    Attributes:
        value: value of the objective: median ms a call, images a second, or the price of a million images.
        quality: quality by the choice's measure, on `quality_images` of the test split or of a user's labelled records;
            None without labels, where every cell that passed its audit is as right as the others.
        quality_inferred: whether its own outputs were computed for fewer images, so that it has the reference's class
            on the others; `quality_open` of them are too close to call and are counted both ways; see
            `assay.bench.tasks.classification.accuracy`.
        p99_ms: p99 of the calls; `p99_at_most_ms` bounds it with 95 % confidence, None where the calls are too few.
        calls: number of calls it was computed from.
        instances: number of simultaneous processes that the value, the p99 and the memory are for.
        measures: values of all measures of a user's labelled records, by name.
        sets: images a second of each set of so many processes; empty where the cell was timed in only one.
        tied: whether its objective ties with the answer's.
        front: whether no other cell dominates it.
        cell: full name of the cell.
        label: its runtime and export.
        precision: precision that it computes in.
        quality_images: number of inputs behind the quality.
        quality_open: number of inputs that are too close to call.
        p99_at_most_ms: bound of the p99 from above with 95 % confidence; None where calls are too few.
        memory_mib: most memory of a process; None where unknown.
    """

    cell: str
    label: str
    precision: str
    value: Interval
    quality: Interval | None
    quality_images: int = 0
    quality_inferred: bool = False
    quality_open: int = 0
    measures: dict[str, Interval] = Field(default_factory=dict)
    p99_ms: float
    p99_at_most_ms: float | None = None
    calls: int = 0
    memory_mib: float | None
    instances: int = Field(default=1, ge=1)
    sets: list[float] = Field(default_factory=list)
    front: bool = False
    tied: bool = False

    @property
    def correct(self) -> Interval:
        """How right it is; where nobody knows, the same for all cells: anything between none and all."""
        return self.quality or UNKNOWN


class TierBest(Record):
    """The best candidate of one tier, besides the answer.

    Attributes:
        tier: see `assay.runtimes.entry.TIERS`.
        precision: precision that it computes in.
        times: how many times as much as the answer it costs, in terms of the objective; None where the spread is
            unknown.
        tied: whether the two do not differ significantly.
        cell: full name of the cell.
    """

    tier: Tier
    cell: str
    precision: str
    times: Interval | None
    tied: bool


class NearMiss(Record):
    """The candidate that misses the constraints by the least, `by` as a share of the limit: "misses p99 by 12 %".

    Attributes:
        constraint: "p99", "p99 unknown" or "memory", else the measure of quality.
        images: number of images behind such a measure, or of calls behind a p99.
        cell: full name of the cell.
        by: how far it misses the limit, as a share of it.
        found: its value.
        limit: the limit.
        share: whether a measure of quality is a share, shown in percent.
    """

    cell: str
    constraint: str
    by: float
    found: float
    limit: float
    images: int = 0
    share: bool = True


class Choice(Record):
    """The answer to `assay choose`.

    Attributes:
        machine: the machine of the times, as its fingerprint describes it; "" in older records.
        measure: name of the measure of quality, the user's metric or the task's own; "" where there is none.
        share: whether that is a share, shown in percent.
        price_per_hour: price of the machine, for the objective "cost", in the user's currency.
        answer: the chosen cell, "" when none qualifies.
        because: why it was chosen and not a tied one, in words.
        serve_with: instances, threads, cores and batch of the answer, for "throughput" and "cost".
        assumed: the assumptions behind a price, "" for other objectives.
        paired: whether ties were judged by ratios within the blocks that were timed.
        behind_at_most: the share by which the answer may be worse than the best of the other candidates, with 95 %
            confidence (`assay.bench.choosing.best`); None where there is no answer or no bound.
        beside: the best of each tier under the answer's conditions, in all precisions and in the answer's own; empty in
            older records.
        candidates: cells that meet every constraint, best objective first.
        losers: why each other cell is not the answer.
        not_asked_for: the losers of another architecture, size, batch or number of threads.
        wrong: the losers whose outputs do not agree, in the timed calls or in the audit.
        nearest: the nearest miss, when none qualifies; None when no cell may be trusted at all.
        schema_version: version of this form of record.
        study: name of the study.
        created: UTC, ISO 8601.
        objective: the quantity to be best in.
        constraints: limits for every candidate.
    """

    schema_version: Literal[1] = 1
    study: str
    created: str
    machine: str = ""
    objective: Objective
    measure: str = ONCE
    share: bool = True
    price_per_hour: float | None
    constraints: Constraints
    answer: str
    because: str
    serve_with: str = ""
    assumed: str = ""
    paired: bool = False
    behind_at_most: float | None = Field(default=None, ge=0)
    beside: list[TierBest] = Field(default_factory=list)
    candidates: list[EligibleCell]
    losers: dict[str, str]
    not_asked_for: list[str] = Field(default_factory=list)
    wrong: list[str] = Field(default_factory=list)
    nearest: NearMiss | None


def read_choice(folder: Path) -> Choice:
    """Read the last answer in a study's folder.

    Raises:
        ArtifactError: there is none, or it is damaged.
    """
    path, remedy = folder / CHOICE_FILE, "Run `assay choose` on the study, or name a cell with --cell"
    return Choice.read_from(path, f"Cannot read a choice from {path}", remedy=remedy)


def write_choice(choice: Choice, folder: Path) -> None:
    """Write choice.json, whole or not at all."""
    write_atomically(folder / CHOICE_FILE, choice.model_dump_json(indent=1).encode())


def in_words(miss: NearMiss) -> str:
    """Say by how much a limit is missed."""
    if miss.constraint == "p99 unknown":
        return f"{miss.images:,} calls do not bound p99 from above: it is {miss.found:.4g} ms or more"
    unit = {"p99": "ms", "memory": "MiB"}.get(miss.constraint)
    if unit is None:
        of = f" (of {miss.images:,} images)" if miss.images else ""
        found, limit = (f"{one:.2%}" if miss.share else f"{one:.4g}" for one in (miss.found, miss.limit))
        return f"{miss.constraint} is only known to be {found}{of}, {limit} is required"
    return f"misses {miss.constraint} by {miss.by:.0%}: {miss.found:.4g} {unit}, at most {miss.limit:.4g}"


def nearest_in_words(choice: Choice) -> str:
    """Return the sentence for when no candidate qualifies."""
    if choice.nearest is None:
        return "No candidate qualifies, and no valid measurement comes near."
    return f"No candidate qualifies; the nearest, {choice.nearest.cell}, {in_words(choice.nearest)}."
