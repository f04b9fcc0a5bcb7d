"""Numbers for readers: as many digits as their uncertainty supports, and always a unit."""

from __future__ import annotations

import math
from datetime import datetime

from assay.records.base import Interval

TIMES = "\N{MULTIPLICATION SIGN}"
DASH = "\N{EN DASH}"
OWN_SIZE = "its own input size"
ELLIPSIS = "\N{HORIZONTAL ELLIPSIS}"
SPACE = "\N{NO-BREAK SPACE}"
MINUTE = 60.0
MEBIBYTE = 2**20
LEAST_FIXED = 1e-6
"""Smaller numbers are written with an exponent of ten."""
WIDEST_SHOWN = 1e12
"""The largest ratio of an interval's ends that is written out; that of one process is far wider
(`assay.bench.statistics.stats.SAYS_NOTHING`).
"""


def significant(value: float, digits: int = 3) -> str:
    """Return `value` with so many significant digits, never with an exponent between 0.0001 and ten million."""
    if not math.isfinite(value):
        return "not a number" if math.isnan(value) else f"{'-' if value < 0 else ''}infinite"
    if value == 0:
        return "0"
    if not 1e-4 <= abs(value) < 1e7:
        return scientific(value)
    return _fixed(value, _decimals_for(value, digits))


def scientific(value: float) -> str:
    """Return `value` with two significant digits and an exponent of ten, "2.1e-7"."""
    if value == 0 or not math.isfinite(value):
        return significant(value)
    mantissa, _, exponent = f"{value:.1e}".partition("e")
    return f"{mantissa}e{int(exponent)}"


def interval(estimate: Interval, unit: str = "", least_digits: int = 2) -> str:
    """Return "3.1x (3.0-3.2)" with proper signs and as many digits as the width supports, up to four.

    The interval of one process, which can hold any number, is not finite in words either.
    """
    if not all(math.isfinite(number) for number in (estimate.value, estimate.low, estimate.high)) or (
        0 < estimate.low * WIDEST_SHOWN < estimate.high
    ):
        return f"{significant(estimate.value)}{unit} (no finite interval)"
    numbers = (estimate.value, estimate.low, estimate.high)
    if max(map(abs, numbers)) < LEAST_FIXED:
        value, low, high = map(scientific, numbers)
    else:
        decimals = _decimals_of_interval(estimate, least_digits)
        value, low, high = (_fixed(number, decimals) for number in numbers)
    return f"{value}{unit} ({low}{DASH}{high})"


def ratio(estimate: Interval) -> str:
    """Return a ratio with its interval, "0.31x (0.30-0.32)"."""
    return interval(estimate, TIMES)


def percent(estimate: Interval) -> str:
    """Return a share between 0 and 1 as a percentage with its interval, "98.4 % (97.9-98.8)"."""
    return interval(scaled(estimate, 100), f"{SPACE}%", least_digits=3)


def percentage(share: float) -> str:
    """Return a share without an interval as a percentage with two digits, "12 %"."""
    return f"{significant(100 * share, 2)}{SPACE}%"


def points(estimate: Interval) -> str:
    """Return the same without the sign, for columns headed "%"."""
    return interval(scaled(estimate, 100), least_digits=3)


def scaled(estimate: Interval, factor: float) -> Interval:
    """Return the same estimate in another unit."""
    return Interval(value=estimate.value * factor, low=estimate.low * factor, high=estimate.high * factor)


def inverse(estimate: Interval) -> Interval:
    """Return the estimate of the reciprocal, for ratios."""
    return Interval(value=1 / estimate.value, low=1 / estimate.high, high=1 / estimate.low)


def count(number: int) -> str:
    """Return a whole number with separators, "287,560"."""
    return f"{number:,}"


def counted(number: int, noun: str) -> str:
    """Return "1 cell", "12 cells"."""
    return f"{count(number)} {noun}" if number == 1 else f"{count(number)} {noun}s"


def in_processes(number: int) -> str:
    """Return "1 process", "3 processes"."""
    return f"{count(number)} process" + ("" if number == 1 else "es")


def duration(seconds: float) -> str:
    """Return a time in the unit a person would choose: "35 ms", "4.2 s", "3 min 20 s", "1 h 5 min"."""
    if not math.isfinite(seconds):
        return significant(seconds)
    if 0 < seconds < 1:
        return f"{significant(seconds * 1000, 2)}{SPACE}ms"
    if seconds < 2 * MINUTE:
        return f"{significant(seconds, 2 if seconds < 10 else 3)}{SPACE}s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes}{SPACE}min {rest}{SPACE}s"
    return f"{minutes // 60}{SPACE}h {minutes % 60}{SPACE}min"


def moment(created: str, *, time: bool = False) -> str:
    """Return "14 March 2026", with "09:26 UTC" where asked for; the text itself where it is not a date."""
    try:
        when = datetime.fromisoformat(created)
    except ValueError:
        return created
    day = f"{when.day} {when:%B %Y}"
    return f"{day}, {when:%H:%M} {when.tzname() or ''}".rstrip() if time else day


def pixels(size: int) -> str:
    """Return a square image's size, "64x64"; 0 stands for a user's model that takes something else."""
    return f"{size}{TIMES}{size}" if size else OWN_SIZE


def difference(share: float) -> str:
    """Return how far two may be apart: "6.1 %", and a factor where it is more than twice, "12x"."""
    return f"{significant(100 * share, 2)} %" if share <= 1 else f"{significant(1 + share, 2)}{TIMES}"


def listed(names: list[str]) -> str:
    """Return names in a sentence: "a", "a and b", "a, b and c"."""
    if len(names) < 2:
        return "".join(names)
    return f"{', '.join(names[:-1])} and {names[-1]}"


def shortened(text: str, limit: int) -> str:
    """Return the text, cut with an ellipsis where it is longer than `limit` characters."""
    return text if len(text) <= limit else f"{text[: limit - 1].rstrip()}{ELLIPSIS}"


def _decimals_for(value: float, digits: int) -> int:
    """Return how many decimals show `value` with so many significant digits."""
    exponent = math.floor(math.log10(abs(value)))
    return max(0, digits - 1 - exponent)


def _decimals_of_interval(estimate: Interval, least_digits: int) -> int:
    """Return the decimals at which the half-width of the interval has its first significant digit, within limits."""
    half_width = abs(estimate.high - estimate.low) / 2
    largest = max(abs(estimate.value), half_width)
    least, most = _decimals_for(largest, least_digits), _decimals_for(largest, 4)
    if half_width == 0:
        return _decimals_for(largest, 3)
    return min(max(_decimals_for(half_width, 1), least), most)


def _fixed(value: float, decimals: int) -> str:
    return f"{value:,.{min(decimals, 12)}f}"
