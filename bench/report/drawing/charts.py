"""The few forms of chart that the report uses, in Altair: lines, dots by name, heat maps, stacked bars. Rows are plain
dicts. If a chart distinguishes series, its rows have `label` and `family`; `notes`, pairs of a name and a text, are
shown in the tooltip. A chart has no width and no theme: the page and the figure files add theirs.
"""

from __future__ import annotations

import itertools
import math
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from pydantic import JsonValue

from assay.bench.report.drawing.palette import Series
from assay.bench.report.page.blocks import Spec
from assay.entries import imported_late

if TYPE_CHECKING:
    import altair as alt
else:
    alt = imported_late("altair")  # half of the time that `assay choose` took, which draws nothing

Row = dict[str, JsonValue]

ROW_HEIGHT_PX = 21
PANEL_HEIGHT_PX, SMALL_PANEL_HEIGHT_PX = 270, 190
FOCUS = "focus === '' || focus === datum.label || focus === datum.family"
FAINT = 0.1
ROOM_FOR_NAMES = 0.7
NAME_HEIGHT_PX = 14
NOTICE_LETTERS = 48
LINES = "split(datum.label, '\\n')"
PLAIN_NUMBER = ",~r"
TOOLTIP = {"content": "data"}


def notes(*pairs: tuple[str, str]) -> JsonValue:
    """Return the content of a tooltip: names and texts; a line without a name stands alone."""
    return [[name, text] for name, text in pairs]


@dataclass(frozen=True)
class Plot:
    """The common parts of every chart.

    Attributes:
        title: title of the panel.
        measure: meaning of its marks, with the unit.
        notice: the label that every chart of a study carries, or "".
        rows: the data.
        series: the legend's entries, in order.
    """

    title: str
    measure: str
    notice: str
    rows: Sequence[Row]
    series: Sequence[Series] = ()
    height_px: int = PANEL_HEIGHT_PX

    def has(self, field: str) -> bool:
        """Return whether some row has a field."""
        return any(field in row for row in self.rows)

    def numbers(self, *fields: str) -> list[float]:
        """Return all numbers in some fields."""
        found = (row.get(field) for row in self.rows for field in fields)
        return [float(value) for value in found if isinstance(value, int | float)]


@dataclass(frozen=True)
class Scale:
    """A field on an axis: its title, whether it is logarithmic, where it ends, and its ticks if they are fixed."""

    field: str
    title: str = ""
    log: bool = False
    from_zero: bool = False
    most: float | None = None
    ticks: tuple[float, ...] = ()
    format: str = PLAIN_NUMBER

    def x(self, plot: Plot) -> alt.X:
        """Return the field on the horizontal axis."""
        return alt.X(f"{self.field}:Q", axis=self.axis(plot), scale=self._scale())

    def y(self, plot: Plot) -> alt.Y:
        """Return the field on the vertical axis."""
        return alt.Y(f"{self.field}:Q", axis=self.axis(plot), scale=self._scale())

    def axis(self, plot: Plot) -> alt.Axis:
        """Return the axis, with ticks at the plot's own numbers where it is logarithmic."""
        values = self.ticks or (log_ticks(plot.numbers(self.field, "limit")) if self.log else ())
        ticks = {"values": list(values)} if values else {"tickCount": 5}
        return alt.Axis(title=self.title or None, format=self.format, **ticks)

    def _scale(self) -> alt.Scale:
        if self.log:
            return alt.Scale(type="log", nice=False, padding=14)
        if self.most is not None:
            return alt.Scale(zero=self.from_zero, nice=False, domainMax=self.most)
        return alt.Scale(zero=self.from_zero, nice=True)


