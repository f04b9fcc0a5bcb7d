"""Section on the numerical audit, where one lies beside the results: its verdict, and the worst of each subject."""

from __future__ import annotations

from bench.report.audit_sections import headline, outcome_items, subjects_table
from bench.report.blocks import Code, Paragraphs, Section
from bench.report.evidence import Evidence
from bench.report.numbers import moment


def audit(evidence: Evidence) -> Section:
    """What `assay audit` found, without the single comparisons and images, which its own page has."""
    found = evidence.audit
    identifier, title = "audit", "Numerical audit"
    if found is None:
        text = (
            "No audit of this study was found. It compares every runtime and export with float64 on the whole test "
            "split, on hard images and at the decision boundary: assay audit, then assay report."
        )
        return Section(identifier, title, "", (Paragraphs((text,)),))
    lead = (
        f"{headline(found)} Made on {moment(found.created, time=True)}; audit.html has every comparison, how the "
        "tolerances were derived, and every image that changes its class."
    )
    tables = tuple(subjects_table(model, number) for number, model in enumerate(found.models))
    again = Code("To make this audit again from the same artifacts", found.command, "sh")
    return Section(identifier, title, lead, (*outcome_items(found), *tables, again))
