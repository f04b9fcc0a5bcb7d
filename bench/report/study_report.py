"""The report of a study's folder, with everything stored with its results: samples, audit, load test."""

from __future__ import annotations

from pathlib import Path

import polars

from assay.bench.judging.judged import judged
from assay.bench.judging.summary import by_cell, planned_of
from assay.bench.report.evidence import Evidence
from assay.bench.report.write import write_report
from assay.bench.statistics.stats import Samples
from assay.bench.timing.unit_files import SAMPLES_FILE
from assay.bench.words.terminal import complain
from assay.files.tables import read_table_of
from assay.records.audit import AUDIT_FILE, Audit, read_audit
from assay.records.load import LOAD_FILE, Load, read_load
from assay.records.results import Results
from assay.records.stale import AGAIN, in_words, stale_parts
from assay.texts import printable


def report_of(folder: Path, results: Results, out: Path) -> list[Path]:
    """Write a study's report, leaving out any part that does not exist.

    Args:
        folder: folder with results.json.
        results: contents of results.json.
        out: folder for the report's files.

    Raises:
        ArtifactError: the audit or the load test of the results is damaged.
        InputError: the report cannot be written.
    """
    return write_report(results, _samples(folder, results), out, _audit(folder, results), _load(folder))


def evidence_of(folder: Path, results: Results) -> Evidence:
    """Return results with everything stored beside them, as their audit leaves them.

    Raises:
        ArtifactError: something beside them is damaged.
    """
    samples, audit = _samples(folder, results), _audit(folder, results)
    said = judged(results, audit, None if samples is None else by_cell(samples, planned_of(results.settings)))
    return Evidence(said, samples, audit, _load(folder))


def as_audited(folder: Path, results: Results) -> Results:
    """Return the results as their audit leaves them, for the terminal: see `assay.bench.judging.judged`.

    Raises:
        ArtifactError: the audit is damaged.
    """
    path = folder / AUDIT_FILE
    return judged(results, read_audit(path), samples_of(folder, results)) if path.is_file() else results


def samples_of(folder: Path, results: Results) -> dict[str, dict[str, Samples]]:
    """Return the calls behind a folder's results, by cell and boundary, or none where they were not kept.

    Raises:
        ArtifactError: they are damaged, or of another run.
    """
    samples = _samples(folder, results)
    return {} if samples is None else by_cell(samples, planned_of(results.settings))


def _samples(folder: Path, results: Results) -> polars.DataFrame | None:
    path = folder / SAMPLES_FILE
    return read_table_of(results, path) if path.is_file() else None


def _audit(folder: Path, results: Results) -> Audit | None:
    """Return the audit, and report which parts of it are out of date."""
    path = folder / AUDIT_FILE
    if not path.is_file():
        return None
    audit = read_audit(path)
    stale = in_words(stale_parts(audit, results))
    if stale:
        complain("\n".join([f"assay: {path} is out of date. {AGAIN}.", *map(printable, stale)]))
    return audit


def _load(folder: Path) -> Load | None:
    path = folder / LOAD_FILE
    return read_load(path) if path.is_file() else None
