"""The report's sections, in order. To add one, write a function and put it here.

A section is made by a function from evidence to a `Section`, or to None where there is nothing to show.
"""

from __future__ import annotations

from collections.abc import Callable

from assay.bench.report.evidence import Evidence
from assay.bench.report.page.blocks import Section
from assay.bench.report.sections.environment import data, environment, repeat
from assay.bench.report.sections.models.agreement import agreement
from assay.bench.report.sections.models.audit import audit
from assay.bench.report.sections.models.exports import exports
from assay.bench.report.sections.models.learning import curves, parity
from assay.bench.report.sections.models.training import accuracy, classes
from assay.bench.report.sections.reasons.attribution import attribution, operators
from assay.bench.report.sections.reasons.factors import factors
from assay.bench.report.sections.reasons.pareto import accuracy_against_latency
from assay.bench.report.sections.reasons.roofline import roofline
from assay.bench.report.sections.times.cells import all_cells, not_run
from assay.bench.report.sections.times.cost import cold_start, memory
from assay.bench.report.sections.times.load import load
from assay.bench.report.sections.times.selfcheck import selfcheck
from assay.bench.report.sections.times.speed import latency, ratios, throughput
from assay.bench.report.sections.times.steadiness import steadiness
from assay.bench.report.sections.times.validity import validity
from assay.bench.report.sections.verdict import verdict

SECTIONS: tuple[Callable[[Evidence], Section | None], ...] = (
    verdict,
    latency,
    throughput,
    ratios,
    attribution,
    roofline,
    operators,
    factors,
    steadiness,
    validity,
    selfcheck,
    accuracy,
    classes,
    curves,
    parity,
    accuracy_against_latency,
    cold_start,
    memory,
    load,
    agreement,
    audit,
    exports,
    not_run,
    all_cells,
    environment,
    data,
    repeat,
)


def sections_of(evidence: Evidence) -> list[Section]:
    """The sections that have something to show."""
    made = (section(evidence) for section in SECTIONS)
    return [section for section in made if section is not None]
