"""Joined runs as one page: winners, costs, the spread between machines of a kind, and each instrument.

Like an audit's page it runs no script and loads nothing.
"""

from __future__ import annotations

from assay.bench.fleet.races import fastest_on
from assay.bench.fleet.words import (
    changes_in_words,
    cheapest_in_words,
    groups_of_cells,
    money,
    place_of,
    race_in_words,
    rulers_that_failed,
    setting,
)
from assay.bench.report.page.audit_page import render_without_script
from assay.bench.report.page.blocks import (
    Block,
    Item,
    Listing,
    Paragraphs,
    Section,
    Table,
    Tone,
    Value,
    headings,
)
from assay.bench.words.numbers import counted, interval, moment, percentage, ratio, significant
from assay.fleet.joined import JOINED_FILE, Joined, KindCell, KindRace
from assay.records.races import OF_ALL

SIGNS: dict[str, tuple[str, Tone]] = {
    "faster": ("ONNX", "good"),
    "slower": ("native", "good"),
    "same": ("same", "muted"),
    "undecided": ("undecided", "notice"),
}
RULERS: dict[bool | None, Value] = {
    True: Value("passed", tone="good"),
    False: Value("FAILED", tone="bad"),
    None: Value("not checked", tone="notice"),
}
HOW_SURE = (
    "Ratios are formed within a machine and their logarithms averaged over machines. From three machines on, intervals "
    "and verdicts are of their kind; of one or two they are of these machines alone, and a verdict is one that each of "
    "them gives. All intervals are of 95 %."
)


def render_joined(joined: Joined) -> str:
    """Return the whole page."""
    machines = sum(kind.machines for kind in joined.kinds)
    return render_without_script(
        _joined_sections(joined),
        kicker=joined.study,
        title=f"{joined.title or joined.study}, by kind of machine",
        created=joined.created,
        assay_version=joined.assay_version,
        record=JOINED_FILE,
        extent=f"{counted(len(joined.kinds), 'kind')}, {counted(machines, 'machine')}, "
        f"{counted(len(joined.runs), 'run')}",
    )


def _joined_sections(joined: Joined) -> list[Section]:
    """Return every section, in order; those that would be empty are left out."""
    found = [_verdict(joined), _winners(joined), _cost(joined), _machines(joined), _spread(joined), _all(joined)]
    return [section for section in found if section is not None]


def _verdict(joined: Joined) -> Section:
    races = tuple(
        Item(f"{place_of(race.group, joined)}: {race_in_words(race, joined)}.", *SIGNS[race.verdict])
        for race in joined.races
    )
    told = (*changes_in_words(joined), *cheapest_in_words(joined))
    failed = rulers_that_failed(joined)
    blocks: list[Block] = [Paragraphs(told)] if told else []
    blocks += [Listing("Native against ONNX", races)] if races else []
    notes = tuple(Item(f"{one}.", "ruler", "notice") for one in failed)
    notes += tuple(Item(one, "allowed", "notice") for one in joined.allowed)
    blocks += [Listing("Please note", notes)] if notes else []
    return Section("verdict", "What wins where", HOW_SURE, tuple(blocks))


def _winners(joined: Joined) -> Section | None:
    rows = []
    for group in groups_of_cells(joined):
        for kind in joined.kinds:
            best = fastest_on(kind.key, group, joined.cells)
            race = next((one for one in joined.races if one.kind == kind.key and one.group == group), None)
            if best and best.median_ms:
                rows.append(
                    (
                        Value(place_of(group, joined)),
                        Value(kind.name),
                        Value(best.label),
                        Value(interval(best.median_ms)),
                        Value(ratio(race.speedup) if race else ""),
                        _sign(race),
                    )
                )
    columns = headings("Case | Kind of machine | Fastest | # A call, ms | # ONNX over native | Winner")
    table = Table("winners", "The fastest of each case on each kind", columns, tuple(rows))
    return Section("winners", "Latency by kind", "", (table,)) if rows else None


def _sign(race: KindRace | None) -> Value:
    if race is None:
        return Value("")
    said, tone = SIGNS[race.verdict]
    return Value(said, tone=tone)


