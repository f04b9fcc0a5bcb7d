"""Findings as a small page for notebooks: sentences and one table, in which no foreign text can act."""

from __future__ import annotations

from collections.abc import Iterable
from html import escape

import polars

from assay.texts import printable

STYLE = "text-align:left;padding:2px 12px 2px 0;vertical-align:top"
MOST_ROWS = 200
"""The most rows shown; the table itself has them all."""


def page_of(lines: Iterable[str], table: polars.DataFrame) -> str:
    """Return HTML of the lines, and of the table's first rows."""
    said = "".join(f"<p style='margin:2px 0'>{_text(line)}</p>" for line in lines)
    head = "".join(f"<th style='{STYLE}'>{_text(name.replace('_', ' '))}</th>" for name in table.columns)
    rows = "".join(
        f"<tr>{''.join(f'<td style={STYLE!r}>{_value(value)}</td>' for value in row)}</tr>"
        for row in table.head(MOST_ROWS).iter_rows()
    )
    left = len(table) - MOST_ROWS
    more = f"<p>{left} more rows are in the table.</p>" if left > 0 else ""
    return f"<div>{said}<table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>{more}</div>"


def _value(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "<b>no</b>"
    return f"{value:.4g}" if isinstance(value, float) else _text(str(value))


def _text(text: str) -> str:
    return escape(printable(text))
