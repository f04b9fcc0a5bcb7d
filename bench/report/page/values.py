"""Cells of tables that hold a number: how it is written, and behind it the number and where results.json has it."""

from __future__ import annotations

from assay.bench.report.page.blocks import Tone, Value
from assay.bench.words.numbers import count, interval, scientific, significant
from assay.records.base import Interval


def whole(number: int | None, path: str = "", *, tone: Tone = "") -> Value:
    """A number of things; empty where there is none."""
    return Value("") if number is None else Value(count(number), number, path, tone=tone)


def amount(found: float | None, path: str = "", *, factor: float = 1, digits: int = 3, none: str = "") -> Value:
    """A measured number.

    Args:
        path: place in results.json.
        factor: number shown, over that in results.json.
        none: text where it was not measured.
    """
    if found is None:
        return Value(none)
    return Value(significant(found * factor, digits), found * factor, path, factor)


def tiny(found: float, path: str = "") -> Value:
    """A number that may be as small as rounding."""
    return Value(scientific(found), found, path)


def estimate(found: Interval | None, path: str = "", *, unit: str = "", none: str = "") -> Value:
    """A number with its interval; `path` is where results.json has the interval."""
    return Value(none) if found is None else Value(interval(found, unit), found.value, f"{path}/value" if path else "")
