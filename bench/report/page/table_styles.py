"""The appearance of tables' columns, as styles: given once for a column, where each of its cells would repeat it."""

from __future__ import annotations

from collections.abc import Iterable

from assay.bench.report.page.blocks import CARDS_ABOVE, Section, Table

PHONE = "(max-width:40rem)"


def table_styles(sections: Iterable[Section]) -> str:
    """Which columns stand right, and on a phone, where a row is a card, what the column of each of its lines is."""
    tables = [block for section in sections for block in section.blocks if isinstance(block, Table)]
    return "".join(_of_layout(table) for table in {table.layout: table for table in tables}.values())


def _of_layout(table: Table) -> str:
    numeric = [place for place, column in enumerate(table.columns, start=1) if column.numeric]
    right = ",".join(f":where(.{table.layout}) :where(th,td):nth-child({place})" for place in numeric)
    styles = f"{right}{{text-align:right;overflow-wrap:normal}}" if right else ""
    if len(table.columns) <= CARDS_ABOVE:
        return styles
    named = "".join(
        f".{table.layout} td:nth-child({place})::before{{content:{_quoted(column.heading)}}}"
        for place, column in enumerate(table.columns, start=1)
        if place > 1
    )
    return f"{styles}@media {PHONE}{{{named}}}"


def _quoted(text: str) -> str:
    """A text as a string in CSS: all but letters, digits and spaces as its number, so that nothing in it ends it."""
    plain = (one == " " or (one.isascii() and one.isalnum()) for one in text)
    told = [one if is_plain else f"\\{ord(one):x} " for one, is_plain in zip(text, plain, strict=True)]
    return f'"{"".join(told)}"'
