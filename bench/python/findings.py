"""The results of the calls from Python: typed records, tables of polars, and a page for notebooks."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import polars

from assay.bench.python.html import page_of
from assay.records.audit import Audit
from assay.records.choice import Choice
from assay.records.results import Results

AUDIT_SCHEMA = {
    "model": polars.String,
    "subject": polars.String,
    "inputs": polars.String,
    "batch": polars.Int64,
    "precision": polars.String,
    "largest_error": polars.Float64,
    "tolerance": polars.Float64,
    "passed": polars.Boolean,
    "reason": polars.String,
}
RATIO_SCHEMA = {
    "architecture": polars.String,
    "size_px": polars.Int64,
    "batch": polars.Int64,
    "threads": polars.Int64,
    "native": polars.String,
    "label": polars.String,
    "times_as_slow": polars.Float64,
    "low": polars.Float64,
    "high": polars.Float64,
    "verdict": polars.String,
}


@dataclass(frozen=True, repr=False)
class AuditFindings:
    """The result of an audit: whether numbers still agree with float64.

    Attributes:
        audit: the whole record.
        folder: folder that contains it.
    """

    audit: Audit
    folder: Path

    @property
    def passed(self) -> bool:
        """Whether every comparison is within what rounding explains."""
        return self.audit.passed

    @property
    def verdict(self) -> str:
        """The verdict in one sentence."""
        return str(self.audit.verdict)

    @property
    def comparisons(self) -> polars.DataFrame:
        """One row for each comparison with float64: absolute errors and tolerances, null where nothing could be
        compared.
        """
        rows = [
            {
                "model": model.name,
                "subject": one.subject,
                "inputs": one.inputs,
                "batch": one.batch,
                "precision": one.precision,
                "largest_error": one.measured.max_absolute if one.measured else None,
                "tolerance": one.tolerance,
                "passed": one.passed,
                "reason": one.reason,
            }
            for model in self.audit.models
            for one in model.comparisons
        ]
        return polars.DataFrame(rows, schema=AUDIT_SCHEMA)

    def __str__(self) -> str:
        return "\n".join([f"Verdict: {self.verdict}", *self.audit.reasons])

    def __repr__(self) -> str:
        return f"<{type(self).__name__} in {self.folder}: {self.verdict}, {len(self.comparisons)} comparisons>"

    def _repr_html_(self) -> str:
        worst = self.comparisons.sort("passed", "largest_error", descending=[False, True], nulls_last=True)
        return page_of(str(self).splitlines(), worst.drop("model"))


@dataclass(frozen=True, repr=False)
class ModelFindings:
    """The content of a folder of `assay run` or `assay model`.

    Attributes:
        results: the whole record, judged by the audit in the same folder.
        folder: folder that contains it.
        audit: the audit, None if none was made.
        choice: the last answer of `assay choose`, None if it was not asked.
        lines: the command's output: numbers, verdicts, refusals.
        refused: why the answer is no; empty means yes.
    """

    results: Results
    folder: Path
    audit: AuditFindings | None
    choice: Choice | None
    lines: tuple[str, ...]
    refused: tuple[str, ...]

    @property
    def passed(self) -> bool:
        """Whether there is an answer whose numbers agree, so that the command would end with 0."""
        return not self.refused

    @property
    def report(self) -> Path:
        """The page, if it was written."""
        return self.folder / "report" / "report.html"

    @property
    def cells(self) -> polars.DataFrame:
        """One row for each runtime, export, batch and number of threads, with medians and bounds in ms, as in
        cells.parquet (`assay.bench.report.cells_table`).
        """
        from assay.bench.report.cells_table import cells_frame  # noqa: PLC0415  takes a while, and not all want it

        return cells_frame(self.results)

    @property
    def ratios(self) -> polars.DataFrame:
        """How many times as slow each cell is as the fastest native one, with 95 % intervals and verdicts; see
        `assay.records.races.SpeedComparison`.
        """
        rows = [
            {
                "architecture": one.architecture,
                "size_px": one.size,
                "batch": one.batch,
                "threads": one.threads,
                "native": one.native,
                "label": label,
                "times_as_slow": ratio.value,
                "low": ratio.low,
                "high": ratio.high,
                "verdict": one.verdicts.get(label),
            }
            for one in self.results.comparisons
            for label, ratio in one.ratios.items()
        ]
        return polars.DataFrame(rows, schema=RATIO_SCHEMA)

    def __str__(self) -> str:
        return "\n".join(self.lines)

    def __repr__(self) -> str:
        state = "passed" if self.passed else f"refused: {self.refused[0]}"
        return f"<{type(self).__name__} in {self.folder}: {len(self.results.cells)} cells, {state}>"

    def _repr_html_(self) -> str:
        columns = ["label", "batch", "threads", "precision", "status"]
        times = [f"host_median_ms_{part}" for part in ("value", "low", "high")]
        shown = self.cells.select(*columns, *times, "agrees", "reason").sort("batch", times[0], nulls_last=True)
        return page_of(self.lines, shown)
