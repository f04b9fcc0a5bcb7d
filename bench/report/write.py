"""Write all parts of a report."""

from __future__ import annotations

from pathlib import Path

import polars

from assay.bench.judging.judged import judged
from assay.bench.judging.summary import by_cell, planned_of
from assay.bench.report.cells_table import write_cells
from assay.bench.report.drawing.figures import write_figures
from assay.bench.report.evidence import Evidence
from assay.bench.report.page.audit_page import render_audit
from assay.bench.report.page.blocks import Section
from assay.bench.report.page.page import render_markdown, render_page
from assay.bench.report.sections.order import sections_of, sections_of_training
from assay.errors import ArtifactError
from assay.records.audit import AUDIT_FILE, PAGE_FILE, Audit
from assay.records.load import Load
from assay.records.results import Results, read_results
from assay.store import reporting_disk_errors, write_atomically


def write_report(
    results: Results,
    samples: polars.DataFrame | None,
    out: Path,
    audit: Audit | None = None,
    load: Load | None = None,
) -> list[Path]:
    """Write the report of a study into the folder `out`, and return the files written.

    These are report.html (self-contained), report.md, results.json (left as it is where it holds the same
    record), cells.csv, cells.parquet, and figures/*.svg and *.png. Nothing is measured and no framework is
    imported.

    Args:
        results: the record.
        samples: the raw samples (`assay.files.columns.SAMPLE_COLUMNS`), or None where they were not kept.
        out: the folder; created where it is missing.
        audit: audit of the study, where there was one; audit.html and audit.json are then written too.
        load: load test of the deployed model, where there was one.

    Raises:
        InputError: the folder cannot be written.
    """
    said = judged(results, audit, None if samples is None else by_cell(samples, planned_of(results.settings)))
    sections = sections_of(Evidence(said, samples, audit, load))
    pages = _write_pages(said, sections, out)
    record = _write_record(results, out / "results.json")
    tables, figures = write_cells(said, out), write_figures(sections, out / "figures")
    return [*pages, record, *tables, *figures, *_write_audit(audit, out)]


def write_training_report(results: Results, out: Path) -> list[Path]:
    """Write the report of a study's trainings, of which nothing is timed yet, and return the files written.

    Raises:
        InputError: the folder cannot be written.
    """
    sections = sections_of_training(Evidence(results))
    pages = _write_pages(results, sections, out)
    return [*pages, _write_record(results, out / "results.json"), *write_figures(sections, out / "figures")]


def _write_pages(results: Results, sections: list[Section], out: Path) -> list[Path]:
    with reporting_disk_errors(out):
        out.mkdir(parents=True, exist_ok=True)
    page, markdown = out / "report.html", out / "report.md"
    write_atomically(page, render_page(results, sections).encode())
    write_atomically(markdown, render_markdown(results, sections).encode())
    return [page, markdown]


def _write_audit(audit: Audit | None, out: Path) -> list[Path]:
    if audit is None:
        return []
    page, record = out / PAGE_FILE, out / AUDIT_FILE
    write_atomically(page, render_audit(audit).encode())
    write_atomically(record, audit.model_dump_json(indent=1).encode())
    return [page, record]


def _write_record(results: Results, path: Path) -> Path:
    """Write the record for the report; a file that already holds it keeps its bytes."""
    if not _holds(path, results):
        write_atomically(path, results.model_dump_json(indent=2).encode())
    return path


def _holds(path: Path, results: Results) -> bool:
    try:
        return read_results(path) == results
    except ArtifactError:
        return False
