"""An audit as one HTML file to read, print and archive: without scripts, and without any request to the network."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from assay.bench.report.page.audit_sections import audit_sections
from assay.bench.report.page.blocks import Section, Table
from assay.bench.report.page.page import styles, templates
from assay.bench.words.numbers import moment
from assay.records.audit import AUDIT_FILE, Audit

POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; form-action 'none'"


def render_audit(audit: Audit) -> str:
    """Return the whole page."""
    names = list(dict.fromkeys(model.name for model in audit.models))
    title = f"Audit of {names[0]}" if len(names) == 1 else f"Audit of {len(names)} models"
    return render_without_script(
        audit_sections(audit),
        kicker="numerical audit",
        title=title,
        created=audit.created,
        assay_version=audit.assay_version,
        record=AUDIT_FILE,
        notice=audit.notice,
    )


def render_without_script(
    sections: Iterable[Section],
    *,
    kicker: str,
    title: str,
    created: str,
    assay_version: str,
    record: str,
    extent: str = "",
    notice: str = "",
) -> str:
    """Return sections as a page like an audit's.

    Args:
        kicker: the kind of page.
        created: UTC, ISO 8601.
        record: name of the file that the page is made from.
        extent: the number of things in it, "" for none.
        notice: remark on the images, "" for none.
    """
    shown = [_without_script(section) for section in sections]
    return (
        templates()
        .get_template("audit.html")
        .render(
            assay_version=assay_version,
            kicker=kicker,
            created=created,
            notice=notice,
            record=record,
            extent=extent,
            title=title,
            date=moment(created, time=True),
            sections=shown,
            policy=POLICY,
            styles=styles(shown),
        )
    )


def _without_script(section: Section) -> Section:
    """Return a section whose tables have no buttons to sort them, which would do nothing here, nor the values to sort
    by.
    """
    blocks = tuple(_unsorted(one) if isinstance(one, Table) else one for one in section.blocks)
    return replace(section, blocks=blocks)


def _unsorted(table: Table) -> Table:
    rows = tuple(tuple(replace(value, number=None, path="") for value in row) for row in table.rows)
    return replace(table, rows=rows, sortable=False)
