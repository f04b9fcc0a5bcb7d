"""The parts of a report, as plain values: sections, and in them paragraphs, figures and tables.

The page (page.html) and the Markdown (page.md) each draw every kind of block; nothing here knows of either.
"""

from __future__ import annotations

import hashlib
import math
from dataclasses import dataclass, field, replace
from typing import ClassVar, Literal

from pydantic import JsonValue

from assay.bench.report.drawing.palette import Series

Spec = dict[str, JsonValue]
MOST_ROWS = 60
CARDS_ABOVE, WIDE_ABOVE = 3, 9
"""Above how many columns a row is a card on a phone, and a table as wide as the page."""
Tone = Literal["", "good", "bad", "notice", "muted"]


@dataclass(frozen=True)
class Value:
    """One table cell.

    Attributes:
        text: the text that the reader sees.
        number: the number behind it, in the unit shown, by which the column sorts.
        path: JSON pointer to that number in results.json, or "" if it is derived.
        factor: number in the unit shown over the number in results.json.
        tone: its colouring, which is never the only sign of its meaning.
    """

    text: str
    number: float | None = None
    path: str = ""
    factor: float = 1
    tone: Tone = ""


@dataclass(frozen=True)
class Column:
    """A table's column; numeric ones align right."""

    heading: str
    numeric: bool = False


def headings(told: str) -> tuple[Column, ...]:
    """Return the columns of "Runtime | # Runs"; those after "# " are numeric."""
    return tuple(Column(one.removeprefix("# "), numeric=one.startswith("# ")) for one in told.split(" | "))


@dataclass(frozen=True)
class Table:
    """Rows under headings; the first column names the row. The table is folded behind a `summary` if there is one."""

    kind: ClassVar[str] = "table"
    identifier: str
    caption: str
    columns: tuple[Column, ...]
    rows: tuple[tuple[Value, ...], ...]
    summary: str = ""
    filterable: bool = False
    sortable: bool = True

    @property
    def is_long(self) -> bool:
        """Whether the page makes its rows only when it is viewed: a script sorts them, and they are not printed."""
        return self.sortable and len(self.rows) > MOST_ROWS

    @property
    def layout(self) -> str:
        """The class of all tables with these columns, by which the style sheet knows them."""
        told = repr([(column.heading, column.numeric) for column in self.columns])
        return f"of-{hashlib.sha256(told.encode()).hexdigest()[:8]}"

    @property
    def looks(self) -> str:
        """Every class that it has."""
        number = len(self.columns)
        wanted = {
            "facts": not self.sortable,
            "pairs": not self.sortable and number == 2,
            "cards": number > CARDS_ABOVE,
            "wide": number > WIDE_ABOVE,
        }
        return " ".join([self.layout, *(name for name, is_so in wanted.items() if is_so)])


def without_empty_columns(table: Table) -> Table:
    """Return the table without the columns in which no row has a text."""
    if not table.rows:
        return table
    kept = [place for place, column in enumerate(zip(*table.rows, strict=True)) if any(one.text for one in column)]
    columns = tuple(table.columns[place] for place in kept)
    return replace(table, columns=columns, rows=tuple(tuple(row[place] for place in kept) for row in table.rows))


@dataclass(frozen=True)
class Panel:
    """One chart: a Vega-Lite view without width and theme, and a description in its place.

    Attributes:
        identifier: unique in the report.
        spec: Vega-Lite, its colours as tokens (see `assay.bench.report.drawing.palette`).
        description: text for a reader who cannot see it.
        min_width_px: width below which the page scrolls instead of squeezing it.
    """

    identifier: str
    spec: Spec
    description: str
    min_width_px: int = 0


