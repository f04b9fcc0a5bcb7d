"""Table on precision or runtime: how much a smaller precision saves, and how much the choice of runtime does."""

from __future__ import annotations

from assay.bench.report.evidence import Evidence, worded_columns
from assay.bench.report.page.blocks import Table, Value, headings
from assay.bench.report.page.values import amount, estimate, whole
from assay.bench.words.numbers import TIMES
from assay.records.attribution import PrecisionFactors

COLUMNS = headings(
    "Model | # Image size, px | # Batch | # Threads | Precision | Runtimes | Graphs | # As fast as in fp32 | "
    "# Slowest over fastest | # Precision, % | # Runtime, % | # Graph, % | # Only together, %"
)
SHARES = ("precision", "runtime", "graph", "interaction")
PRECISIONS_LEAD = (
    "The gain of a smaller precision is not a merit of the runtime. All runtimes that were timed in fp32 and in less "
    "form one table, whose effects multiply, with graphs as a third factor where all ONNX runtimes ran several."
)


def precisions_table(evidence: Evidence) -> Table | None:
    """Tabulate every layout of runtime and precision; None where nothing ran in both."""
    found = evidence.results.precisions
    if not found:
        return None
    caption = "Mean speedup of a precision over its runtimes, and how much the runtime matters"
    rows = tuple(_row(place, one) for place, one in enumerate(found))
    return Table("precisions", caption, worded_columns(COLUMNS, evidence.results), rows)


def _row(place: int, one: PrecisionFactors) -> tuple[Value, ...]:
    at = f"/precisions/{place}"
    return (
        Value(one.architecture),
        *(
            whole(number, f"{at}/{name}")
            for name, number in (("size", one.size), ("batch", one.batch), ("threads", one.threads))
        ),
        Value(one.precision),
        Value(", ".join(one.runtimes)),
        Value(", ".join(one.graphs) or "each runtime's fastest"),
        estimate(one.gain, f"{at}/gain", unit=TIMES),
        estimate(one.between, f"{at}/between", unit=TIMES),
        *(amount(one.shares[name], f"{at}/shares/{name}", factor=100, digits=2) for name in SHARES),
    )