def log_ticks(values: Sequence[float]) -> tuple[float, ...]:
    """Return round numbers within the values' range, three to eight of them if the range has so many."""
    positive = [value for value in values if value > 0 and math.isfinite(value)]
    if not positive:
        return ()
    low, high = min(positive) / 1.05, max(positive) * 1.05
    first, last = math.floor(math.log10(low)), math.ceil(math.log10(high))
    for mantissas in ((1,), (1, 3), (1, 2, 5), (1, 1.5, 2, 3, 4, 5, 7)):
        every = max(1, (last - first) // 6)
        ticks = [m * 10.0**e for e in range(first, last + 1, every) for m in mantissas if low <= m * 10.0**e <= high]
        if len(ticks) >= 3:
            return tuple(ticks)
    return ()


def lines(plot: Plot, x: Scale, y: Scale, *, points: bool = True, nested: bool = False) -> Spec:
    """Draw a line for each `line` of the rows; `low` and `high` draw an interval at each point.

    Nested lines are each drawn thinner than the one before, so that lines that coincide can all be seen.
    """
    base = alt.Chart().encode(x=x.x(plot), color=_colour(plot), opacity=_focus())
    line = base.mark_line(strokeWidth=1.8).encode(y=y.y(plot), strokeDash=_dash(plot), detail="line:N")
    if nested:
        line = base.mark_line(strokeCap="round").encode(y=y.y(plot), strokeWidth=_widths(plot), detail="line:N")
    intervals = [base.mark_rule(strokeWidth=1.4).encode(y="low:Q", y2="high:Q")] if plot.has("low") else []
    marks = base.mark_point(filled=True, size=52 if points else 12, tooltip=TOOLTIP)
    return _spec(plot, [line, *intervals, marks.encode(y=y.y(plot), shape=_shape(plot))], plot.height_px)


def lit_lines(plot: Plot, x: Scale, y: Scale) -> Spec:
    """Draw lines on logarithmic axes: those with `lit` in colour with their `name` at their right ends, and the others
    grey until the legend chooses them.
    """
    rows = _with_ends(plot, x.field, y.field)
    plot = replace(plot, rows=rows)
    spread = max(plot.numbers(x.field)) / min(plot.numbers(x.field))
    room = alt.Scale(type="log", nice=False, domainMax=max(plot.numbers(x.field)) * spread**ROOM_FOR_NAMES)
    low, high = _span(plot, y.field)
    across = alt.X(f"{x.field}:Q", axis=x.axis(plot), scale=room)
    up = alt.Y(f"{y.field}:Q", axis=y.axis(plot), scale=alt.Scale(type="log", nice=False, domain=[low, high]))
    chosen = f"focus === '' ? datum.lit : ({FOCUS})"
    colour = alt.condition(chosen, _colour(plot), alt.value("@rest"))
    base = alt.Chart().encode(x=across, color=colour, opacity=_focus())
    layers = []
    for lit, width, size in (("!datum.lit", 1.1, 16), ("datum.lit", 2.2, 52)):
        some = base.transform_filter(lit)
        layers.append(some.mark_line(strokeWidth=width).encode(y=up, detail="line:N"))
        if lit == "datum.lit" and plot.has("low"):
            layers.append(some.mark_rule(strokeWidth=1.4).encode(y="low:Q", y2="high:Q"))
        layers.append(some.mark_point(filled=True, size=size, tooltip=TOOLTIP).encode(y=up, shape=_shape(plot)))
    names = base.transform_filter("isValid(datum.end)").mark_text(align="left", dx=9, fontWeight=600)
    layers.append(names.encode(y=alt.Y("end:Q"), text="called:N"))
    return _spec(plot, layers, plot.height_px)


def _span(plot: Plot, field: str) -> tuple[float, float]:
    """Return the ends of a logarithmic axis, a little beyond all that is drawn."""
    values = [value for value in plot.numbers(field, "low", "high") if value > 0]
    beyond = (max(values) / min(values)) ** 0.06 * 1.01
    return min(values) / beyond, max(values) * beyond


def _with_ends(plot: Plot, along: str, field: str) -> list[Row]:
    """Return the rows, with the `end` for the name in the last row of each coloured line, so that no names
    overlap.
    """
    last: dict[str, Row] = {}
    for row in sorted(plot.rows, key=lambda row: float(str(row[along]))):
        if row.get("lit"):
            last[str(row["line"])] = row
    low, high = (math.log(value) for value in _span(plot, field))
    apart = (high - low) * NAME_HEIGHT_PX / plot.height_px
    ends = _apart_from_each_other([math.log(float(str(row[field]))) for row in last.values()], apart, low, high)
    placed = {id(row): math.exp(end) for row, end in zip(last.values(), ends, strict=True)}
    return [{**row, "end": placed[id(row)]} if id(row) in placed else row for row in plot.rows]


def _apart_from_each_other(places: Sequence[float], apart: float, low: float, high: float) -> list[float]:
    """Move the places as little as possible so that they are so far apart, within the ends if these have the room."""
    order = sorted(range(len(places)), key=lambda index: places[index])
    found = list(places)
    for before, index in itertools.pairwise(order):
        found[index] = max(found[index], found[before] + apart)
    most = high
    for index in reversed(order):
        found[index] = min(found[index], most)
        most = found[index] - apart
    return found


def dots(plot: Plot, names: Sequence[str], x: Scale, *, size_field: str = "") -> Spec:
    """Draw names down the side and a mark for each row; `low` and `high` draw an interval, `limit` a tick."""
    base = alt.Chart().encode(y=_names(names), opacity=_focus())
    layers = []
    if plot.has("low"):
        layers.append(base.mark_rule(strokeWidth=1.4).encode(x="low:Q", x2="high:Q", color=_colour(plot)))
    if plot.has("limit"):
        tick = base.mark_tick(thickness=2, size=14, color="@bad", tooltip=TOOLTIP)
        layers.append(tick.encode(x="limit:Q"))
    mark = base.mark_point(filled=True, size=60, tooltip=TOOLTIP)
    mark = mark.encode(x=x.x(plot), color=_colour(plot), shape=_shape(plot))
    if size_field:
        mark = mark.encode(size=alt.Size(f"{size_field}:O", scale=alt.Scale(range=[20, 130]), legend=None))
    return _spec(plot, [*layers, mark], ROW_HEIGHT_PX * max(len(names), 2))


def grouped_dots(plot: Plot, y: Scale, x_title: str) -> Spec:
    """Draw marks with intervals over the values of `group`, side by side in it by their `place`."""
    x = alt.X("group:O", axis=alt.Axis(title=x_title, labelAngle=0, grid=False), sort=None)
    base = alt.Chart().encode(x=x, xOffset=alt.XOffset("place:N", sort=None), opacity=_focus())
    base = base.encode(color=_colour(plot))
    interval = base.mark_rule(strokeWidth=1.6).encode(y="low:Q", y2="high:Q")
    mark = base.mark_point(filled=True, size=60, tooltip=TOOLTIP).encode(y=y.y(plot), shape=_shape(plot))
    return _spec(plot, [interval, mark], plot.height_px)


def heat(plot: Plot, down: Sequence[str], across: Sequence[str], strong: str) -> Spec:
    """Draw a grid of `row` by `column`, coloured by `colour` from 0 to 1, each cell with its `text`.

    Where the expression `strong` holds, the background is dark and the text takes the other colour.
    """
    x_axis = alt.Axis(
        title=None, labelAngle=-90, orient="top", labelLimit=0, domain=False, ticks=False, labelExpr=LINES
    )
    y_axis = alt.Axis(title=None, labelLimit=0, domain=False, ticks=False, labelExpr=LINES)
    gap = alt.Scale(padding=0.04)
    colour = alt.Scale(type="linear", domain=[0, 1], range=["@heat-middle", "@heat-low"], interpolate="lab")
    base = alt.Chart().encode(
        x=alt.X("column:O", sort=list(across), axis=x_axis, scale=gap),
        y=alt.Y("row:O", sort=list(down), axis=y_axis, scale=gap),
    )
    ground = alt.condition(
        "isValid(datum.colour)", alt.Color("colour:Q", scale=colour, legend=None), alt.value("@raised")
    )
    cells = base.mark_rect(cornerRadius=2, tooltip=TOOLTIP).encode(color=ground)
    ink = alt.condition(strong, alt.value("@heat-ink"), alt.value("@ink"))
    text = base.mark_text(fontSize=11).encode(text="text:N", color=ink)
    return _spec(plot, [cells, text], (ROW_HEIGHT_PX + 5) * max(len(down), 2))


def bars(plot: Plot, names: Sequence[str], x: Scale) -> Spec:
    """Draw names down the side, with bars stacked from the rows of a name in the order of `order`."""
    amount = x.x(plot).stack("zero")
    bar = alt.Chart().mark_bar(height={"band": 0.72}, tooltip=TOOLTIP).encode(y=_names(names), x=amount)
    bar = bar.encode(color=_colour(plot), order="order:Q", opacity=_focus())
    return _spec(plot, [bar], ROW_HEIGHT_PX * max(len(names), 2))


def scatter_with_front(plot: Plot, x: Scale, y: Scale) -> Spec:
    """Draw marks in the plane, and over them a stepped line through those that have `front`, each ringed."""
    line = alt.Chart().encode(x=x.x(plot), y=y.y(plot)).transform_filter("datum.front")
    step = line.mark_line(interpolate="step-after", strokeWidth=1.2, strokeDash=[3, 3], color="@muted")
    rings = line.mark_point(filled=False, size=190, strokeWidth=1.4, color="@ink")
    marks = alt.Chart().mark_point(filled=True, size=62, tooltip=TOOLTIP).encode(x=x.x(plot), y=y.y(plot))
    marks = marks.encode(color=_colour(plot), shape=_shape(plot), opacity=_focus(0.85))
    return _spec(plot, [step, rings, marks], plot.height_px + 40)


def _spec(plot: Plot, layers: list[alt.Chart], height_px: int) -> Spec:
    """Return the layers as one Vega-Lite view; the tests validate it, which takes as long as all the rest."""
    subtitle = [line for line in (plot.measure, *textwrap.wrap(plot.notice, NOTICE_LETTERS)) if line]
    title = alt.TitleParams(plot.title, subtitle=subtitle, anchor="start", frame="bounds")
    chart = alt.layer(*layers, data=alt.NamedData("rows")).properties(title=title, height=height_px)
    spec: Spec = chart.to_dict(validate=False)
    for key in ("$schema", "config"):
        spec.pop(key, None)
    return spec | {"data": {"values": list(plot.rows)}}


def _names(names: Sequence[str]) -> alt.Y:
    axis = alt.Axis(title=None, labelLimit=0, ticks=False, domain=False, grid=True)
    return alt.Y("name:N", sort=list(names), axis=axis)


def _focus(full: float = 1) -> alt.Opacity:
    """Return full strength for what the legend has chosen, or for all when nothing is chosen."""
    return alt.condition(FOCUS, alt.value(full), alt.value(FAINT))


def _colour(plot: Plot) -> alt.Color:
    scale = alt.Scale(domain=_labels(plot), range=[entry.token for entry in plot.series])
    return alt.Color("label:N", scale=scale, title=None)


def _dash(plot: Plot) -> alt.StrokeDash:
    scale = alt.Scale(domain=_labels(plot), range=[list(entry.dash) for entry in plot.series])
    return alt.StrokeDash("label:N", scale=scale, title=None)


def _widths(plot: Plot) -> alt.StrokeWidth:
    widths = [1.4 + 2.6 * place for place in reversed(range(len(plot.series)))]
    scale = alt.Scale(domain=_labels(plot), range=widths)
    return alt.StrokeWidth("label:N", scale=scale, title=None)


def _shape(plot: Plot) -> alt.Shape:
    scale = alt.Scale(domain=_labels(plot), range=[entry.shape for entry in plot.series])
    return alt.Shape("label:N", scale=scale, title=None)


def _labels(plot: Plot) -> list[str]:
    return [entry.label for entry in plot.series]
