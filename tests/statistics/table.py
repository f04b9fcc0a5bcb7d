"""The table of docs/explanation/statistics.md, by simulation: `python -m tests.statistics.table` rewrites it."""

from __future__ import annotations

from pathlib import Path

from tests.statistics.races import RACES
from tests.statistics.simulation import COUNTS, PROMISES, Promise, share_held

ALL = (*PROMISES, *RACES)
PAGE = Path(__file__).parents[2] / "docs" / "explanation" / "statistics.md"
HEADING = f"| what holds, wanted in 95 % or more | {' | '.join(f'{count} processes' for count in COUNTS)} |"


def row(promise: Promise, shares: list[float]) -> str:
    """A promise and how often it held, in percent."""
    return f"| {promise.name} | {' | '.join(f'{100 * share:.1f} %' for share in shares)} |"


def write(page: Path = PAGE) -> None:
    """Replace the rows below the heading."""
    lines = page.read_text(encoding="utf-8").splitlines()
    place = lines.index(HEADING) + 2
    end = next(number for number in range(place, len(lines)) if not lines[number].startswith("|"))
    rows = [row(promise, [share_held(promise, count) for count in COUNTS]) for promise in ALL]
    page.write_text("\n".join([*lines[:place], *rows, *lines[end:], ""]), encoding="utf-8")


if __name__ == "__main__":
    write()
