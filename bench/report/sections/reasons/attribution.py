"""Sections on where the time goes: kernels, framework, transfer; and to which layer, runtime by runtime."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

from assay.bench.report.contenders import called, firsts_of
from assay.bench.report.drawing.charts import Plot, Row, Scale, bars, notes
from assay.bench.report.drawing.palette import Series
from assay.bench.report.evidence import (
    Evidence,
    chart_notice,
    conditions,
    fastest_files,
    median_of,
    split_by,
    worded_columns,
)
from assay.bench.report.page.blocks import Column, Figure, Item, Listing, Panel, Section, Table, Value, headings
from assay.bench.report.page.values import amount, estimate, whole
from assay.bench.words.numbers import DASH, TIMES, counted, pixels, significant
from assay.records.attribution import AffineFit, Attribution, Crossover, OperatorTime
from assay.records.results import Cell

PARTS = (
    Series("kernels", "kernels", "@stage-load", "square", (1, 0)),
    Series("framework", "framework", "@stage-first", "square", (1, 0)),
    Series("transfer", "transfer", "@stage-import", "square", (1, 0)),
)
OTHER = "everything else"
MOST_DRAWN = 8
MOST_LAYERS = 8
Pair = tuple[Cell, Attribution]
TableRow = tuple[Value, ...]


def attribution(evidence: Evidence) -> Section | None:
    """Show kernels, framework and transfer of every cell by both estimators, and the size from which kernels
    prevail.
    """
    pairs = _pairs(evidence)
    if not pairs:
        return None
    drawn = [cell for cell, one in pairs if parts_of(one) is not None]
    known = dict(_by_name(pairs))
    groups = [fastest_files(cells) for cells in _extremes(drawn)]
    panels = tuple(_panel(evidence, cells, known, f"parts-{n}") for n, cells in enumerate(groups, 1))
    caption = (
        f"Milliseconds of a call at the host boundary, of the {MOST_DRAWN} fastest runtimes with their fastest file; "
        "by the profile, or by the skeleton where no profile can be trusted. Transfer is what the host boundary adds "
        "to the device boundary."
    )
    if len({cell.size for cell in drawn}) > 1:
        caption += " Drawn is the smallest size; the others are in the table of every cell."
    lead = (
        "Two independent estimators. The framework's own profiler gives the union of the operators' intervals, "
        "corrected for what recording them costs. A skeleton, the same operators with every width and the input at "
        "their smallest, shows the framework's time. A dispatcher's work inside an operator counts as kernel time in "
        "the profile and as framework time in the skeleton."
    )
    if _on_gpu(pairs):
        lead += (
            " On a GPU the profile is of the kernels and copies that ran there, by the GPU's own clock: the "
            "framework's time is the rest of the call, in which the GPU waits: before its first kernel, between two "
            "kernels, or until the host knows that the last has ended. A launch that overlaps the kernels before "
            "it takes no time there, and the skeleton counts it."
        )
    figures = (Figure("attribution", caption, panels, PARTS, named=True),) if panels else ()
    blocks = (*figures, *_disagreements(pairs), _crossover_table(evidence), _fits_table(evidence), _cells_table(pairs))
    return Section("attribution", "Where the time goes", lead, tuple(block for block in blocks if block is not None))


def operators(evidence: Evidence) -> Section | None:
    """Show the milliseconds of each layer in each runtime: at the smallest image, smallest and largest batch."""
    with_operators = [pair for pair in _pairs(evidence) if pair[1].operators]
    if not with_operators:
        return None
    tables = tuple(
        _operator_table([pair for pair in with_operators if pair[0] in cells], f"operators-{n}")
        for n, cells in enumerate(_extremes([cell for cell, _ in with_operators]), 1)
    )
    lead = (
        "Milliseconds of one call, as the profiler recorded them. An operator has a layer by its name, or, where names "
        "are lost, by its place among the convolutions and products if there are as many as the model has. A runtime "
        "that fuses several layers into one operator has it under 'everything else'."
    )
    return Section("operators", "Layer by layer", lead, tables)


def _pairs(evidence: Evidence) -> list[Pair]:
    """Return the timed cells with their attribution."""
    known = {one.cell: one for one in evidence.results.attributions}
    return [(cell, known[cell.name]) for cell in evidence.timed if cell.name in known]


def _by_name(pairs: Sequence[Pair]) -> list[tuple[str, Attribution]]:
    return [(cell.name, one) for cell, one in pairs]


def parts_of(one: Attribution) -> tuple[float, float, float] | None:
    """Return milliseconds of kernels, framework and transfer, or None where neither estimator has an answer."""
    profiled = one.profiled if one.profiled.trusted or one.skeleton.kernel_ms is None else None
    chosen = profiled or one.skeleton
    if chosen.kernel_ms is None or chosen.overhead_ms is None:
        return None
    return max(chosen.kernel_ms.value, 0.0), max(chosen.overhead_ms.value, 0.0), max(one.transfer_ms, 0.0)


def _panel(evidence: Evidence, found: list[Cell], known: dict[str, Attribution], identifier: str) -> Panel:
    cells = sorted(found, key=lambda cell: sum(parts_of(known[cell.name]) or ()))[:MOST_DRAWN]
    rows = [row for cell in cells for row in _rows(cell, known[cell.name])]
    title = conditions(cells[0], size=bool(cells[0].size), batch=True, threads=evidence.threads_vary)
    plot = Plot(title, "Time of a call, ms", chart_notice(evidence.results), rows, PARTS)
    most = max(cells, key=lambda cell: _share(known[cell.name], 1))
    description = (
        f"{title}: milliseconds of kernels, framework and transfer, stacked. The framework takes most of a call with "
        f"{most.label}: {significant(100 * _share(known[most.name], 1), 2)} %."
    )
    return Panel(identifier, bars(plot, [cell.label for cell in cells], Scale("ms", from_zero=True)), description)


def _share(one: Attribution, part: int) -> float:
    parts = parts_of(one) or (0.0, 0.0, 0.0)
    return parts[part] / (sum(parts) or 1.0)


def _rows(cell: Cell, one: Attribution) -> list[Row]:
    parts = parts_of(one) or (0.0, 0.0, 0.0)
    says = notes(
        ("", f"{cell.label} at {pixels(cell.size)}"),
        *((part.label, f"{significant(ms)} ms") for part, ms in zip(PARTS, parts, strict=True)),
        ("by", "profile" if one.profiled.trusted else "skeleton or a profile not to be trusted"),
    )
    return [
        {
            "name": cell.label,
            "label": part.label,
            "family": part.label,
            "order": order,
            "ms": parts[order],
            "notes": says,
        }
        for order, part in enumerate(PARTS)
    ]


def _disagreements(pairs: Sequence[Pair]) -> tuple[Listing, ...]:
    """List the cells whose estimators differ, under the meaning of that."""
    cells = defaultdict(list)
    for cell, one in pairs:
        if one.agree is False:
            cells[one.remark].append(cell)
    items = tuple(Item(f"{_where(them)}: {remark}.", "\N{NOT EQUAL TO}", "notice") for remark, them in cells.items())
    summary = f"Where the two estimators differ: {counted(sum(map(len, cells.values())), 'cell')}"
    return (Listing("", items, summary=summary),) if items else ()


def _where(cells: Sequence[Cell]) -> str:
    """Name the runtimes of cells, each with its place, or with their number where it has several."""
    of_label = split_by(cells, lambda cell: (cell.label,))
    return "; ".join(
        f"{some[0].label} ({counted(len(some), 'cell') if some[1:] else conditions(some[0], size=True, batch=True)})"
        for some in of_label
    )


def _crossover_table(evidence: Evidence) -> Table | None:
    """Tabulate the image size from which kernels take more than half of the wall time, where that is not every size."""
    found: dict[tuple[str, str, int, int], dict[str, Crossover]] = defaultdict(dict)
    for one in evidence.results.crossovers:
        if len(one.sizes) > 1:
            found[(one.architecture, one.label, one.batch, one.threads)][one.estimator] = one
    told = {key: both for key, both in found.items() if any(one.place != "below" for one in both.values())}
    if not told:
        return None
    columns = headings("runtime | model | # batch | # threads | # by profile | # by skeleton")
    rows = tuple(
        (
            Value(label),
            Value(architecture),
            whole(batch),
            whole(threads),
            _crossing(by_estimator.get("profiled")),
            _crossing(by_estimator.get("skeleton")),
        )
        for (architecture, label, batch, threads), by_estimator in sorted(told.items())
    )
    caption = "Image size in pixels above which kernels outweigh the framework, interpolated between the timed sizes."
    if len(told) < len(found):
        caption += f" In {len(found) - len(told)} other cases they do at every size."
    return Table("crossovers", caption, columns, rows, summary="Size above which kernels outweigh the framework")


def _crossing(one: Crossover | None) -> Value:
    if one is None:
        return Value(DASH)
    if one.pixels is not None:
        return amount(one.pixels, digits=2)
    edge = one.sizes[0] if one.place == "below" else one.sizes[-1]
    return Value(f"{one.place} {edge}", float(edge) + (0.5 if one.place == "above" else -0.5))


def _fits_table(evidence: Evidence) -> Table | None:
    """Tabulate the cost of a call whatever its batch, and the cost that each image adds."""
    if not evidence.results.fits:
        return None
    columns = headings(
        "runtime | model | # Image size, px | # threads | # fixed, ms | # per image, ms | batches | # worst error, %"
    )
    rows = tuple(_fit_row(one, f"/fits/{place}") for place, one in enumerate(evidence.results.fits))
    caption = (
        "Wall time at the device boundary as fixed + a share for each of the batch, by least squares of the relative "
        "error. Two batch sizes are always fitted exactly; only three or more could contradict the fit."
    )
    told = worded_columns(columns, evidence.results)
    return Table("fits", caption, told, rows, summary="Cost of a call and cost of an image", filterable=True)


def _fit_row(one: AffineFit, path: str) -> TableRow:
    return (
        Value(one.label),
        Value(one.architecture),
        whole(one.size, f"{path}/size"),
        whole(one.threads, f"{path}/threads"),
        amount(one.fixed_ms, f"{path}/fixed_ms"),
        amount(one.per_image_ms, f"{path}/per_image_ms"),
        Value(", ".join(map(str, one.batches))),
        Value(DASH)
        if len(one.batches) < 3
        else amount(one.worst_relative_error, f"{path}/worst_relative_error", factor=100, digits=2),
    )


def _cells_table(pairs: Sequence[Pair]) -> Table:
    gaps = ("between kernels",) if _on_gpu(pairs) else ()
    told = ("wall, ms", "kernels, profile", "framework, profile", *gaps, "framework, skeleton", "transfer", "inflation")
    columns = (Column("cell"), *(Column(heading, numeric=True) for heading in told), Column("remark"))
    whys = {one.skeleton.reason for _, one in pairs}
    of_all = whys.pop() if len(whys) == 1 else ""
    rows = tuple(_cell_row(cell, one, of_all, gaps=bool(gaps)) for cell, one in pairs)
    caption = "Milliseconds at the device boundary with 95 % intervals; transfer is beside them, not in them."
    caption = f"{caption} {what_intervals_rest_on([one for _, one in pairs])}".rstrip()
    if gaps:
        caption += " Between kernels, a part of the framework's time, the GPU waits for the next launch: as recorded, "
        caption += "and a launch takes longer under the profiler."
    caption += f" No cell has a skeleton: {of_all}." if of_all else ""
    return Table("attribution-cells", caption, columns, rows, summary="Every cell, by both estimators", filterable=True)


def _on_gpu(pairs: Sequence[Pair]) -> bool:
    return any(one.profiled.gaps_ms is not None for _, one in pairs)


def what_intervals_rest_on(attributions: Sequence[Attribution]) -> str:
    """Describe in a sentence the fresh processes behind the intervals of attributions; "" where there are none."""
    counts = [
        estimate.processes
        for one in attributions
        for estimate in (one.profiled, one.skeleton)
        if estimate.kernel_ms is not None
    ]
    if not counts:
        return ""
    if max(counts) == 1:
        return (
            "They were measured in one process each: the intervals are over its bursts and do not include differences "
            "between processes, so another run can lie outside them."
        )
    least = f"{min(counts)} to {max(counts)}" if min(counts) < max(counts) else str(max(counts))
    return f"The intervals are over {least} fresh processes and include the uncertainty of the whole time."


def _cell_row(cell: Cell, one: Attribution, of_all: str, *, gaps: bool) -> TableRow:
    profiled, skeleton = one.profiled, one.skeleton
    reasons = [reason for reason in (profiled.reason, skeleton.reason) if reason and reason != of_all]
    return (
        Value(cell.name),
        estimate(one.wall_ms, none=DASH),
        estimate(profiled.kernel_ms, none=DASH),
        estimate(profiled.overhead_ms, none=DASH),
        *((estimate(profiled.gaps_ms, none=DASH),) if gaps else ()),
        estimate(skeleton.overhead_ms, none=DASH),
        amount(one.transfer_ms, digits=2),
        estimate(profiled.inflation, unit=TIMES, none=DASH),
        Value("; ".join(reasons), tone="notice" if reasons else ""),
    )


def _extremes(cells: list[Cell]) -> list[list[Cell]]:
    """Return, for each architecture and thread count, the smallest size at its smallest and its largest batch."""
    found = []
    for group in split_by(cells, lambda cell: (cell.architecture, cell.threads)):
        size = min(cell.size for cell in group)
        batches = sorted({cell.batch for cell in group if cell.size == size})
        found += [
            [cell for cell in group if (cell.size, cell.batch) == (size, batch)]
            for batch in dict.fromkeys((batches[0], batches[-1]))
        ]
    return found


def _operator_table(pairs: list[Pair], identifier: str) -> Table:
    """Tabulate the slowest layers against the fastest cell of each family and precision, so that it fits a page."""
    shown = {
        cell.name for cell in firsts_of(sorted((cell for cell, _ in pairs), key=lambda cell: median_of(cell).value))
    }
    some = [(cell, one) for cell, one in pairs if cell.name in shown]
    columns = (Column("layer"), *(Column(called(cell), numeric=True) for cell, _ in some))
    times = [_by_layer(one) for _, one in some]
    layers = {layer for known in times for layer in known if layer != OTHER}
    longest = sorted(layers, key=lambda layer: -max(known.get(layer, 0.0) for known in times))
    rows = [
        (Value(layer), *(amount(known.get(layer), digits=2, none=DASH) for known in times))
        for layer in longest[:MOST_LAYERS]
    ]
    if rest := longest[MOST_LAYERS:]:
        sums = [sum(known.get(layer, 0.0) for layer in rest) or None for known in times]
        rows.append((Value(f"{counted(len(rest), 'other layer')}"), *(amount(ms, digits=2, none=DASH) for ms in sums)))
    if any(OTHER in known for known in times):
        rows.append((Value(OTHER), *(amount(known.get(OTHER), digits=2, none=DASH) for known in times)))
    title = conditions(pairs[0][0], size=True, batch=True, threads=True)
    operators = (Value("longest operator"), *(_named(one.operators[0]) for _, one in some))
    return Table(identifier, f"{title}, ms in each layer", columns, (*rows, operators))


def _named(operator: OperatorTime) -> Value:
    """Return the profiler's name of an operator, and the kernel behind it where that has another name."""
    kind = "" if operator.kind in operator.name else f" ({operator.kind})"
    return Value(f"{operator.name}{kind}", tone="muted")


def _by_layer(one: Attribution) -> dict[str, float]:
    found: dict[str, float] = defaultdict(float)
    for operator in one.operators:
        found[operator.layer or OTHER] += operator.ms
    return found
