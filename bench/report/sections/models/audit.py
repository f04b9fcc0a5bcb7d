"""Section on the numerical audit stored with the results: its verdict, and the worst of each subject."""

from __future__ import annotations

from assay.bench.report.evidence import Evidence, worded
from assay.bench.report.page.audit_sections import headline, outcome_items
from assay.bench.report.page.audit_tables import models_table
from assay.bench.report.page.blocks import Block, Code, Item, Listing, Paragraphs, Section
from assay.bench.words.numbers import moment
from assay.records.stale import AGAIN, current_part, in_words, stale_parts

IDENTIFIER, TITLE = "audit", "Numerical audit"


def audit(evidence: Evidence) -> Section:
    """Show the findings of `assay audit`, without the single comparisons and images, which its own page has.

    Findings about other weights, files or images than those of the results are named as out of date and not shown.
    """
    found = evidence.audit
    if found is None:
        text = worded(
            "No audit of this study was found. An audit compares every runtime and export with float64 on the whole "
            "test split, on hard images and at the decision boundary: run assay audit, then assay report.",
            evidence.results,
        )
        return Section(IDENTIFIER, TITLE, "", (Paragraphs((text,)),))
    stale = stale_parts(found, evidence.results)
    made = f"Made on {moment(found.created, time=True)}"
    again = Code("To repeat this audit from the same artifacts", found.command, "sh")
    current = current_part(found, stale) if stale else found
    out_of_date = Listing("Out of date", tuple(Item(text, "stale", "bad") for text in in_words(stale)))
    before: tuple[Block, ...] = (out_of_date,) if stale else ()
    left_out = " Parts that are out of date are left out." if stale else ""
    if not current.models:
        lead = f"{made}, and not of the timed files: it says nothing about these results. {AGAIN}."
        return Section(IDENTIFIER, TITLE, lead, (*before, again))
    lead = f"{headline(current)}{left_out} {made}; " + worded(
        "audit.html has how the tolerances were derived, every comparison, and every image that changes its class.",
        evidence.results,
    )
    return Section(IDENTIFIER, TITLE, lead, (*before, *outcome_items(current), models_table(current), again))
