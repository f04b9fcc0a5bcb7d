"""A test of whether a run answers its question: exit code 0 means that it does. Pure functions."""

from __future__ import annotations

from assay.bench.judging.summary import is_short_of_samples
from assay.bench.judging.validity import is_too_short
from assay.bench.report.evidence import agreement_fails, is_timed
from assay.bench.words.races import said_of_races
from assay.bench.words.verdict import verdicts
from assay.records.results import Cell, Results
from assay.registry import FRAMEWORKS

NO_ANSWER = {"missing", "invalid"}
"""Outcomes of a group that leave open which side is faster."""


def unanswered(results: Results) -> list[str]:
    """Return why no question is answered, and what to do about it; empty if some group has its answer.

    Native and ONNX must have been compared; if only one side was requested, a valid time of it is enough. Calls that
    are too short to be ranked are also an answer: they were timed, and no other run would rank them.
    """
    cells = [cell for cell in results.cells if cell.framework]
    if _is_answered(results, cells):
        return []
    return [_why(cells)]


def _is_answered(results: Results, cells: list[Cell]) -> bool:
    if any(verdict.outcome not in NO_ANSWER for verdict in verdicts(results)):
        return True
    if any(said.outcome not in NO_ANSWER for said in said_of_races(results)):
        return True
    sides = [[cell for cell in cells if (cell.framework in FRAMEWORKS) == native] for native in (True, False)]
    asked = [side for side in sides if side]
    known = [any(_is_believed(cell, results) or _is_known(cell, results) for cell in side) for side in asked]
    short = any(_is_known(cell, results) for cell in cells)
    return bool(asked) and all(known) and (len(asked) == 1 or short)


def _is_known(cell: Cell, results: Results) -> bool:
    """Return whether a cell's time is known, and its calls are merely too short to be ranked."""
    return is_timed(cell) and is_too_short(cell) and not agreement_fails(cell, results)


def _is_believed(cell: Cell, results: Results) -> bool:
    """Return whether a cell has a time that may be compared."""
    return is_timed(cell) and not cell.invalid and not agreement_fails(cell, results)


def _why(cells: list[Cell]) -> str:
    timed = [cell for cell in cells if is_timed(cell)]
    invalid = [cell for cell in timed if cell.invalid]
    if invalid and all(is_short_of_samples(cell) for cell in invalid):
        return "nothing is compared, since too few processes were timed: allow it more minutes, or fewer runtimes"
    if invalid:
        share = "no" if len(invalid) == len(timed) else "not every"
        advice = "run it again on a quiet machine, which times INVALID cells again"
        return f"nothing is compared, since {share} time is VALID: {advice}"
    if timed:
        return "nothing is compared, since no pair of native and ONNX has both times and numbers that may be used"
    if any(cell.lacks == "time" for cell in cells):
        return "nothing could be timed: allow it more minutes, or fewer runtimes"
    return "nothing could be timed: every cell says why in the report"
