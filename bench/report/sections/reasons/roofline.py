"""Section on the roofline: the machine's limits, and how near each cell comes to them."""

from __future__ import annotations

from collections.abc import Sequence

from assay.bench.report.drawing.charts import Plot, Row, Scale, bars, notes
from assay.bench.report.drawing.palette import Series
from assay.bench.report.evidence import Evidence, chart_notice, conditions, fastest_files, median_of, split_by
from assay.bench.report.page.blocks import Block, Figure, Item, Listing, Panel, Section, Table, Value, headings
from assay.bench.report.page.values import amount, whole
from assay.bench.report.sections.reasons.attribution import parts_of
from assay.bench.words.numbers import DASH, counted, pixels, significant
from assay.records.results import Cell
from assay.records.roofline import Bound, Ceilings, Rate

PARTS = (
    Series("physical bound", "physical bound", "@good", "square", (1, 0)),
    Series("kernels beyond it", "kernels beyond it", "@stage-load", "square", (1, 0)),
    Series("framework", "framework", "@stage-first", "square", (1, 0)),
    Series("transfer", "transfer", "@stage-import", "square", (1, 0)),
    Series("everything beyond it", "everything beyond it", "@muted", "square", (1, 0)),
)
BUSY = 0.8
CEILING_COLUMNS = headings("Ceiling | # Threads | # Best | # Median of the repetitions | Unit | By")
BOUND_COLUMNS = headings(
    "Cell | # Operations, million | # Bytes, million | # Bound, ms | # Measured, ms | "
    "# Share of the attainable rate, % | # Reached, GFLOP/s | Bounded by"
)
Pair = tuple[Cell, Bound]


def roofline(evidence: Evidence) -> Section | None:
    """Show the least time that the machine allows, the time taken, and the ceilings behind the former."""
    known = {bound.cell: bound for bound in evidence.results.bounds}
    pairs = [(cell, known[cell.name]) for cell in evidence.timed if cell.name in known]
    if not pairs:
        return None
    groups = split_by([cell for cell, _ in pairs], lambda cell: (cell.architecture, cell.batch, cell.threads))
    drawn = {part for cell, bound in pairs for part in split(evidence, cell, bound)}
    legend = tuple(part for part in PARTS if part.label in drawn)
    panels = tuple(
        _panel(evidence, fastest_files(cells), known, legend, f"roofline-{n}") for n, cells in enumerate(groups, 1)
    )
    caption = (
        "Shares of the median time of a call at the host boundary. The bound is the larger of the operations at the "
        "machine's highest rate and the bytes at its highest bandwidth; of the ONNX files of a runtime the fastest is "
        "drawn. Where a cell's time was not attributed, everything beyond the bound is one part."
    )
    lead = (
        "No runtime can be faster than the machine's arithmetic and memory allow (the roofline of Williams, Waterman "
        "and Patterson, 2009). The count covers the multiplications and additions of the leanest export that do "
        "not read padding, and one read or write of weights, input and output, from caches as far as they fit. "
        f"{_nearest_and_farthest(pairs)}"
    )
    figure = Figure("roofline", caption, panels, legend, named=True)
    blocks: list[Block] = [figure, *_warnings(evidence.results.ceilings, pairs)]
    blocks += [_ceilings_table(evidence.results.ceilings), _bounds_table(evidence, pairs)]
    return Section("roofline", "Distance from the machine's limits", lead, tuple(blocks))


def _nearest_and_farthest(pairs: Sequence[Pair]) -> str:
    nearest, farthest = (pick(pairs, key=lambda pair: pair[1].fraction) for pick in (max, min))
    return f"Nearest comes {_told(nearest)}; farthest is {_told(farthest)}."


def _told(pair: Pair) -> str:
    cell, bound = pair
    return f"{cell.label} at {pixels(cell.size)} and batch {cell.batch} with {_percent(bound.fraction)} %"


def _percent(share: float) -> str:
    return significant(100 * share, 2)


def _panel(
    evidence: Evidence, cells: list[Cell], known: dict[str, Bound], legend: tuple[Series, ...], identifier: str
) -> Panel:
    rows = [row for cell in cells for row in _rows(evidence, cell, known[cell.name])]
    title = conditions(cells[0], batch=True, threads=evidence.threads_vary)
    plot = Plot(title, "Share of the time of a call, %", chart_notice(evidence.results), rows, legend)
    nearest = max(cells, key=lambda cell: known[cell.name].fraction)
    description = (
        f"{title}: the physical bound's share of each call, and what takes the rest. Nearest to it is {nearest.label} "
        f"at {pixels(nearest.size)}, at {_percent(known[nearest.name].fraction)} % of the attainable rate."
    )
    return Panel(
        identifier, bars(plot, [_name(cell) for cell in cells], Scale("share", from_zero=True, most=100)), description
    )


def _name(cell: Cell) -> str:
    return f"{cell.label}, {cell.size}"