def _cost(joined: Joined) -> Section | None:
    priced = [one for one in joined.cells if one.cost_per_million and one.median_ms and one.throughput]
    if not priced:
        return None
    rows = [
        (
            Value(f"{one.architecture}{f' {one.size}' if one.size else ''}"),
            Value(joined.name_of(one.kind)),
            Value(one.label),
            Value(setting(one)),
            Value(interval(one.median_ms) if one.median_ms else ""),
            Value(interval(one.throughput) if one.throughput else ""),
            Value(money(one.cost_per_million, joined) if one.cost_per_million else ""),
        )
        for one in sorted(priced, key=lambda one: one.cost_per_million.value if one.cost_per_million else 0.0)
        if one.front
    ]
    columns = headings("Model | Kind of machine | Runtime | With | # A call, ms | # Rows a second | # A million rows")
    lead = (
        "Cells that no other cell beats in both speed and cost, on any kind of machine, cheapest first. A machine is "
        "paid for as a whole: a cell that leaves part of it idle has no price."
    )
    table = Table("cost", "The front of cost and latency", columns, tuple(rows))
    return Section("cost", "Cost against latency", lead, (table,))


def _machines(joined: Joined) -> Section:
    rows = []
    for kind in joined.kinds:
        for run in (one for one in joined.runs if one.kind == kind.key):
            seen = ", ".join(f"{name} {significant(value)}" for name, value in run.ceilings.items())
            price = "" if kind.price_per_hour is None else f"{kind.price_per_hour:g} {joined.currency}".strip()
            rows.append(
                (
                    Value(kind.name),
                    Value(run.machine),
                    RULERS[run.ruler_passed],
                    Value(seen or "not measured"),
                    Value(price),
                    Value(moment(run.created, time=True)),
                    Value(run.name),
                )
            )
    columns = headings("Kind | Machine | Ruler | Ceilings of one thread | # An hour | Measured | Run")
    kinds = tuple(
        Item(f"{one.name} ({one.kind.short_key}): {one.kind.words}; {one.kind.processor.words}") for one in joined.kinds
    )
    table = Table("machines", "Each run, its machine and its ruler", columns, tuple(rows))
    return Section("machines", "Machines", "", (Listing("Kinds", kinds), table))


def _spread(joined: Joined) -> Section | None:
    several = [(one, one.spread) for one in joined.cells if one.spread is not None]
    if not several:
        return None
    rows = tuple(
        (
            Value(place_of(one.group, joined)),
            Value(joined.name_of(one.kind)),
            Value(one.label),
            Value(", ".join(f"{machine} {significant(value)}" for machine, value in one.by_machine.items())),
            Value(percentage(spread)),
        )
        for one, spread in several
    )
    columns = headings("Case | Kind of machine | Runtime | Medians by machine, ms | # Spread")
    lead = (
        "How far machines of one kind are apart, as the standard deviation of the logarithm: what a single one hides."
    )
    races = tuple(Item(_spread_of(race, race.spread, joined)) for race in joined.races if race.spread is not None)
    blocks = [Listing("Ratios within each machine", races)] if races else []
    table = Table("spread", "Times on each machine of a kind", columns, rows)
    return Section("spread", "Between machines of a kind", lead, (*blocks, table))


def _spread_of(race: KindRace, spread: float, joined: Joined) -> str:
    precision = "" if race.precision == OF_ALL else f" in {race.precision}"
    each = ", ".join(f"{machine} {ratio(one)}" for machine, one in race.by_machine.items())
    where = f"{place_of(race.group, joined)} on {joined.name_of(race.kind)}{precision}"
    return f"{where}: ONNX over native differs by {percentage(spread)} ({each})"


def _all(joined: Joined) -> Section:
    rows = tuple(
        (
            Value(place_of(one.group, joined)),
            Value(joined.name_of(one.kind)),
            Value(one.label),
            Value(one.precision),
            Value(interval(one.median_ms) if one.median_ms else ""),
            Value(significant(one.p99_ms) if one.p99_ms is not None else ""),
            Value(interval(one.throughput) if one.throughput else ""),
            _price_of(one, joined),
        )
        for one in joined.cells
    )
    columns = headings(
        "Case | Kind of machine | Runtime | Precision | # A call, ms | # p99 of the worst machine, ms | "
        "# Rows a second | A million rows, or why there is no number"
    )
    table = Table("cells", "Every cell on every kind", columns, rows)
    return Section("cells", "All cells", "", (table,), detail=True)


def _price_of(one: KindCell, joined: Joined) -> Value:
    if one.reason:
        return Value(one.reason, tone="bad")
    if one.cost_per_million:
        return Value(money(one.cost_per_million, joined))
    return Value(one.not_priced, tone="muted")
