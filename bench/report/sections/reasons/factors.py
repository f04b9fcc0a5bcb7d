"""Section on graph or runtime: which part of an ONNX cell's time is due to the file, and which to its runtime."""

from __future__ import annotations

from collections.abc import Sequence

from assay.bench.report.evidence import Evidence, worded_columns
from assay.bench.report.page.blocks import Item, Listing, Section, Table, Value, headings
from assay.bench.report.page.values import amount, estimate, whole
from assay.bench.report.sections.reasons.precisions import PRECISIONS_LEAD, precisions_table
from assay.bench.words.numbers import TIMES, pixels, ratio, significant
from assay.records.attribution import Factors
from assay.records.base import Interval

WORTH_TELLING = 0.05
SHARE_COLUMNS = headings(
    "Question | Model | # Image size, px | # Batch | # Threads | # Exporter, % | # Runtime, % | "
    "# Both together, % | # Slowest over fastest graph | # Slowest over fastest runtime"
)
EFFECT_COLUMNS = headings("Factor | At | Question | # Effect")


def factors(evidence: Evidence) -> Section | None:
    """Show the effects of exporter and runtime, and where one runtime treats one graph unlike the others."""
    found, precisions = evidence.results.factors, precisions_table(evidence)
    if not found:
        return Section("factors", "Precision or runtime?", PRECISIONS_LEAD, (precisions,)) if precisions else None
    caption = (
        "Share of the variation that each factor explains of one table's times (sum of squares of their logarithms)"
    )
    columns = worded_columns(SHARE_COLUMNS, evidence.results)
    shares = Table("factors", caption, columns, tuple(_share_row(n, one) for n, one in enumerate(found)))
    rows = tuple(row for n, one in enumerate(found) for row in _effect_rows(n, one))
    effects = Table(
        "effects",
        f"Effect on time: 1.05{TIMES} is 5 % slower than the geometric mean of the table",
        EFFECT_COLUMNS,
        rows,
        summary="The effect of every exporter and runtime",
        filterable=True,
    )
    lead = (
        "The same weights, exported by every route and run by every runtime: a two-way table, whose effects multiply. "
        "The exporter's share comes from the graph (transposes, operators that were not fused); the share that both "
        "explain only together comes from runtimes that treat one graph differently. The optimisation levels are ONNX "
        "Runtime's, from the graph as it is in the file to all rewritings."
    )
    if precisions:
        lead = f"{lead} {PRECISIONS_LEAD}"
    tables = (shares, *_interplay(found), effects, *((precisions,) if precisions else ()))
    return Section("factors", "Graph or runtime?", lead, tables)


def _share_row(place: int, one: Factors) -> tuple[Value, ...]:
    graphs, runtimes = (_spread(effects) for effects in (one.exporters, one.runtimes))
    return (
        Value(one.question),
        Value(one.architecture),
        whole(one.size, f"/factors/{place}/size"),
        whole(one.batch, f"/factors/{place}/batch"),
        whole(one.threads, f"/factors/{place}/threads"),
        *(
            amount(one.shares[name], f"/factors/{place}/shares/{name}", factor=100, digits=2)
            for name in ("exporter", "runtime", "interaction")
        ),
        Value(f"{significant(graphs)}{TIMES}", graphs),
        Value(f"{significant(runtimes)}{TIMES}", runtimes),
    )


def _spread(effects: dict[str, Interval]) -> float:
    values = [effect.value for effect in effects.values()]
    return max(values) / min(values)


def _effect_rows(place: int, one: Factors) -> list[tuple[Value, ...]]:
    at = f"{one.architecture}, {pixels(one.size)}, batch {one.batch}"
    return [
        (
            Value(f"{kind} {name}"),
            Value(at),
            Value(one.question),
            estimate(effect, f"/factors/{place}/{field}/{name}", unit=TIMES),
        )
        for kind, field, effects in (("exporter", "exporters", one.exporters), ("runtime", "runtimes", one.runtimes))
        for name, effect in effects.items()
    ]


def _interplay(found: Sequence[Factors]) -> tuple[Listing, ...]:
    """List the cells that differ significantly by more than 5 % from the product of both effects, the slower ones."""
    items = tuple(
        Item(
            f"{runtime} takes {ratio(effect)} the time that its own and {exporter}'s effects predict, at "
            f"{one.architecture}, {pixels(one.size)}, batch {one.batch}",
            "note",
            "notice",
        )
        for one in found
        for exporter, row in one.interaction.items()
        for runtime, effect in row.items()
        if effect.low > 1 + WORTH_TELLING
    )
    return (Listing("Graphs that one runtime handles worse than the others", items),) if items else ()
