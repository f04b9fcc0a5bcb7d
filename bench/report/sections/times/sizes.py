"""Section on a user's model along a dimension: both sides at every size, where the faster changes, first calls, and
calls of mixed sizes.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from assay.bench.report.contenders import Case, called, cases
from assay.bench.report.evidence import Evidence, group_of, median_of
from assay.bench.report.page.blocks import Column, Section, Table, Value, headings
from assay.bench.report.page.values import amount, estimate, whole
from assay.bench.words.names import axis_of, crossing, in_words, is_mixed, points_of, sized, verified
from assay.bench.words.numbers import ratio
from assay.records.results import Cell

AFTER = headings(
    "# Batch | # Threads | Fastest native | # Median, ms | # First call, s | Fastest ONNX | # ONNX median, ms | "
    "# ONNX first call, s | # ONNX as fast | Verdict on ONNX"
)


def by_size(evidence: Evidence) -> Section | None:
    """Tabulate the fastest of both sides at every size; None where no dimension varies."""
    results = evidence.results
    if not points_of(results):
        return None
    found = [case for case in cases(evidence) if case.group.size]
    rows = tuple(tuple(_row(evidence, case)) for case in found)
    columns = (Column(axis_of(results), numeric=True), *AFTER)
    table = Table("by-size", "The fastest of each side that may be ranked, at every size", columns, rows)
    lead = (
        f"{verified(results)} {' '.join(crossings(found, evidence))} A first call is that of a fresh process at this "
        "size alone: tracing, compiling and allocating for a new shape are in it, and in none of the medians."
    )
    mixed = _mixed(evidence)
    return Section(
        "by-size", f"By {axis_of(results)}", " ".join(lead.split()), (table,) if mixed is None else (table, mixed)
    )


def _mixed(evidence: Evidence) -> Table | None:
    """Tabulate what was called with mixed sizes, the fastest first; None where nothing was."""
    results = evidence.results
    cells = [cell for cell in evidence.timed if is_mixed(cell, results)]
    if not cells:
        return None
    points = [in_words(point) for point in points_of(results)]
    firsts = [f"# First call at {point}, s" for point in points]
    caption = (
        "Calls of mixed sizes: a sample is the mean of one call at every size, in random order. First calls are "
        "those of one process, size after size: those after the first show what a new shape costs a process that is "
        "warm"
    )
    columns = headings(" | ".join(["Runtime", "Export", "# Batch", "# Threads", "# Median, ms", *firsts, "Verdict"]))
    ordered = sorted(cells, key=lambda cell: (cell.batch, cell.threads, median_of(cell).value))
    rows = tuple(tuple(_mixed_row(evidence, cell, len(points))) for cell in ordered)
    return Table("mixed-sizes", caption, columns, rows)


def _mixed_row(evidence: Evidence, cell: Cell, sizes: int) -> Iterator[Value]:
    path = f"/cells/{evidence.place_of(cell)}"
    yield Value(called(cell))
    yield Value(cell.exporter)
    yield whole(cell.batch)
    yield whole(cell.threads)
    yield estimate(median_of(cell), f"{path}/host/median_ms")
    firsts = cell.cold.first_calls if cell.cold else ()
    for place in range(sizes):
        known = firsts[place] if place < len(firsts) else None
        yield amount(known, f"{path}/cold/first_calls/{place}")
    case = next((one for one in cases(evidence) if one.group == group_of(cell)), None)
    verdict = case.verdict(cell) if case else None
    yield Value("; ".join(cell.invalid) or verdict or "")


def crossings(found: Sequence[Case], evidence: Evidence) -> Iterator[str]:
    """Iterate over sentences on where the faster side changes, for each batch and number of threads."""
    conditions = dict.fromkeys((case.group.batch, case.group.threads) for case in found)
    for batch, threads in conditions:
        mine = [case for case in found if (case.group.batch, case.group.threads) == (batch, threads)]
        told = [(case.group.size, case.comparison.verdict) for case in mine if case.comparison]
        if len(told) < 2:
            continue
        place = f"At batch {batch}" + (f" and {threads} threads" if threads > 1 else "")
        between = crossing(told)
        if between is None:
            outcomes = {one for _, one in told} & {"faster", "slower"}
            if outcomes:
                yield f"{place} ONNX is {outcomes.pop()} than native wherever the two can be distinguished."
            continue
        first = next(one for size, one in told if size == between[0])
        low, high = (sized(size, evidence.results) for size in between)
        yield f"{place} ONNX is {first} up to {low}, and {'slower' if first == 'faster' else 'faster'} from {high} on."


def _row(evidence: Evidence, case: Case) -> Iterator[Value]:
    group, comparison = case.group, case.comparison
    onnx = next((one for one in case.ranked if not one.is_native and not one.reduced_precision), None)
    yield Value(sized(group.size, evidence.results), group.size)
    yield whole(group.batch)
    yield whole(group.threads)
    for cell in (case.native or next((one for one in case.ranked if one.is_native), None), onnx):
        yield from _side(evidence, cell)
    if comparison is None:
        yield from (Value(""), Value("nothing to compare", tone="muted"))
        return
    place = evidence.results.comparisons.index(comparison)
    yield Value(ratio(comparison.speedup), comparison.speedup.value, f"/comparisons/{place}/speedup/value")
    yield Value(comparison.verdict)


def _side(evidence: Evidence, cell: Cell | None) -> Iterator[Value]:
    if cell is None:
        yield from (Value("none", tone="muted"), Value(""), Value(""))
        return
    path = f"/cells/{evidence.place_of(cell)}"
    yield Value(called(cell) + (f", {cell.exporter}" if cell.exporter else ""))
    yield estimate(median_of(cell), f"{path}/host/median_ms")
    yield amount(cell.cold.first_call_seconds if cell.cold else None, f"{path}/cold/first_call_seconds")
