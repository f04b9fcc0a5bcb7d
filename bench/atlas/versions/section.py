"""The section of the atlas' page, and the lines on the terminal, on what is different with other versions."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

from assay.bench.atlas.record import Atlas
from assay.bench.atlas.suites.entries import SUITES
from assay.bench.atlas.versions.changes import KINDS, Kind, OperatorChange, changes_of
from assay.bench.report.page.blocks import Column, Item, Listing, Paragraphs, Section, Table, Tone, Value
from assay.bench.words.numbers import counted, listed

TONES: dict[Kind, Tone] = {
    "wrong in both": "bad",
    "mended": "good",
    "broke": "bad",
    "gained": "good",
    "lost": "notice",
}
Row = tuple[str, str, str]
"""The other versions, the suite and the route."""


def versions_section(atlas: Atlas) -> Section | None:
    """Return the section, None where nothing was judged with other versions."""
    rows = _by_row(changes_of(atlas))
    if not rows:
        return None
    table = Table(
        identifier="versions-counts",
        caption="Operators by the worst of the samples that were judged with both versions",
        columns=(
            Column("With"),
            Column("Route"),
            Column("judged", numeric=True),
            *(Column(one, numeric=True) for one in KINDS),
        ),
        rows=tuple(_row(atlas, row, some) for row, some in rows.items()),
        sortable=False,
    )
    told = [Item(text, sign, tone) for row, some in rows.items() for text, sign, tone in _named(row, some)]
    lead = (
        "The same samples, with one package in another version and everything else as above: what was mended, and what "
        "broke. Rows have only the operators that were judged again, out of those that the route has here."
    )
    meanings = "; ".join(f"{kind}: {meaning}" for kind, meaning in KINDS.items())
    blocks = (
        table,
        Paragraphs((f"{meanings[0].upper()}{meanings[1:]}.",)),
        *((Listing("Not the same", tuple(told)),) if told else ()),
    )
    return Section("versions", "With other versions", lead, blocks=blocks)


def spoken_versions(atlas: Atlas) -> Iterator[str]:
    """Say, by version and route, how many operators are the same, and name those that are not."""
    for (words, suite, route), some in _by_row(changes_of(atlas)).items():
        kinds = Counter(one.kind for one in some)
        told = ", ".join(f"{kinds[kind]} {kind}" for kind in KINDS if kinds[kind])
        yield f"{route} with {words}: {counted(len(some), 'operator')} of {SUITES[suite].title}: {told}."
        for text, sign, _ in _named((words, suite, route), some):
            yield f"  {sign}: {text}"


def _by_row(changes: Sequence[OperatorChange]) -> dict[Row, list[OperatorChange]]:
    found: dict[Row, list[OperatorChange]] = {}
    for one in changes:
        found.setdefault((one.other_versions, one.suite, one.route), []).append(one)
    return found


def _row(atlas: Atlas, row: Row, some: Sequence[OperatorChange]) -> tuple[Value, ...]:
    words, suite, route = row
    kinds = Counter(one.kind for one in some)
    return (
        Value(words),
        Value(route),
        Value(f"{len(some)} of {atlas.operators.get(suite, len(some))}", len(some)),
        *(Value(str(kinds[one]), kinds[one], tone=TONES.get(one, "") if kinds[one] else "muted") for one in KINDS),
    )


def _named(row: Row, some: Sequence[OperatorChange]) -> Iterator[tuple[str, str, Tone]]:
    """Yield the operators of each kind that are not the same: in words, with a sign and its tone."""
    words, _, route = row
    for kind in ("broke", "lost", "mended", "gained", "other"):
        mine = [one for one in some if one.kind == kind and one.older != one.newer]
        if mine:
            named = [
                f"{one.operator} ({one.older}, then {one.newer})" if kind == "other" else one.operator for one in mine
            ]
            yield f"{route}, {words}: {listed(named)}", kind, TONES.get(kind, "notice")
