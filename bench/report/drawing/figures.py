"""The look of charts, and the image files of a report: one SVG and one PNG for each figure, on a light background."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import vl_convert
from pydantic import JsonValue

from assay.bench.report.drawing.palette import colours, resolved
from assay.bench.report.page.blocks import Figure, Panel, Section, Spec
from assay.store import write_atomically
from assay.texts import printable

PANEL_WIDTH_PX, SMALL_WIDTH_PX = 340, 280
LABELS_PX = 170
COLUMNS, SMALL_COLUMNS = 2, 3
PNG_SCALE = 2.0
SCHEMA = "https://vega.github.io/schema/vega-lite/v6.json"
FONT = "-apple-system, 'Segoe UI', Roboto, 'Helvetica Neue', 'Liberation Sans', Arial, sans-serif"
FOCUS_PARAMETER: JsonValue = {"name": "focus", "value": ""}

VEGA_CONFIG: Spec = {
    "background": "transparent",
    "font": FONT,
    "view": {"stroke": None},
    "aria": False,
    "title": {
        "fontSize": 13, "fontWeight": 600, "color": "@ink", "offset": 12,
        "subtitleFontSize": 11.5, "subtitleColor": "@muted", "subtitlePadding": 4,
    },
    "axis": {
        "labelFontSize": 11, "labelColor": "@muted", "labelPadding": 6,
        "titleFontSize": 11.5, "titleFontWeight": "normal", "titleColor": "@muted", "titlePadding": 8,
        "gridColor": "@rule", "gridWidth": 1, "domain": False, "tickColor": "@rule", "tickSize": 4,
    },
    "axisX": {"domain": True, "domainColor": "@rule", "grid": False},
    "axisY": {"ticks": False},
    "legend": {
        "labelLimit": 0, "symbolLimit": 0, "labelFontSize": 11, "labelColor": "@ink",
        "symbolSize": 80, "symbolStrokeWidth": 0, "rowPadding": 4,
    },
}  # fmt: skip


def write_figures(sections: Iterable[Section], out: Path) -> list[Path]:
    """Write `<figure>.svg` and `<figure>.png` for every figure into `out`.

    Raises:
        InputError: the folder cannot be written.
    """
    written = []
    for figure in (block for section in sections for block in section.blocks if isinstance(block, Figure)):
        svg = vl_convert.vegalite_to_svg(_figure_spec(figure))
        png = vl_convert.svg_to_png(svg, scale=PNG_SCALE)
        for suffix, content in (("svg", svg.encode()), ("png", png)):
            path = out / f"{figure.identifier}.{suffix}"
            write_atomically(path, content)
            written.append(path)
    return written


def _figure_spec(figure: Figure) -> Spec:
    """Return all panels of a figure in one Vega-Lite chart with a legend, in light colours on white."""
    panels: list[JsonValue] = [_placed(panel, figure.small) for panel in figure.panels]
    legend = VEGA_CONFIG["legend"]
    assert isinstance(legend, dict)
    config = VEGA_CONFIG | {
        "background": "white",
        "font": "Liberation Sans, Arial, sans-serif",
        "legend": legend | {"disable": not (figure.legend and figure.legend_in_file)},
    }
    spec: Spec = {
        "$schema": SCHEMA,
        "concat": panels,
        "columns": _columns(figure),
        "bounds": "flush",
        "spacing": {"row": 120, "column": LABELS_PX if figure.named else 70},
        "params": [FOCUS_PARAMETER],
        "config": config,
    }
    painted = resolved(seen(spec), colours())
    assert isinstance(painted, dict)
    return painted


def seen(part: JsonValue) -> JsonValue:
    """Return a chart whose texts have only visible characters: a control character would not be XML, and there would be
    no picture.
    """
    if isinstance(part, dict):
        return {printable(key, lines=True): seen(inner) for key, inner in part.items()}
    if isinstance(part, list):
        return [seen(inner) for inner in part]
    return printable(part, lines=True) if isinstance(part, str) else part


def _columns(figure: Figure) -> int:
    if any(panel.min_width_px > PANEL_WIDTH_PX for panel in figure.panels):
        return 1
    return SMALL_COLUMNS if figure.small else COLUMNS


def _placed(panel: Panel, small: bool) -> Spec:
    """Give a panel a width; one that needs room gets it in addition to its labels."""
    usual = SMALL_WIDTH_PX if small else PANEL_WIDTH_PX
    return panel.spec | {"width": max(usual, panel.min_width_px - LABELS_PX)}
