"""The report's sections, in order. To add one, write a function and put it here.

A section is made by a function from evidence to a `Section`, or to None where there is nothing to show.
"""

from __future__ import annotations

from collections.abc import Callable

from bench.report.about_agreement import agreement
from bench.report.about_attribution import attribution, operators
from bench.report.about_audit import audit
from bench.report.about_cells import all_cells, not_run
from bench.report.about_cost import cold_start, memory
from bench.report.about_environment import data, environment, repeat
from bench.report.about_exports import exports
from bench.report.about_factors import factors
from bench.report.about_learning import curves, parity
from bench.report.about_load import load
from bench.report.about_pareto import accuracy_against_latency
from bench.report.about_roofline import roofline
from bench.report.about_selfcheck import selfcheck
from bench.report.about_speed import latency, ratios, throughput
from bench.report.about_steadiness import steadiness
from bench.report.about_training import accuracy, classes
from bench.report.about_validity import validity
from bench.report.about_verdict import verdict
from bench.report.blocks import Section
from bench.report.evidence import Evidence

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
