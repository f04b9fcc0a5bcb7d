"""Section on several instances: the throughput of a number of processes of one runtime at the same time."""

from __future__ import annotations

from assay.bench.report.evidence import Evidence, worded_columns
from assay.bench.report.page.blocks import Section, Table, Value, headings
from assay.bench.report.page.values import amount, estimate, whole
from assay.bench.words.numbers import TIMES
from assay.records.timings import Instances

COLUMNS = headings(
    "Cell | # Instances | # Cores | # Images a second, machine | # Median call, ms | # p99, ms | "
    "# Slower than alone | # Memory, MiB | Valid"
)


def instances(evidence: Evidence) -> Section | None:
    """Show every cell at every number of instances."""
    found = evidence.results.instances
    if not found:
        return None
    rows = tuple(_row(place, one) for place, one in enumerate(found))
    caption = (
        "Processes that ran at the same time, each on cores of its own, while all of them ran; 95 % intervals over sets"
    )
    table = Table("instances", caption, worded_columns(COLUMNS, evidence.results), rows, filterable=True)
    lead = (
        "The throughput of several processes is measured, not computed from that of one: they share the memory and "
        "the last-level cache, and a call takes longer than alone."
    )
    return Section("instances", "Several instances at the same time", lead, (table,))


def _row(place: int, one: Instances) -> tuple[Value, ...]:
    path = f"/instances/{place}"
    return (
        Value(one.cell),
        whole(one.instances, f"{path}/instances"),
        whole(one.cores, f"{path}/cores"),
        estimate(one.throughput, f"{path}/throughput"),
        estimate(one.median_ms, f"{path}/median_ms"),
        amount(one.p99_ms, f"{path}/p99_ms"),
        estimate(one.slowed, f"{path}/slowed", unit=TIMES),
        amount(one.memory_mib, f"{path}/memory_mib"),
        Value(one.reason or "; ".join(one.invalid) or "yes"),
    )
