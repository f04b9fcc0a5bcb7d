"""A finished run as other tools take it: parameters, numbers by name, a table, files and the verdict; pure but for
reading the folder.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from pydantic import JsonValue

from assay.bench.python.calls import read
from assay.bench.python.findings import ModelFindings
from assay.records.audit import AUDIT_FILE, PAGE_FILE
from assay.records.choice import CHOICE_FILE
from assay.records.results import RESULTS_FILE, Cell
from assay.texts import printable

FILES = (RESULTS_FILE, "report/report.html", "report/report.md", AUDIT_FILE, PAGE_FILE, CHOICE_FILE)
LONGEST = 500
"""The most characters of a parameter: trackers take as many as MLflow's older servers."""
STRANGE = re.compile(r"[^A-Za-z0-9_. -]")
COLUMNS = ("cell", "status", "valid", "agrees", "precision", "median_ms", "low_ms", "high_ms", "per_second", "peak_mib")
Value = str | float | bool | None


@dataclass(frozen=True)
class Publication:
    """Findings of a run as they are published.

    Attributes:
        name: name of the study or model.
        parameters: settings, machine and package versions, each at most `LONGEST` characters.
        metrics: finite numbers by names such as "bloodnet/28/b1/t1/ort.cpu/tf2onnx/median_ms".
        rows: one for each cell, of `COLUMNS`.
        lines: the verdicts, in sentences.
        files: files of the run that exist.
    """

    name: str
    title: str
    passed: bool
    parameters: dict[str, str]
    metrics: dict[str, float]
    rows: tuple[tuple[Value, ...], ...]
    lines: tuple[str, ...]
    files: tuple[Path, ...]
    findings: ModelFindings


def publication_of(folder: Path) -> Publication:
    """
    Raises:
        ArtifactError: the folder has no finished run.
    """
    found = read(folder)
    results = found.results
    cells = [cell for cell in results.cells if cell.framework]
    about: dict[str, JsonValue] = {
        "assay_version": results.assay_version,
        "created": results.created,
        "task": results.task,
        "data": results.data.name,
        "settings": results.settings,
        "machine": {name: results.environment.get(name) for name in ("processor", "cores", "memory_gib", "gpus")},
        "packages": results.environment.get("packages"),
    }
    return Publication(
        name=results.study,
        title=printable(results.title),
        passed=found.passed,
        parameters={name: printable(value)[:LONGEST] for name, value in _flat("", about)},
        metrics={name: value for cell in cells for name, value in _metrics(cell) if math.isfinite(value)},
        rows=tuple(_row(cell) for cell in cells),
        lines=tuple(printable(line) for line in found.lines),
        files=tuple(folder / name for name in FILES if (folder / name).is_file()),
        findings=found,
    )


def metric_name(cell: str) -> str:
    """A cell's name in the characters that every tracker takes, its parts as folders: no part is "." or ".."."""
    parts = (STRANGE.sub("-", part).strip(". ") for part in cell.replace("@", "/").split("/"))
    return "/".join(part or "-" for part in parts)


def _metrics(cell: Cell) -> Iterator[tuple[str, float]]:
    name = metric_name(cell.name)
    if cell.host:
        yield f"{name}/median_ms", cell.host.median_ms.value
        yield f"{name}/median_ms_low", cell.host.median_ms.low
        yield f"{name}/median_ms_high", cell.host.median_ms.high
        yield f"{name}/valid", float(not cell.invalid)
    if cell.throughput:
        yield f"{name}/per_second", cell.throughput.value
    if cell.peak_memory_mib is not None:
        yield f"{name}/peak_memory_mib", cell.peak_memory_mib
    if cell.agreement:
        yield f"{name}/agrees", float(cell.agreement.passed)
    for quality in cell.judgement.qualities if cell.judgement else ():
        yield f"{name}/{metric_name(quality.name)}", quality.value.value


def _row(cell: Cell) -> tuple[Value, ...]:
    median = cell.host.median_ms if cell.host else None
    return (
        printable(cell.name),
        cell.status,
        cell.status == "ok" and not cell.invalid,
        cell.agreement.passed if cell.agreement else None,
        printable(cell.precision),
        median.value if median else None,
        median.low if median else None,
        median.high if median else None,
        cell.throughput.value if cell.throughput else None,
        cell.peak_memory_mib,
    )


def _flat(before: str, value: JsonValue) -> Iterator[tuple[str, str]]:
    """Nested values by names with dots; lists and what is in them as one text."""
    if isinstance(value, Mapping):
        for name, inner in value.items():
            yield from _flat(f"{before}.{STRANGE.sub('-', name)}" if before else STRANGE.sub("-", name), inner)
    elif value not in (None, "", []):
        yield before, ", ".join(map(str, value)) if isinstance(value, list) else str(value)