def split(evidence: Evidence, cell: Cell, bound: Bound) -> dict[str, float]:
    """Return the milliseconds of each part of a call at the host boundary."""
    attributed = next((one for one in evidence.results.attributions if one.cell == cell.name), None)
    parts = parts_of(attributed) if attributed else None
    if parts is None:
        whole = median_of(cell).value
        least = min(bound.bound_ms, whole)
        return {"physical bound": least, "everything beyond it": whole - least}
    kernels, framework, transfer = parts
    least = min(bound.bound_ms, kernels)
    return {
        "physical bound": least,
        "kernels beyond it": kernels - least,
        "framework": framework,
        "transfer": transfer,
    }


def _rows(evidence: Evidence, cell: Cell, bound: Bound) -> list[Row]:
    parts = split(evidence, cell, bound)
    whole = sum(parts.values()) or 1.0
    says = notes(
        ("", f"{cell.label} at {pixels(cell.size)}"),
        *((name, f"{significant(ms)} ms") for name, ms in parts.items()),
        ("attainable rate", f"{_percent(bound.fraction)} %, bounded by {_limit(bound)}"),
    )
    order = [part.label for part in PARTS]
    return [
        {
            "cell": cell.name,
            "name": _name(cell),
            "label": name,
            "family": name,
            "order": order.index(name),
            "share": 100 * ms / whole,
            "notes": says,
        }
        for name, ms in parts.items()
    ]


def _limit(bound: Bound) -> str:
    return "arithmetic" if bound.limit == "arithmetic" else f"traffic with {bound.level}"


def _warnings(ceilings: Sequence[Ceilings], pairs: Sequence[Pair]) -> tuple[Listing, ...]:
    """List the reasons to doubt the bounds: ceilings that were measured on a busy machine, and cells beyond them."""
    items = []
    for found in ceilings:
        rates = {**found.gflop_s, **{one.level: one.gb_s for one in found.bandwidths}}
        busy = [name for name, rate in rates.items() if rate.median < BUSY * rate.best]
        if busy:
            text = f"the median repetition stayed below {_percent(BUSY)} % of the best for {', '.join(busy)}"
            items.append(Item(f"The machine was not quiet while ceilings were measured: {text}.", "note", "notice"))
        items += [Item(f"{note}.", "note", "muted") for note in found.notes]
    beyond = [cell.name for cell, bound in pairs if bound.fraction > 1]
    if beyond:
        text = (
            f"{counted(len(beyond), 'cell')} beyond the bound, {beyond[0]} first: such a runtime computes less than "
            "was counted, as Winograd's convolution does, or the ceiling was measured too low."
        )
        items.append(Item(text, "note", "notice"))
    return (Listing("Limits of these bounds", tuple(items)),) if items else ()


def _ceilings_table(ceilings: Sequence[Ceilings]) -> Table:
    rows = []
    for place, found in enumerate(ceilings):
        for precision, rate in found.gflop_s.items():
            path = f"/ceilings/{place}/gflop_s/{precision}"
            unit = "10^9 operations/s" if precision.startswith("int") else "GFLOP/s"
            rows.append(_ceiling_row(f"matrix product, {precision}", found, rate, path, unit))
        for index, one in enumerate(found.bandwidths):
            path = f"/ceilings/{place}/bandwidths/{index}/gb_s"
            rows.append(_ceiling_row(f"bandwidth, {one.level}", found, one.gb_s, path, "GB/s"))
        for way, rate in found.transfers.items():
            path = f"/ceilings/{place}/transfers/{way}"
            rows.append(_ceiling_row(f"copy {way}", found, rate, path, "GB/s"))
    gpus = ", ".join(found.gpu for found in ceilings if found.device == "cuda")
    where = f"of {gpus}, by its own clock" if gpus else "on the cores that cells were timed on"
    caption = f"The machine's ceilings: the best of all repetitions, {where}"
    return Table("ceilings", caption, CEILING_COLUMNS, tuple(rows))


def _ceiling_row(name: str, found: Ceilings, rate: Rate, path: str, unit: str) -> tuple[Value, ...]:
    return (
        Value(name),
        whole(found.threads) if found.device == "cpu" else Value(DASH),
        amount(rate.best, f"{path}/best"),
        amount(rate.median, f"{path}/median"),
        Value(unit),
        Value(rate.by),
    )


def _bounds_table(evidence: Evidence, pairs: Sequence[Pair]) -> Table:
    place_of = {bound.cell: place for place, bound in enumerate(evidence.results.bounds)}
    rows = tuple(_bound_row(cell, bound, f"/bounds/{place_of[cell.name]}") for cell, bound in pairs)
    summary = f"The bound of each of {counted(len(rows), 'cell')}"
    return Table("bounds", "One cell on each line", BOUND_COLUMNS, rows, summary=summary, filterable=True)


def _bound_row(cell: Cell, bound: Bound, path: str) -> tuple[Value, ...]:
    assert cell.device is not None  # only timed cells have a bound
    measured = cell.device.median_ms.value
    return (
        Value(cell.name),
        amount(bound.flops, f"{path}/flops", factor=1e-6),
        amount(bound.bytes, f"{path}/bytes", factor=1e-6),
        amount(bound.bound_ms, f"{path}/bound_ms"),
        amount(measured),
        Value(_percent(bound.fraction), 100 * bound.fraction, f"{path}/fraction", 100),
        amount(bound.gflop_s, f"{path}/gflop_s"),
        Value(_limit(bound)),
    )
