"""The exit code of a run in which nothing went wrong: 0, or 1 if this machine was too busy for a valid time."""

from __future__ import annotations

from assay.bench.brought.compare import refusals_of_numbers
from assay.bench.judging.answers import unanswered
from assay.records.results import Results


def status_of_good(results: Results) -> int:
    """The exit code of a run with these results, whose numbers are checked elsewhere."""
    disturbed = any(cell.invalid for cell in results.cells)
    return 1 if disturbed and unanswered(results) else 0


def refusals_of(results: Results) -> list[str]:
    """The reasons for which a run with these results answers no, as its command gives them."""
    return refusals_of_numbers(results) or unanswered(results)
