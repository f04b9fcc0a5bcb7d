"""Section on the ONNX files: which routes produced one, and its contents."""

from __future__ import annotations

from assay.bench.report.evidence import Evidence, worded_columns
from assay.bench.report.page.blocks import Item, Listing, Section, Table, Value, headings
from assay.bench.report.page.values import amount, whole
from assay.bench.words.numbers import MEBIBYTE, count, listed, pixels
from assay.records.results import Export

COLUMNS = headings(
    "Export | Architecture | # Image size, px | Status | # Opset | # Opset asked for | # File, MiB | "
    "# Parameters | # Nodes | # Transposes | # Transposes after optimisation | # Time, s | Made by | Operators"
)


def exports(evidence: Evidence) -> Section | None:
    """Show every route at every size, and in words why one failed."""
    found = evidence.results.exports
    if not found:
        return None
    failed_first = sorted(enumerate(found), key=lambda pair: pair[1].status != "failed")
    rows = tuple(_row(index, export) for index, export in failed_first)
    table = Table("exports", "One ONNX file on each line", worded_columns(COLUMNS, evidence.results), rows)
    working = sum(export.status == "ok" for export in found)
    lead = f"{working} of {len(found)} exports passed their checks. One that fails is kept, and never timed."
    return Section("exports", "Exports", lead, (table, *_failures(found)))


def _failures(found: list[Export]) -> tuple[Listing, ...]:
    sizes: dict[tuple[str, str, str], list[str]] = {}
    for export in found:
        if export.status == "failed":
            key = (export.exporter, export.architecture, export.reason)
            sizes.setdefault(key, []).append(pixels(export.size))
    items = tuple(
        Item(f"{exporter}, {architecture} at {listed(at)}: {reason}", "failed", "bad")
        for (exporter, architecture, reason), at in sizes.items()
    )
    return (Listing("Why exports failed", items),) if items else ()


def _row(index: int, export: Export) -> tuple[Value, ...]:
    path = f"/exports/{index}"
    names = (Value(export.exporter), Value(export.architecture), whole(export.size, f"{path}/size"))
    made_by = Value(", ".join(f"{name} {version}" for name, version in export.made_by.items()))
    time = amount(export.seconds, f"{path}/seconds")
    asked = whole(export.opset_asked, f"{path}/opset_asked")
    if export.status == "failed":
        empty = (Value("", None),) * 5
        return (*names, Value("failed", tone="bad"), Value(""), asked, *empty, time, made_by, Value(""))
    operators = sorted(export.operators.items(), key=lambda pair: (-pair[1], pair[0]))
    return (
        *names,
        Value("ok", tone="good"),
        whole(export.opset, f"{path}/opset", tone="" if _opset_as_asked(export) else "notice"),
        asked,
        amount(export.file_bytes, f"{path}/file_bytes", factor=1 / MEBIBYTE),
        whole(export.parameters, f"{path}/parameters"),
        whole(export.nodes, f"{path}/nodes"),
        whole(export.transposes, f"{path}/transposes"),
        Value(
            count(export.transposes_after_optimisation),
            export.transposes_after_optimisation,
            f"{path}/transposes_after_optimisation",
        ),
        time,
        made_by,
        Value(", ".join(f"{name} {number}" for name, number in operators)),
    )


def _opset_as_asked(export: Export) -> bool:
    return export.opset == export.opset_asked