@dataclass(frozen=True)
class Figure:
    """Panels that share a caption, a legend and an image file.

    Attributes:
        legend: entries that the reader can highlight.
        named: whether there are names down the side of each panel, which takes room.
        legend_in_file: whether the image file shows the legend; it is not needed if the names say the same.
        small: whether it has many panels of few marks, drawn small and side by side.
    """

    kind: ClassVar[str] = "figure"
    identifier: str
    caption: str
    panels: tuple[Panel, ...]
    legend: tuple[Series, ...] = ()
    named: bool = False
    legend_in_file: bool = True
    small: bool = False


@dataclass(frozen=True)
class Paragraphs:
    """Running text."""

    kind: ClassVar[str] = "paragraphs"
    texts: tuple[str, ...]


@dataclass(frozen=True)
class Item:
    """One line of a list, with a sign that shows the outcome at a glance, and an explanation below it."""

    text: str
    sign: str = ""
    tone: Tone = ""
    note: str = ""


@dataclass(frozen=True)
class Listing:
    """Items under a small heading, or folded behind `summary`."""

    kind: ClassVar[str] = "listing"
    heading: str
    items: tuple[Item, ...]
    summary: str = ""


@dataclass(frozen=True)
class Code:
    """Text to copy as it is."""

    kind: ClassVar[str] = "code"
    caption: str
    text: str
    language: str = ""


@dataclass(frozen=True)
class Picture:
    """One picture with its heading and facts below it.

    Attributes:
        source: a data URI.
        description: text for a reader who cannot see it.
    """

    source: str
    description: str
    heading: str
    facts: tuple[str, ...]


@dataclass(frozen=True)
class Gallery:
    """Pictures side by side, with a notice about all of them above."""

    kind: ClassVar[str] = "gallery"
    heading: str
    notice: str
    pictures: tuple[Picture, ...]


@dataclass(frozen=True)
class Bar:
    """One time among others: `share` is that of the longest."""

    name: str
    text: str
    share: float
    token: str


@dataclass(frozen=True)
class Fact:
    """A fact that a reader has to know besides the answer, with a sign that shows its state at a glance."""

    name: str
    text: str
    sign: str = ""
    tone: Tone = ""


@dataclass(frozen=True)
class Recommendation:
    """The report in one sentence, and what it rests on."""

    kind: ClassVar[str] = "answer"
    sentence: str
    rests_on: str
    bars: tuple[Bar, ...] = ()


@dataclass(frozen=True)
class FactList:
    """The parts that say how far to trust it."""

    kind: ClassVar[str] = "facts"
    facts: tuple[Fact, ...]


@dataclass(frozen=True)
class Mark:
    """A ratio with its interval; `open` ones are drawn hollow."""

    value: float
    low: float
    high: float
    text: str
    token: str
    shape: str
    open: bool = False


@dataclass(frozen=True)
class Lane:
    """One case: its fastest, its verdict, its marks on the axis that all share, and the text that folds open."""

    place: str
    run: str
    time: str
    gain: str
    sign: str
    tone: Tone
    audit: str
    audit_tone: Tone
    marks: tuple[Mark, ...]
    texts: tuple[str, ...]


@dataclass(frozen=True)
class Lanes:
    """Cases below one another on one logarithmic axis.

    Attributes:
        span: beginning and end of the axis, both above 0.
        ticks: positions and texts of its labels.
    """

    kind: ClassVar[str] = "lanes"
    identifier: str
    caption: str
    lanes: tuple[Lane, ...]
    span: tuple[float, float]
    ticks: tuple[tuple[float, str], ...]
    legend: tuple[Series, ...]

    def across(self, value: float) -> float:
        """Return how far along the axis a value is, in percent."""
        low, high = (math.log(end) for end in self.span)
        return 100 * (math.log(value) - low) / (high - low)


Block = Table | Figure | Paragraphs | Listing | Code | Gallery | Recommendation | FactList | Lanes


@dataclass(frozen=True)
class Section:
    """A part of the report under one heading; `lead` says what it shows and how to read it. A `detail` is folded."""

    identifier: str
    title: str
    lead: str
    blocks: tuple[Block, ...] = field(default=())
    detail: bool = False
