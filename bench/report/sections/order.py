"""The report's sections, in order. To add one, write a function and put it here, or let a task ask for it.

A section is made by a function from evidence to a `Section`, or to None where there is nothing to show.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields, is_dataclass, replace
from typing import Any

from assay.bench.report.evidence import Evidence
from assay.bench.report.page.blocks import Section, Table
from assay.bench.report.sections.answer import answer
from assay.bench.report.sections.cases import all_cases as cases
from assay.bench.report.sections.environment import data, environment, repeat
from assay.bench.report.sections.models.agreement import agreement
from assay.bench.report.sections.models.audit import audit
from assay.bench.report.sections.models.exports import exports
from assay.bench.report.sections.reasons.attribution import attribution, operators
from assay.bench.report.sections.reasons.factors import factors
from assay.bench.report.sections.reasons.mixed import layers_not_in_int8
from assay.bench.report.sections.reasons.roofline import roofline
from assay.bench.report.sections.times.cells import all_cells, not_run
from assay.bench.report.sections.times.cost import cold_start, memory
from assay.bench.report.sections.times.instances import instances
from assay.bench.report.sections.times.load import load
from assay.bench.report.sections.times.selfcheck import selfcheck
from assay.bench.report.sections.times.sizes import by_size
from assay.bench.report.sections.times.speed import latency, throughput
from assay.bench.report.sections.times.steadiness import steadiness
from assay.bench.report.sections.times.validity import validity
from assay.bench.tasks.task import task_of
from assay.bench.words.names import points_of, with_names
from assay.records.results import Results

Maker = Callable[[Evidence], Section | None]
SIZE = "Size"
"""The heading of sizes that are none of images."""

REPORT: tuple[Maker, ...] = (answer, cases, by_size, latency, throughput, instances, attribution)
"""Sections that everyone reads; those that the task asks for follow them."""
ALSO: tuple[Maker, ...] = (layers_not_in_int8, cold_start, load, audit)
DETAILS: tuple[Maker, ...] = (
    validity,
    selfcheck,
    steadiness,
    memory,
    roofline,
    operators,
    factors,
    agreement,
    exports,
    not_run,
    all_cells,
    environment,
    data,
    repeat,
)
"""Sections that are folded below the report; those that the task asks for precede them."""


def sections_of(evidence: Evidence) -> list[Section]:
    """Return the sections that have something to show."""
    task = task_of(evidence.results)
    told = [make(evidence) for make in (*REPORT, *task.sections(), *ALSO)]
    folded = [make(evidence) for make in (*task.details(), *DETAILS)]
    details = [replace(section, detail=True) for section in folded if section is not None]
    shown = [_without_sizes(section) for section in (*told, *details) if section is not None]
    return [_with_named_sizes(one, evidence.results) for one in shown] if points_of(evidence.results) else shown


def sections_of_training(evidence: Evidence) -> list[Section]:
    """Return the sections on a study's trainings, for a report before anything is timed."""
    told = [make(evidence) for make in (*task_of(evidence.results).details(), environment, data)]
    return [section for section in told if section is not None]


def _without_sizes(section: Section) -> Section:
    """Leave out a table's column of sizes where nothing in it has one, as no model but those of images has."""
    blocks = tuple(_narrowed(block) if isinstance(block, Table) else block for block in section.blocks)
    return replace(section, blocks=blocks)


def _with_named_sizes(some: Any, results: Results) -> Any:
    """Return a section, or a part of one, with the names of a user's dimensions where sizes would be pixels."""
    if isinstance(some, str):
        return with_names(some, results)
    if isinstance(some, list | tuple):
        return type(some)(_with_named_sizes(one, results) for one in some)
    if isinstance(some, dict):
        return {name: _with_named_sizes(one, results) for name, one in some.items()}
    if is_dataclass(some) and not isinstance(some, type):
        return replace(some, **{one.name: _with_named_sizes(getattr(some, one.name), results) for one in fields(some)})
    return some


def _narrowed(table: Table) -> Table:
    kept = [
        place
        for place, column in enumerate(table.columns)
        if column.heading != SIZE or any(row[place].number != 0 for row in table.rows)
    ]
    rows = tuple(tuple(row[place] for place in kept) for row in table.rows)
    return replace(table, columns=tuple(table.columns[place] for place in kept), rows=rows)
