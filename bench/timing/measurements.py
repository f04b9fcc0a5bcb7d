"""Measurements of timing: finished units brought together."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import polars

from assay.bench.judging.summary import CellSamples, by_cell
from assay.bench.timing.trials import CellFacts, logits_name, timed_name
from assay.bench.timing.unit_files import BURSTS_FILE, CELL_FACTS, FACTS_FILE, SAMPLES_FILE, UnitFacts
from assay.files.columns import BURST_COLUMNS, SAMPLE_COLUMNS
from assay.files.tables import read_table
from assay.files.texts import read_json
from assay.store import Artifact, facts_of


@dataclass(frozen=True)
class Measurements:
    """All units of a study: samples, bursts, each process's facts, outputs by cell, and the seconds they took.

    Attributes:
        planned: number of processes of a cell that were decided on before any was timed, see
            `assay.bench.statistics.stats.Samples`.
        interrupted: whether a person ended the timing; all units here were finished before.
    """

    samples: polars.DataFrame
    bursts: polars.DataFrame
    facts: list[CellFacts]
    logits: dict[str, Path]
    timed: dict[str, list[Path]]
    seconds: float
    planned: int = 0
    units: tuple[Artifact, ...] = ()
    interrupted: bool = False

    @property
    def timed_seconds(self) -> float:
        """Seconds of timed calls; the others were spent on getting ready."""
        return float(self.bursts["wall_ns"].sum()) / 1e9

    @property
    def by_cell(self) -> CellSamples:
        """The calls of each cell at each boundary."""
        return by_cell(self.samples, self.planned)


def seconds_of(unit: Artifact) -> float:
    """Return what a unit took of the budget."""
    return facts_of(unit, UnitFacts).seconds


def facts_in(unit: Artifact) -> list[CellFacts]:
    """Return the facts about each process of a unit."""
    return CELL_FACTS.validate_python(read_json(unit.file(FACTS_FILE)))


def gathered(units: list[Artifact], planned: int) -> Measurements:
    """Return all that some units have measured; `planned` is as of `Measurements`."""
    facts, logits = [], {}
    timed: dict[str, list[Path]] = {}
    samples, bursts = [polars.DataFrame(schema=SAMPLE_COLUMNS)], [polars.DataFrame(schema=BURST_COLUMNS)]
    for unit in units:
        samples.append(read_table(unit.file(SAMPLES_FILE)))
        bursts.append(read_table(unit.file(BURSTS_FILE)))
        for fact in facts_in(unit):
            facts.append(fact)
            if logits_name(fact.cell) in unit.manifest.files:
                logits[fact.cell] = unit.file(logits_name(fact.cell))
            if timed_name(fact.cell) in unit.manifest.files:
                timed.setdefault(fact.cell, []).append(unit.file(timed_name(fact.cell)))
    seconds = sum(seconds_of(unit) for unit in units)
    samples_of_all, bursts_of_all = polars.concat(samples), polars.concat(bursts, how="diagonal")
    return Measurements(samples_of_all, bursts_of_all, facts, logits, timed, seconds, planned, tuple(units))
